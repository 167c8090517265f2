"""What the packages may import: the reference and the fakes need the standard library alone."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS_PYTEST = {ROOT / "fakes" / "pytest_plugin.py"}  # loaded by pytest only


def imported(file: Path) -> Iterator[str]:
    """Yield the top-level packages that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module is not None
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", ["reference_impl", "fakes"])
def test_nothing_but_the_standard_library(package: str) -> None:
    files = set((ROOT / package).rglob("*.py"))
    assert files
    foreign = {
        (str(file.relative_to(ROOT)), name)
        for file in files - NEEDS_PYTEST
        for name in imported(file)
        if name not in sys.stdlib_module_names | {package}
    }
    assert foreign == set()


@pytest.mark.parametrize("package", ["reference_impl", "fakes", "conformance"])
def test_the_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
