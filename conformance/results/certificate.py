"""What a certification found: verdicts on clauses, and the certificate that holds them."""

import json
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from conformance.clauses import DECISIVE, Clause, clauses
from conformance.errors import CannotRun

PASSED = "passed"
FAILED = "failed"
KNOWN = "known"
NOT_APPLICABLE = "not_applicable"
VERDICTS = (PASSED, FAILED, KNOWN, NOT_APPLICABLE)


class Variant(NamedTuple):
    """One way in which a clause is tested."""

    clause: str
    network: str
    role: str

    @property
    def id(self) -> str:
        """The variant as part of a test's id."""
        return ":".join(self)

    @classmethod
    def of(cls, nodeid: str) -> "Variant | None":
        """Return the variant that a test's id speaks of, or `None` if it speaks of none."""
        found = re.search(r"\[([^:\[\]]+):([^:]+):([^:\]]+)\]$", nodeid)
        return cls(*found.groups()) if found else None


class Finding(NamedTuple):
    """How an implementation deviated in one test."""

    expected: str
    seen: str


class Inapplicable(NamedTuple):
    """Why a test could not be asked of an implementation."""

    reason: str


Outcome = Finding | Inapplicable | None
"""What came of a test; `None` if it passed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one clause.

    Attributes:
        clause: the clause.
        verdict: one of `VERDICTS`.
        networks: the verdict on each network that it was tested on, by name.
        findings: each deviation, with the variants that showed it; empty unless it failed.
        detail: the findings in one text, or why the clause is not applicable; else empty.
    """

    clause: Clause
    verdict: str
    networks: dict[str, str]
    findings: dict[Finding, list[Variant]]
    detail: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verdict on every clause, for one implementation on one Python and one loop."""

    implementation: str
    python: str
    loop: str
    spec: str
    networks: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def conforms(self) -> bool:
        """Whether no clause that decides it failed; a known deviation is still a deviation."""
        return not any(
            each.verdict in (FAILED, KNOWN) and each.clause.level in DECISIVE
            for each in self.verdicts
        )

    @property
    def summary(self) -> dict[str, int]:
        """How many clauses, of every level, have each verdict."""
        return {name: sum(each.verdict == name for each in self.verdicts) for name in VERDICTS}

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as plain data; `certificate.schema.json` describes it."""
        return {
            "implementation": self.implementation,
            "python": self.python,
            "loop": self.loop,
            "spec": self.spec,
            "networks": list(self.networks),
            "conforms": self.conforms,
            "summary": self.summary,
            "clauses": [
                {
                    "id": each.clause.id,
                    "section": each.clause.section,
                    "level": each.clause.level,
                    "since": each.clause.since,
                    "text": each.clause.text,
                    "source": each.clause.source,
                    "verdict": each.verdict,
                    "networks": each.networks,
                    "detail": each.detail,
                }
                for each in self.verdicts
            ],
        }

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


@dataclass(slots=True)
class Record:
    """What has been seen so far in one certification.

    Args:
        implementation: its name.
        loop: the event loop's name.
        spec: the specification's version.
        networks: the networks chosen.
    """

    implementation: str
    loop: str
    spec: str
    networks: tuple[str, ...]
    expected: set[str] = field(default_factory=set)
    seen: dict[str, Outcome] = field(default_factory=dict)

    def expect(self, nodeids: Iterable[str]) -> None:
        """Note tests that are to be run."""
        self.expected.update(each for each in nodeids if Variant.of(each))

    def add(self, nodeid: str, outcome: Outcome) -> None:
        """Take a test's outcome; after the first that is not `None`, more change nothing."""
        if Variant.of(nodeid) and self.seen.get(nodeid) is None:
            self.seen[nodeid] = outcome

    def certificate(self) -> Certificate:
        """Return the certificate.

        Raises:
            CannotRun: not every test has been run, or none.
        """
        missing = self.expected - self.seen.keys()
        if missing:
            raise CannotRun(f"{len(missing)} of {len(self.expected)} tests were not run")
        if not self.seen:
            raise CannotRun("no test applies")
        outcomes: dict[str, list[tuple[Variant, Outcome]]] = {}
        for nodeid, outcome in sorted(self.seen.items()):  # in whatever order they were run
            variant = Variant.of(nodeid)
            assert variant is not None
            outcomes.setdefault(variant.clause, []).append((variant, outcome))
        return Certificate(
            self.implementation,
            platform.python_version(),
            self.loop,
            self.spec,
            self.networks,
            tuple(
                self._verdict(clause, outcomes.get(clause.id, [])) for clause in clauses().values()
            ),
        )

    def _verdict(self, clause: Clause, outcomes: list[tuple[Variant, Outcome]]) -> Verdict:
        findings: dict[Finding, list[Variant]] = {}
        networks: dict[str, str] = {}
        reasons: list[str] = []
        for variant, outcome in sorted(outcomes, key=self._in_order):
            if isinstance(outcome, Inapplicable):
                reasons.append(outcome.reason)
                continue
            networks.setdefault(variant.network, PASSED)
            if outcome is not None:
                networks[variant.network] = FAILED
                findings.setdefault(outcome, []).append(variant)
        if networks:
            verdict = FAILED if findings else PASSED
            return Verdict(clause, verdict, networks, findings, detail(findings))
        if not clause.applies_to(self.spec):
            reasons = [f"newer than the specification of Python {self.spec}"]
        elif not outcomes:
            reasons = [f"none of its tests was run (networks chosen: {', '.join(self.networks)})"]
        return Verdict(clause, NOT_APPLICABLE, {}, {}, "\n".join(dict.fromkeys(reasons)))

    def _in_order(self, outcome: tuple[Variant, Outcome]) -> tuple[int, str]:
        variant, _ = outcome
        return self.networks.index(variant.network), variant.role


def where(variants: Iterable[Variant]) -> str:
    """Return in words where a deviation was seen: `client on tcp and unix; server on tcp`."""
    networks: dict[str, list[str]] = {}
    for variant in variants:
        networks.setdefault(variant.role, []).append(variant.network)
    roles: dict[str, list[str]] = {}
    for role, names in networks.items():
        roles.setdefault(", ".join(dict.fromkeys(names)), []).append(role)
    return "; ".join(f"{' and '.join(names)} on {where_}" for where_, names in roles.items())


def detail(findings: Mapping[Finding, list[Variant]]) -> str:
    """Return the findings in one text."""
    return "\n".join(
        f"expected {finding.expected}; saw {finding.seen} ({where(variants)})"
        for finding, variants in findings.items()
    )
