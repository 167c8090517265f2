"""The certificates of the matrix in a slim form: their common parts are kept once.

A folder of them has a file `common.json` with the words of each clause and its usual result, and a
file for each certificate: its head, and the results that are not the usual ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conformance.clauses import clauses
from conformance.errors import CannotRun

Certificate = dict[str, Any]
"""A certificate, as `streamcert certify --json` writes it."""

WORDS = ("section", "level", "since", "text", "source")
COMMON = "common.json"


def write(folder: Path, certificates: dict[str, Certificate], missing: list[str]) -> None:
    """Write certificates, and nothing else, into a folder.

    Args:
        folder: the folder; its certificates are replaced.
        certificates: by the name of the file, without its suffix.
        missing: lines on what could not be certified.
    """
    words: dict[str, dict[str, str]] = {}
    results: dict[str, list[tuple[Certificate, dict[str, Any]]]] = {}
    for certificate in certificates.values():
        for clause in certificate["clauses"]:
            words[clause["id"]] = {name: clause[name] for name in WORDS}
            results.setdefault(clause["id"], []).append((certificate, _result(clause)))
    usual = {id_: _most_usual(found) for id_, found in results.items()}
    for file in folder.glob("*.json"):
        file.unlink()
    common = {id_: {**words[id_], "usual": usual[id_]} for id_ in words}
    _write(folder / COMMON, {"missing": missing}, common)
    for name, certificate in certificates.items():
        own = {each["id"]: _result(each) for each in certificate["clauses"]}
        unusual = {
            id_: own.get(id_)  # None: the certificate lacks the clause
            for id_ in words
            if own.get(id_) != _on(certificate, usual[id_])
        }
        head = {key: value for key, value in certificate.items() if key != "clauses"}
        _write(folder / f"{name}.json", head, unusual)


def read(folder: Path) -> dict[str, Certificate]:
    """Return the certificates of a folder, whole, by the names of their files.

    A clause's text is that of the present suite: a text may be reworded, and demands the same as
    before.

    Raises:
        CannotRun: there are none.
    """
    common = _common(folder)["clauses"]
    certificates: dict[str, Certificate] = {}
    for file in sorted(folder.glob("*.json")):
        if file.name != COMMON:
            certificate: Certificate = json.loads(file.read_text(encoding="utf-8"))
            unusual = certificate["clauses"]
            certificate["clauses"] = [
                {"id": id_, **_words(id_, clause), **result}
                for id_, clause in common.items()
                if (result := unusual.get(id_, _on(certificate, clause["usual"]))) is not None
            ]
            certificates[file.stem] = certificate
    return certificates


def certificate(file: Path) -> Certificate:
    """Return the certificate in a file, whether it is slim or not."""
    if (file.parent / COMMON).exists():
        return read(file.parent)[file.stem]
    return dict(json.loads(file.read_text(encoding="utf-8")))


def missing(folder: Path) -> list[str]:
    """Return the lines on what could not be certified.

    Raises:
        CannotRun: the folder has no certificates.
    """
    return list(_common(folder)["missing"])


def _common(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / COMMON).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CannotRun(f"{folder} has no certificates") from None


def _words(id_: str, kept: dict[str, Any]) -> dict[str, str]:
    """Return the words of a clause: those kept, with the suite's text."""
    known = clauses().get(id_)
    words = {name: kept[name] for name in WORDS}
    return words | {"text": known.text} if known else words


def _result(clause: dict[str, Any]) -> dict[str, Any]:
    """Return a certificate's result of a clause, without its words."""
    return {key: value for key, value in clause.items() if key not in {"id", *WORDS}}


def _most_usual(results: list[tuple[Certificate, dict[str, Any]]]) -> dict[str, Any]:
    """Return the result that most certificates have."""
    return max(
        (candidate for _, candidate in results),
        key=lambda candidate: sum(
            result == _on(certificate, candidate) for certificate, result in results
        ),
    )


def _on(certificate: Certificate, result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as it would be on the networks of a certificate."""
    networks = {
        name: verdict
        for name, verdict in result["networks"].items()
        if name in certificate["networks"]
    }
    return result | {"networks": networks}


def _dumped(data: object) -> str:
    return json.dumps(data, ensure_ascii=False)


def _write(file: Path, head: dict[str, Any], clauses: dict[str, Any]) -> None:
    """Write JSON: a line for each clause, so that a change is seen in few lines."""
    members = [f'  "{key}": {_dumped(value)},' for key, value in head.items()]
    rows = ",\n".join(f"    {_dumped(id_)}: {_dumped(value)}" for id_, value in clauses.items())
    text = "\n".join(["{", *members, '  "clauses": {', rows, "  }", "}"])
    file.write_text(text + "\n", encoding="utf-8")
