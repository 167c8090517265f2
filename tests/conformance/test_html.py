"""The pages, as text; `test_pages_in_a_browser.py` looks at them."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from junitparser import JUnitXml

from conformance import cli
from conformance.clauses import clauses
from conformance.clauses.description import Description, Untestable, description
from conformance.results.certificate import Certificate
from conformance.results.html import (
    MARKS,
    WORDS,
    breakable,
    certificate_page,
    code,
    description_page,
    matrix_page,
)
from conformance.results.matrix import Matrix
from conformance.run.files import write

VOID = {"meta", "input", "wbr"}

pytestmark = pytest.mark.pythons("oldest", "newest", why="pages are the same on every Python")


class Page(HTMLParser):
    """A page's elements, checked for each end to have its start.

    Attributes:
        elements: the tag and attributes of each element.
        texts: the text inside each element that has an id, by id.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.open: list[tuple[str, str | None]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append((tag, attributes.get("id")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, id_ in self.open:
            if id_ is not None:
                self.texts[id_] = self.texts.get(id_, "") + data

    def every(self, attribute: str) -> list[str]:
        """Return each value of `attribute`."""
        found = (attributes.get(attribute) for _, attributes in self.elements)
        return [each for each in found if each is not None]


@pytest.fixture(params=["certificate", "matrix", "clauses"])
def html(request: pytest.FixtureRequest, conforming: Certificate, deviating: Certificate) -> str:
    """Each of the pages."""
    if request.param == "certificate":
        return certificate_page(deviating)
    if request.param == "matrix":
        return matrix_page(Matrix.of([conforming, deviating]), ("a <note>",))
    return description_page(description())


def test_a_page_is_complete_in_itself(html: str) -> None:
    page = Page(html)
    loaded = {"script", "link", "img", "iframe", "object", "embed", "source", "video", "audio"}
    assert [each for each in page.elements if each[0] in loaded] == [("script", {})]
    assert not re.search(r"@import|url\(", html)
    assert page.every("src") == []
    assert all(tag == "a" for tag, attributes in page.elements if "href" in attributes)
    assert all(re.match(r"#|https://", each) for each in page.every("href"))


def test_what_a_page_refers_to_is_there_once(html: str) -> None:
    page = Page(html)
    ids = page.every("id")
    assert len(ids) == len(set(ids))
    targets = [each[1:] for each in page.every("href") if each.startswith("#")]
    targets += page.every("popovertarget") + page.every("aria-labelledby")
    assert set(targets) <= set(ids)


def test_a_page_runs_nothing_that_an_implementation_said(html: str) -> None:
    assert "<script>alert" not in html
    assert "streams:<b>" not in html


def test_a_page_has_its_landmarks_and_names_its_controls(html: str) -> None:
    page = Page(html)
    tags = [tag for tag, _ in page.elements]
    for each in ("header", "main", "footer", "h1"):
        assert tags.count(each) == 1
    head, _, _ = html.partition("</head>")
    assert head.count("<title>") == 1
    assert page.elements[0] == ("html", {"lang": "en"})
    labels = tags.count("label")
    assert labels == tags.count("select") + tags.count("input") > 0


def test_every_clause_is_on_a_certificate_with_its_verdict(deviating: Certificate) -> None:
    page = Page(certificate_page(deviating))
    for each in deviating.verdicts:
        text = page.texts[each.clause.id]
        assert text.strip().startswith(f"{MARKS[each.verdict]} {WORDS[each.verdict]}")
        assert each.clause.text.replace("`", "") in text
        assert f"{each.clause.level}, since {each.clause.since}" in text
        if each.clause.link is not None:
            assert each.clause.link in page.every("href")
        for network, verdict in each.networks.items():
            assert f"{MARKS[verdict]} {network}" in text


def test_a_certificate_tells_what_was_expected_and_seen(
    deviating: Certificate, by_level: dict[str, list[str]], hostile: str
) -> None:
    page = Page(certificate_page(deviating))
    text = " ".join(page.texts[by_level["documented"][0]].split(" "))
    assert re.search(r"Expected\s*one thing\s*Seen", text)
    assert hostile in text
    assert re.search(r"As\s*client on tcp", text)
    assert "known: on the list" in page.texts[by_level["inherited"][0]]
    assert "none of its tests was run" in page.texts[by_level["customary"][0]]


def test_a_certificate_without_findings_tells_the_detail(deviating: Certificate) -> None:
    verdicts = tuple(replace(each, findings={}) for each in deviating.verdicts)
    html = certificate_page(replace(deviating, verdicts=verdicts))
    assert "expected this; saw that (client on tcp)" in html
    assert html.count("known: on the list") == 1


def test_a_certificate_is_headed_by_what_was_certified(
    conforming: Certificate, deviating: Certificate
) -> None:
    assert "<title>some.streams conforms to the asyncio streams API</title>" in (
        certificate_page(conforming)
    )
    html = certificate_page(deviating)
    assert "<title>other.streams:&lt;b&gt; deviates from the asyncio streams API</title>" in html
    for each in ("uvloop", "3.12", "tcp, unix", deviating.python):
        assert f"<dd>{each}</dd>" in html


def test_all_clauses_are_on_the_page_of_the_description() -> None:
    page = Page(description_page(description()))
    for each in clauses().values():
        assert each.text.replace("`", "") in page.texts[each.id]
        assert each.why.replace("`", "") in page.texts[each.id]
        assert each.source in page.texts[each.id]


def test_what_is_not_testable_is_told_with_its_reason() -> None:
    source = "asyncio-stream#asyncio.open_connection"
    told = Description((), (Untestable("It is nice to use.", source, "Who says what is nice?"),))
    page = Page(description_page(told))
    for each in ("It is nice to use.", source, "Who says what is nice?"):
        assert each in page.texts["untestable"]
    data = json.loads(told.to_json())
    assert data["untestable"] == [
        {
            "sentence": "It is nice to use.",
            "source": source,
            "reason": "Who says what is nice?",
            "link": "https://docs.python.org/3.15/library/asyncio-stream.html#asyncio.open_connection",
        }
    ]


def test_what_stands_in_back_quotes_is_code() -> None:
    assert code("`a` and `<b>`, & c") == ("<code>a</code> and <code>&lt;b&gt;</code>, &amp; c")
    assert code("one ` <alone>") == "one ` &lt;alone&gt;"
    assert breakable("a.b-c.<d>") == "a.<wbr>b-c.<wbr>&lt;d&gt;"


# Colours.


def schemes() -> Iterator[dict[str, str]]:
    """Return the colours of the light scheme, the dark one and paper."""
    style = (resources.files("conformance") / "templates" / "style.css").read_text()
    light: dict[str, str] = {}
    for block in re.findall(r":root \{(.*?)\}", style, re.S):
        light = light or dict(re.findall(r"--([\w-]+): (#\w{6});", block))
        yield light | dict(re.findall(r"--([\w-]+): (#\w{6});", block))


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(part * c for part, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_all_that_is_read_has_the_contrast_of_wcag_aa() -> None:
    assert round(contrast("#000000", "#ffffff")) == 21
    found = list(schemes())
    assert len(found) == 3
    for colours in found:
        for text in ("ink", "soft", "link", *MARKS):
            for paper in ("paper", "panel"):
                assert contrast(colours[text], colours[paper]) >= 4.5, (text, paper, colours)
        for verdict in MARKS:
            assert contrast(colours[verdict], colours[f"{verdict}-paper"]) >= 4.5, verdict
        assert contrast(colours["focus"], colours["paper"]) >= 3


def test_a_verdict_is_told_without_its_colour() -> None:
    assert len(set(MARKS.values())) == len(set(WORDS.values())) == len(MARKS) == len(WORDS)


# The command line.


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_certify_writes_all_that_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, deviating: Certificate
) -> None:
    session = SimpleNamespace(certificate=lambda: deviating)
    monkeypatch.setattr(cli, "run_suite", lambda request, workers: session)
    files = ["--html", "page.html", "--junit-xml", "junit.xml", "--badge", "badge.svg"]
    result = CliRunner().invoke(cli.cli, ["certify", "asyncio", *files])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    assert (folder / "page.html").read_text(encoding="utf-8") == certificate_page(deviating)
    assert len(JUnitXml.fromfile(str(folder / "junit.xml"))) == 1
    assert "deviates: 2 clauses" in (folder / "badge.svg").read_text(encoding="utf-8")


def test_what_utf_8_cannot_hold_is_written_as_an_escape(folder: Path) -> None:
    write(folder / "file", "a \udcff ü")
    assert (folder / "file").read_text(encoding="utf-8") == r"a \udcff ü"


@pytest.mark.parametrize("option", ["--html", "--junit-xml", "--badge"])
def test_a_file_that_cannot_be_written_is_said_before_the_tests(
    option: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "run_suite", lambda request, workers: pytest.fail("the suite was run"))
    result = CliRunner().invoke(cli.cli, ["certify", "asyncio", option, "no/such/file"])
    assert result.exit_code == 2
    assert result.stderr == "streamcert: cannot write 'no/such/file': No such file or directory\n"


def test_clauses_are_written_as_json_and_as_a_page(folder: Path) -> None:
    result = CliRunner().invoke(cli.cli, ["clauses", "--json", "c.json", "--html", "c.html"])
    assert (result.exit_code, result.output) == (0, "")
    assert (folder / "c.html").read_text(encoding="utf-8") == description_page(description())
    data: Any = json.loads((folder / "c.json").read_text(encoding="utf-8"))
    assert sum(data["levels"].values()) == len(clauses())
    for found, clause in zip(data["clauses"], clauses().values(), strict=True):
        assert found.pop("link") == clause.link
        assert found.pop("needs") == list(clause.needs)
        assert found == {name: getattr(clause, name) for name in found}
        fields = {"id", "section", "level", "since", "text", "why", "quote", "source"}
        assert found.keys() == fields


def test_the_matrix_is_written_with_its_notes(
    folder: Path, conforming: Certificate, deviating: Certificate
) -> None:
    (folder / "one.json").write_text(conforming.to_json(), encoding="utf-8")
    (folder / "two.json").write_text(replace(conforming, implementation="x").to_json(), "utf-8")
    arguments = ["one.json", "two.json", "--html", "m.html", "--note", "Made & noted."]
    result = CliRunner().invoke(cli.cli, ["matrix", *arguments])
    assert (result.exit_code, result.output) == (0, "")
    html = (folder / "m.html").read_text(encoding="utf-8")
    assert "Made &amp; noted." in html
    assert "some.streams" in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.json", "--html", "m.html"], "cannot read 'no.json': No such file or directory"),
        (["bad.json", "--html", "m.html"], "'bad.json' is not a certificate: it is not JSON ("),
        ([".", "--html", "m.html"], "cannot read '.': Is a directory"),
    ],
)
def test_what_no_matrix_can_be_made_of_is_said_in_one_line(
    arguments: list[str], message: str, folder: Path
) -> None:
    (folder / "bad.json").write_text("{", encoding="utf-8")
    result = CliRunner().invoke(cli.cli, ["matrix", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"streamcert: {message}")
    assert result.stderr.count("\n") == 1
    assert not (folder / "m.html").exists()
