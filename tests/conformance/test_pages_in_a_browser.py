"""The pages, in a browser: what JavaScript adds, the keyboard, small screens, paper, contrast.

They need Chromium and its driver (Debian's `chromium` and `chromium-driver`), and are skipped
without them.
"""

import base64
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.clauses import DECISIVE, LEVELS, clauses
from conformance.clauses.description import Description
from conformance.results.certificate import Certificate
from conformance.results.html import certificate_page, description_page, matrix_page
from conformance.results.matrix import Matrix

selenium = pytest.importorskip("selenium", reason="needs selenium")

from selenium import webdriver  # noqa: E402  # only where it is installed
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None,
        reason="needs Chromium and its driver: they are not installed",
    ),
    pytest.mark.pythons("newest", why="pages are the same on every Python"),
]

PAGES = ("certificate", "matrix", "clauses")

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    assert BROWSER is not None
    options.binary_location = BROWSER
    for each in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(each)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """A browser as a desktop has it; no page may leave an error behind."""
    screen(chromium, 1280)
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    errors(chromium)
    yield chromium
    assert errors(chromium) == []


def errors(browser: webdriver.Chrome) -> list[Any]:
    """Return, and forget, what the browser's console holds."""
    log: list[Any] = browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's gap
    return log


FIRST = list(clauses())[:40]
OF_EACH_LEVEL = [
    id_
    for level in LEVELS
    for id_ in [each.id for each in clauses().values() if each.level == level][:2]
]
SOME = {id_: each for id_, each in clauses().items() if id_ in FIRST + OF_EACH_LEVEL}
"""Some clauses of each level: pages of all of them take a browser long."""


def some(certificate: Certificate) -> Certificate:
    verdicts = tuple(each for each in certificate.verdicts if each.clause.id in SOME)
    return replace(certificate, verdicts=verdicts)


@pytest.fixture
def conforming(conforming: Certificate) -> Certificate:
    return some(conforming)


@pytest.fixture
def deviating(deviating: Certificate) -> Certificate:
    return some(deviating)


@pytest.fixture
def show(
    browser: webdriver.Chrome, tmp_path: Path, conforming: Certificate, deviating: Certificate
) -> Callable[[str], webdriver.Chrome]:
    """Open a page of that name."""

    def opened(name: str) -> webdriver.Chrome:
        file = tmp_path / f"{name}.html"
        page = {
            "certificate": lambda: certificate_page(deviating),
            "long matrix": lambda: matrix_page(Matrix.of([all_failing(deviating)] * 20)),
            "matrix": lambda: matrix_page(Matrix.of([conforming, deviating] * 10), ("A note.",)),
            "clauses": lambda: description_page(Description(tuple(SOME.values()), ())),
        }[name]()
        file.write_text(page, encoding="utf-8")
        browser.get(file.as_uri())
        return browser

    return opened


def all_failing(certificate: Certificate) -> Certificate:
    """Return a certificate in which every clause fails."""
    return replace(
        certificate,
        verdicts=tuple(replace(each, verdict="failed") for each in certificate.verdicts),
    )


