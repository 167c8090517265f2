"""Many certificates side by side: implementations, event loops and Pythons."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema

from conformance.clauses import DECISIVE, Clause
from conformance.errors import CannotRun
from conformance.results.certificate import (
    FAILED,
    KNOWN,
    PASSED,
    Certificate,
    Circumstances,
    Finding,
    Variant,
    Verdict,
)


def read_certificate(path: Path) -> Certificate:
    """Return the certificate that `streamcert certify --json` wrote.

    Args:
        path: the file.

    Raises:
        CannotRun: it cannot be read, or is not a certificate.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRun(f"cannot read {str(path)!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested too deeply
        raise CannotRun(f"{str(path)!r} is not a certificate: it is not JSON ({error})") from error
    schema = json.loads(
        (resources.files("conformance") / "certificate.schema.json").read_text(encoding="utf-8")
    )
    wrong = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(data)
    )
    if wrong is not None:
        what = wrong.message if len(wrong.message) <= 100 else f"{wrong.message[:100]}…"
        raise CannotRun(f"{str(path)!r} is not a certificate: {wrong.json_path}: {what}")
    certificate = Certificate(
        data["implementation"],
        data["python"],
        data["loop"],
        data["spec"],
        tuple(data["networks"]),
        tuple(_verdict(each) for each in data["clauses"]),
        Circumstances(
            **{
                name: data[name]
                for name in ("when", "versions", "platform", "loop_mode", "part")
                if name in data  # not in those of earlier versions
            },
            without=tuple(data.get("without", ())),
            missing=0 if data.get("complete", True) else 1,
        ),
    )
    if (certificate.conforms, certificate.summary) != (data["conforms"], data["summary"]):
        raise CannotRun(
            f"{str(path)!r} is not a certificate: its summary is not that of its clauses"
        )
    return certificate


def _verdict(data: dict[str, Any]) -> Verdict:
    names = ("id", "text", "source", "level", "since", "section")
    clause = Clause(why="", **{name: data[name] for name in names})
    findings: dict[Finding, list[Variant]] = {}
    for each in data.get("findings", ()):
        variants = [Variant(clause.id, one["network"], one["role"]) for one in each["variants"]]
        fields = {name: each[name] for name in Finding._fields}
        findings.setdefault(Finding(**fields), []).extend(variants)
    return Verdict(clause, data["verdict"], data["networks"], findings, data["detail"])


@dataclass(frozen=True, slots=True)
class Column:
    """One certificate.

    Attributes:
        certificate: the certificate.
        verdicts: its verdicts by the clause's id.
    """

    certificate: Certificate
    verdicts: dict[str, Verdict]

    @property
    def name(self) -> str:
        """The column in words."""
        of = self.certificate
        return f"{of.implementation} on Python {of.python}, loop {of.loop}"

    @property
    def deciding(self) -> int:
        """In how many of the clauses that decide it deviates."""
        return sum(
            each.verdict in (FAILED, KNOWN) and each.clause.level in DECISIVE
            for each in self.certificate.verdicts
        )

    @property
    def beyond(self) -> int:
        """In how many of the clauses that do not decide it deviates."""
        summary = self.certificate.summary
        return summary[FAILED] + summary[KNOWN] - self.deciding


@dataclass(slots=True)
class Row:
    """One clause.

    Attributes:
        clause: the clause, as the first certificate that has it words it.
        cells: for each column its verdict; `None` where its certificate lacks the clause.
        details: each detail, by verdict and text, with the columns that have it.
    """

    clause: Clause
    cells: list[Verdict | None]
    details: dict[tuple[str, str], list[Column]] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether any implementation deviates."""
        return any(each is not None and each.verdict in (FAILED, KNOWN) for each in self.cells)

    @property
    def differs(self) -> bool:
        """Whether the columns have more than one verdict, where they have any."""
        return len({each.verdict for each in self.cells if each is not None}) > 1

    @property
    def texts(self) -> list[str]:
        """The clause's text; more than one if versions of the suite word it differently."""
        return list(dict.fromkeys(each.clause.text for each in self.cells if each is not None))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Certificates, arranged.

    Attributes:
        columns: one for each certificate, by implementation, loop and Python.
        sections: the rows, by the title of their section.
    """

    columns: tuple[Column, ...]
    sections: dict[str, list[Row]]

    @classmethod
    def of(cls, certificates: Iterable[Certificate]) -> "Matrix":
        """Arrange `certificates`.

        They may come from versions of the suite that have different clauses: a row is made for
        each clause that any of them has.
        """
        columns = tuple(
            Column(each, {verdict.clause.id: verdict for verdict in each.verdicts})
            for each in sorted(certificates, key=_place)
        )
        # The one with the most clauses gives the order; further clauses of the others stand at the
        # end of their section.
        known: dict[str, Clause] = {}
        for column in sorted(columns, key=lambda column: -len(column.verdicts)):
            for each in column.certificate.verdicts:
                known.setdefault(each.clause.id, each.clause)
        sections: dict[str, list[Row]] = {}
        for clause in known.values():
            row = Row(clause, [column.verdicts.get(clause.id) for column in columns])
            for column, verdict in zip(columns, row.cells, strict=True):
                if verdict is not None and verdict.detail:
                    key = (verdict.verdict, verdict.detail)
                    row.details.setdefault(key, []).append(column)
            sections.setdefault(clause.section, []).append(row)
        return cls(columns, sections)

    @property
    def rows(self) -> list[Row]:
        """All rows."""
        return [row for section in self.sections.values() for row in section]

    @property
    def parts(self) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
        """The sections twice: with the rows in which any column deviates, and with the others."""
        deviating, others = (
            {
                title: chosen
                for title, rows in self.sections.items()
                if (chosen := [row for row in rows if row.fails is wanted])
            }
            for wanted in (True, False)
        )
        return deviating, others

    def runs(self, column: int) -> list[tuple[int, list[Row], str]]:
        """Return a column's verdicts other than passes, as groups of neighbours with one verdict.

        Args:
            column: the number of the column.

        Returns:
            the number of the first row, the rows, and the verdict: one of a certificate's, or empty
            where the column's certificate lacks the clauses.
        """
        runs: list[tuple[int, list[Row], str]] = []
        cells = ((row.cells[column], row) for row in self.rows)
        verdicts = ((cell.verdict if cell is not None else "", row) for cell, row in cells)
        at = 0
        for verdict, group in groupby(verdicts, lambda pair: pair[0]):
            rows = [row for _, row in group]
            if verdict != PASSED:
                runs.append((at, rows, verdict))
            at += len(rows)
        return runs

    @property
    def incomplete(self) -> bool:
        """Whether some certificate lacks a clause that another has."""
        return any(None in row.cells for row in self.rows)

    def spans(self, *names: str) -> list[tuple[Certificate, int]]:
        """Return the heads that columns share: neighbours that agree in these attributes.

        Args:
            names: attributes of `Certificate`.

        Returns:
            a certificate of each group of neighbours, and the size of the group.
        """
        groups = groupby(
            (column.certificate for column in self.columns),
            lambda certificate: [getattr(certificate, name) for name in names],
        )
        return [(members[0], len(members)) for members in (list(group) for _, group in groups)]


def _place(certificate: Certificate) -> tuple[str, bool, str, list[int]]:
    """Return the sort key of a certificate's column: asyncio's own loop comes before the others."""
    of = certificate
    python = [int(number) for number in re.findall(r"\d+", of.python)]
    return of.implementation, of.loop != "asyncio", of.loop, python
