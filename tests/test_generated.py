"""The generated pages that are quick to make are what their commands make."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATED = ROOT / "docs" / "generated"

PATIENCE = 300  # seconds; a page takes some, and many on a busy machine

pytestmark = pytest.mark.pythons("newest", why="the pages are the same on every Python")


def without_date(file: Path) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d", "DATE", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("option", "name"), [("--html", "clauses.html"), ("--reach", "reach.md")])
def test_a_page_is_fresh(option: str, name: str, tmp_path: Path) -> None:
    made = tmp_path / name
    command = [sys.executable, "-m", "conformance", "clauses", option, str(made)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    assert without_date(made) == without_date(GENERATED / name), (
        f"make it again: streamcert clauses {option} docs/generated/{name}"
    )


def test_the_pages_of_the_matrix_are_fresh(tmp_path: Path) -> None:
    shutil.copytree(GENERATED / "matrix", tmp_path / "matrix")
    command = [sys.executable, "-m", "campaigns.matrix", "--page", "--folder", str(tmp_path)]
    subprocess.run(command, check=True, timeout=PATIENCE, cwd=ROOT / "tests")
    for name in ("matrix.html", "otherwise.md"):
        assert without_date(tmp_path / name) == without_date(GENERATED / name), (
            "make it again: tox -e matrix -- --page"
        )


def test_the_page_of_the_zoo_is_fresh() -> None:
    from campaigns.zoo import __main__ as zoo
    from campaigns.zoo import lock

    recorded = zoo.page(lock.read())
    assert recorded == zoo.PAGE.read_text(encoding="utf-8"), "make it again: tox -e zoo -- --page"


def test_the_page_of_changed_clauses_is_fresh_and_each_has_its_reason() -> None:
    from campaigns.clause_changes import __main__ as changes

    page = changes.PAGE.read_text(encoding="utf-8")
    command = re.search(r"clause_changes (\w+)`", page)
    assert command
    old = command[1]
    known = ["git", "-C", str(ROOT), "cat-file", "-e", f"{old}^{{commit}}"]
    if subprocess.run(known, check=False, capture_output=True).returncode:
        pytest.skip(f"the commit {old} is not here: a shallow clone, or no repository")
    before, after, reasons = changes.at(old), changes.now(), changes.read_reasons()
    assert [*changes.complaints(before, after, reasons)] == []
    assert page == changes.page(old, before, after, reasons), (
        f"make it again: in tests, python -m campaigns.clause_changes {old}"
    )


def test_a_generated_page_says_by_what() -> None:
    silent = [
        page.name
        for page in [*GENERATED.glob("*.md"), *GENERATED.glob("*.html")]
        if "enerated by" not in page.read_text(encoding="utf-8")[:6000]
    ]
    assert silent == []


def test_no_page_has_the_name_of_one_of_sphinx() -> None:
    """Sphinx writes these last: a page of that name is not on the site, and nothing warns."""
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages.isdisjoint({"search", "genindex", "modindex", "py-modindex"})


def test_the_api_pages_name_every_public_name() -> None:
    import conformance
    import fakes
    import reference_impl

    for package in (conformance, fakes, reference_impl):
        page = (ROOT / "docs" / "api" / f"{package.__name__}.md").read_text(encoding="utf-8")
        documented = set(re.findall(rf":: {package.__name__}\.(\w+)", page))
        ours = {
            name
            for name in package.__all__
            if getattr(package, name).__module__.startswith(package.__name__)
        }
        assert documented == ours, package.__name__
