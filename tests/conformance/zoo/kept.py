"""What came of each specimen on each network, kept from one run of the command to the next."""

import ast
import hashlib
import json
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

import conformance
import fakes
import reference_impl

from .forked import Result
from .specimen import Specimen


class Kept:
    """Results in a folder, one file for each specimen and network.

    Args:
        folder: it is made when there is something to keep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def result(self, specimen: Specimen, network: str) -> Result | None:
        """Return what is kept, if it would come out the same today."""
        file = self._file(specimen, network)
        if not file.exists():
            return None
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Result(**kept["result"]) if kept["of"] == _state(specimen) else None

    def keep(self, specimen: Specimen, result: Result) -> None:
        """Keep a result."""
        self.folder.mkdir(exist_ok=True)
        text = json.dumps({"of": _state(specimen), "result": asdict(result)})
        self._file(specimen, result.network).write_text(text, encoding="utf-8")

    def _file(self, specimen: Specimen, network: str) -> Path:
        return self.folder / f"{specimen.name.replace(':', '.')}.{network}.json"


def _state(specimen: Specimen) -> str:
    """Return a digest of everything that a specimen's verdicts rest on.

    What it states is not among that, except where nothing else is asked.
    """
    parts = [_packages(), _code(specimen.broken.__module__), *sorted(specimen.asked or ())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _packages() -> str:
    return "\n".join(
        file.read_text(encoding="utf-8")
        for package in (conformance, fakes, reference_impl)
        for file in sorted(Path(next(iter(package.__path__))).rglob("*.py"))
    )


@cache
def _code(module: str) -> str:
    """Return the code of a module of specimens, without what they state."""
    tree = ast.parse(Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = [each for each in node.decorator_list if not _states(each)]
    return ast.unparse(tree)


def _states(decorator: ast.expr) -> bool:
    """Return whether a decorator is `specimen()`, or one made of it: they begin with the fault."""
    return isinstance(decorator, ast.Call) and any(
        isinstance(each, ast.Constant) for each in decorator.args[:1]
    )