def screen(browser: webdriver.Chrome, width: int) -> None:
    """Give the browser a screen that is `width` CSS pixels wide, a phone's if that is small."""
    size = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def scheme(browser: webdriver.Chrome, name: str) -> None:
    """Ask for the colours of the `light` or `dark` scheme."""
    features = [{"name": "prefers-color-scheme", "value": name}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def choose(browser: webdriver.Chrome, name: str, value: str) -> None:
    Select(browser.find_element(By.NAME, name)).select_by_value(value)


def shown(browser: webdriver.Chrome) -> list[str]:
    """Return the clauses that can be seen, in the order of the description."""
    found: list[str] = browser.execute_script(
        "return [...document.querySelectorAll('.item')].filter(each => each.checkVisibility())"
        ".map(each => each.id || each.querySelector('summary').textContent.slice(2))"
    )
    return sorted(found, key=list(SOME).index)


@pytest.mark.parametrize("page", PAGES)
def test_at_first_every_clause_is_shown(page: str, show: Callable[[str], webdriver.Chrome]) -> None:
    browser = show(page)
    assert shown(browser) == list(SOME)
    output = browser.find_element(By.TAG_NAME, "output").text
    assert output == f"{len(SOME)} of {len(SOME)} clauses"


@pytest.mark.parametrize("page", PAGES)
def test_without_javascript_all_is_there_but_the_filter(
    page: str, show: Callable[[str], webdriver.Chrome], browser: webdriver.Chrome
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(page)
    items = browser.find_elements(By.CSS_SELECTOR, ".item")
    assert len(items) == len(SOME)
    assert items[0].is_displayed()
    assert items[-1].is_displayed()
    assert not browser.find_element(By.CSS_SELECTOR, "form.filter").is_displayed()


def test_a_certificate_is_filtered(
    show: Callable[[str], webdriver.Chrome],
    deviating: Certificate,
    by_level: dict[str, list[str]],
) -> None:
    browser = show("certificate")
    failed = [each.clause.id for each in deviating.verdicts if each.verdict == "failed"]
    choose(browser, "verdict", "failed")
    assert shown(browser) == failed
    assert browser.find_element(By.TAG_NAME, "output").text == f"2 of {len(SOME)} clauses"
    choose(browser, "level", "decisive")
    assert shown(browser) == [by_level["documented"][0]]
    # Sections in which nothing is left are gone with their titles.
    titles = browser.find_elements(By.CSS_SELECTOR, ".group h2")
    assert sum(each.is_displayed() for each in titles) == 1
    browser.find_element(By.CSS_SELECTOR, "form.filter button").click()
    assert shown(browser) == list(SOME)


@pytest.mark.parametrize("page", PAGES)
def test_any_page_is_filtered_by_level_section_and_text(
    page: str, show: Callable[[str], webdriver.Chrome]
) -> None:
    browser = show(page)
    choose(browser, "level", "decisive")
    decisive = [each.id for each in SOME.values() if each.level in DECISIVE]
    assert shown(browser) == decisive
    first = SOME[decisive[0]].section
    choose(browser, "section", "1")
    within = [id_ for id_ in decisive if SOME[id_].section == first]
    assert shown(browser) == within
    browser.find_element(By.NAME, "text").send_keys(f" {within[-1].upper()} ")
    assert within[-1] in shown(browser)
    assert all(within[-1] in each for each in shown(browser))


def test_a_matrix_begins_with_what_deviates(
    show: Callable[[str], webdriver.Chrome], conforming: Certificate, deviating: Certificate
) -> None:
    browser = show("matrix")
    rows = browser.find_elements(By.CSS_SELECTOR, ".matrix .item summary")
    assert [row.text[2:] for row in rows] == [
        row.clause.id for row in Matrix.of([conforming, deviating]).rows if row.fails
    ]
    picture = browser.find_element(By.CSS_SELECTOR, ".picture")
    assert picture.rect["y"] < 740, "it is not on the first screen"
    lines = picture.find_elements(By.CSS_SELECTOR, ".line")
    failed = [len(line.find_elements(By.CSS_SELECTOR, "rect.failed")) for line in lines]
    assert sorted(failed) == [0] * 10 + [2] * 10


def test_a_link_to_what_was_filtered_away_brings_it_back(
    show: Callable[[str], webdriver.Chrome], by_level: dict[str, list[str]]
) -> None:
    browser = show("certificate")
    choose(browser, "level", "robust")
    wanted = by_level["documented"][0]
    assert wanted not in shown(browser)
    browser.find_element(By.CSS_SELECTOR, f".deviations a[href='#{wanted}']").click()
    WebDriverWait(browser, 30).until(lambda _: shown(browser) == list(SOME))
    top = browser.execute_script(
        "return document.getElementById(arguments[0]).getBoundingClientRect().top", wanted
    )
    assert 0 <= top < 740


def test_what_was_seen_opens_by_keyboard(
    show: Callable[[str], webdriver.Chrome], by_level: dict[str, list[str]]
) -> None:
    browser = show("certificate")
    article = browser.find_element(By.ID, by_level["documented"][0])
    seen = article.find_element(By.CSS_SELECTOR, "dd:nth-of-type(2)")
    assert not seen.is_displayed()
    article.find_element(By.CSS_SELECTOR, "h3 a").send_keys(Keys.TAB)
    focused = browser.switch_to.active_element
    assert focused.tag_name == "summary"
    assert focused.value_of_css_property("outline-style") == "solid"
    focused.send_keys(Keys.ENTER)
    assert seen.is_displayed()


def test_a_mark_of_a_matrix_opens_and_closes_by_keyboard(
    show: Callable[[str], webdriver.Chrome],
) -> None:
    browser = show("matrix")
    button = browser.find_element(By.CSS_SELECTOR, "td.failed button")
    opened = browser.find_element(By.ID, button.get_attribute("popovertarget") or "")
    assert not opened.is_displayed()
    button.send_keys(Keys.ENTER)
    assert opened.is_displayed()
    assert "expected one thing; saw <script>" in opened.text
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not opened.is_displayed()


def test_the_first_thing_that_tab_reaches_leads_past_the_heading(
    show: Callable[[str], webdriver.Chrome],
) -> None:
    browser = show("certificate")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert skip.text == "Skip to the clauses"
    skip.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "clauses"


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_need_not_scroll_sideways(
    page: str, show: Callable[[str], webdriver.Chrome], browser: webdriver.Chrome
) -> None:
    screen(browser, 360)
    show(page)
    browser.execute_script("for (const each of document.querySelectorAll('details')) each.open = 1")
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width == 360


def test_the_heads_of_a_matrix_stay_in_sight(show: Callable[[str], webdriver.Chrome]) -> None:
    browser = show("long matrix")
    screen(browser, 360)
    inside = browser.execute_script(
        "const box = document.querySelector('.matrix');"
        "box.scrollIntoView(); box.scrollTo(400, 500);"
        "const frame = box.getBoundingClientRect();"
        "const row = [...box.querySelectorAll('.item')].find("
        "  each => each.getBoundingClientRect().top > frame.top + 300);"
        "return [box.scrollLeft, box.scrollTop,"
        "  box.querySelector('thead').getBoundingClientRect().top - frame.top,"
        "  row.querySelector('th').getBoundingClientRect().left - frame.left]"
    )
    assert inside[:2] == [400, 500]
    assert inside[2:] == pytest.approx([1, 1], abs=1)  # the frame's border


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("certificate", ["one thing", "those", "known: on the list"]),
        ("matrix", ["expected one thing", "expected these; saw those"]),
        ("clauses", [next(iter(SOME))]),
    ],
)
def test_paper_shows_what_a_click_would(
    page: str, words: list[str], show: Callable[[str], webdriver.Chrome], browser: webdriver.Chrome
) -> None:
    pypdf = pytest.importorskip("pypdf", reason="needs pypdf")
    # Without JavaScript: the style sheet is enough.
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    show(page)
    pdf = pypdf.PdfReader(io.BytesIO(base64.b64decode(browser.print_page())))
    text = " ".join(" ".join(each.extract_text() for each in pdf.pages).split())
    assert [each for each in words if each not in text] == []


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing_wrong(
    page: str, colours: str, show: Callable[[str], webdriver.Chrome], browser: webdriver.Chrome
) -> None:
    axe_selenium = pytest.importorskip("axe_selenium_python", reason="needs axe-selenium-python")
    scheme(browser, colours)
    show(page)
    browser.set_script_timeout(300)
    axe = axe_selenium.Axe(browser)
    axe.inject()
    found = axe.run()
    assert len(found["passes"]) > 20
    assert {each["id"]: each["nodes"][0]["html"] for each in found["violations"]} == {}
