"""The campaign of the matrix: its slim certificates, and the words of its page."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from campaigns.matrix import __main__ as command
from campaigns.matrix import slim
from conformance.clauses import clauses
from conformance.errors import CannotRun

NETWORKS = ["memory", "tcp"]


def clause(id_: str, verdict: str, networks: dict[str, str], **rest: Any) -> dict[str, Any]:
    words = dict.fromkeys(("section", "level", "since", "text", "source"), f"of {id_}")
    return {"id": id_, **words, "verdict": verdict, "networks": networks, "detail": "", **rest}


PASSED = clause("a", "passed", {"memory": "passed", "tcp": "passed"})
FAILED = clause("a", "failed", {"memory": "failed", "tcp": "passed"}, detail="seen")
NARROW = clause("a", "passed", {"tcp": "passed"})
OTHER = clause("b", "passed", {"memory": "passed"})


def certificate(*clauses: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"networks": NETWORKS, "clauses": [*clauses], **rest}


def test_certificates_are_read_as_they_were_written(tmp_path: Path) -> None:
    certificates = {
        "one": certificate(PASSED, OTHER, when="2026-01-01"),
        "two": certificate(PASSED, OTHER),
        "failing": certificate(FAILED, OTHER),
        "lacking": certificate(PASSED),
        "narrow": certificate(NARROW, networks=["tcp"]),
    }
    (tmp_path / "old.json").write_text("{}")
    slim.write(tmp_path, copy.deepcopy(certificates), ["one thing"])
    assert slim.read(tmp_path) == certificates
    assert slim.missing(tmp_path) == ["one thing"]


def test_a_clause_that_was_reworded_has_its_new_text(tmp_path: Path) -> None:
    id_ = "read.zero.does-not-wait"
    old = clause(id_, "passed", {"memory": "passed"})
    slim.write(tmp_path, {"one": certificate(old)}, [])
    read = slim.read(tmp_path)["one"]["clauses"]
    assert read == [{**old, "text": clauses()[id_].text}]


def test_what_is_usual_is_written_once(tmp_path: Path) -> None:
    certificates = {
        "passing": certificate(PASSED),
        "narrow": certificate(NARROW, networks=["tcp"]),
        "failing": certificate(FAILED),
        "another": certificate(PASSED),
    }
    slim.write(tmp_path, certificates, [])

    def own(name: str) -> Any:
        return json.loads((tmp_path / f"{name}.json").read_text())["clauses"]

    assert own("passing") == own("narrow") == own("another") == {}
    assert own("failing")["a"]["detail"] == "seen"


def test_an_empty_folder_has_no_certificates(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="has no certificates"):
        slim.read(tmp_path)


def test_the_certificates_that_were_not_asked_for_stay(tmp_path: Path) -> None:
    names = ("asyncio-3.14-asyncio", "asyncio-3.14-uvloop", "asyncio-3.15-asyncio")
    slim.write(tmp_path, {name: certificate(PASSED) for name in names}, [])
    assert set(command.others(tmp_path, ("3.14",), ("asyncio", "rloop"))) == set(names[1:])
    assert command.others(tmp_path / "none", ("3.14",), ("asyncio",)) == {}


def test_the_page_says_when_and_with_what_it_was_certified() -> None:
    of = certificate(PASSED, when="2026-01-02T03:04", versions={"uvloop": "0.21", "x": "1"})
    lines = command.notes({"one": of, "old": certificate(PASSED)}, ["Python 3.9: not found"])
    assert lines[:2] == ["Certified on 2026-01-02.", "Event loops: asyncio's own, uvloop 0.21."]
    assert lines[-1] == "Missing: Python 3.9: not found."
