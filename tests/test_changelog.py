"""CHANGELOG.md keeps its form, so that a merge cannot bring back what it replaced."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.pythons("newest", why="the page is the same on every Python")

LINES = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
PACKAGES = {"reference_impl", "fakes", "conformance"}
KINDS = {"Added", "Changed", "Fixed"}


def test_each_change_is_below_its_package_and_kind() -> None:
    package = kind = None
    places = []
    for line in LINES:
        if line.startswith("## "):
            package = kind = None
        elif line.startswith("### "):
            package, kind = line[4:], None
        elif line.startswith("#### "):
            kind = line[5:]
        elif line.startswith("- "):
            places.append((package, kind))
            assert package in PACKAGES, line
            assert kind in KINDS, line
            assert not re.match(r"- `?(reference_impl|fakes|conformance)`?:", line), (
                f"the heading says so: {line}"
            )
    assert places


def test_a_version_has_each_package_once_and_a_package_each_kind() -> None:
    text = "\n".join(LINES)
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        _, *packages = re.split(r"^### ", version, flags=re.MULTILINE)
        names = [each.partition("\n")[0] for each in packages]
        assert len(names) == len(set(names))
        for package in packages:
            kinds = re.findall(r"^#### (.*)", package, re.MULTILINE)
            assert len(kinds) == len(set(kinds))
