"""The verdicts on clauses, and the certificate that holds them."""

import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
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
        """Return the variant in a test's id, or `None` if there is none."""
        found = re.search(r"\[([^:\[\]]+):([^:]+):([^:\]]+)\]$", nodeid)
        return cls(*found.groups()) if found else None


class Finding(NamedTuple):
    """How an implementation deviated in one test.

    Attributes:
        expected: what the clause asks for.
        seen: what the implementation did.
        file: the file of the test, such as `"conformance/suite/test_read.py"`.
        line: the line of the test at which that was seen.
        test: the name of the test.
        flaky: whether the test passed when it was tried again.
    """

    expected: str
    seen: str
    file: str = ""
    line: int = 0
    test: str = ""
    flaky: bool = False

    @property
    def place(self) -> str:
        """The test in one line: its file, the line, its name; empty if it is not known."""
        return f"{self.file}:{self.line} {self.test}" if self.file else ""


class Evidence(NamedTuple):
    """Evidence on a failure.

    Attributes:
        wire: what crossed the wire, in memory; else empty.
        traceback: that of the exception, unless it is the suite's own.
    """

    wire: str
    traceback: str


class Inapplicable(NamedTuple):
    """Why a test is not applicable to an implementation."""

    reason: str


Outcome = Finding | Inapplicable | None
"""The outcome of a test; `None` if it passed."""


PLAIN_LOOP = "plain"
"""The mode of an event loop whose settings are not changed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one clause.

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

    @property
    def flaky(self) -> bool:
        """Whether it failed, and no test failed each time that it was tried."""
        return bool(self.findings) and all(each.flaky for each in self.findings)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The circumstances of a certification.

    Attributes:
        when: the time at which it ended, as ISO 8601 has it.
        versions: of streamcert, and of the distributions that the implementation and the event loop
            come from, where they come from any.
        platform: the system.
        without: the capabilities that the implementation is declared to lack.
        loop_mode: the mode in which the event loop ran.
        part: the selection of tests in words, if not all were run; else empty.
        missing: how many of the tests chosen have not been run, because the run was interrupted.
    """

    when: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    without: tuple[str, ...] = ()
    loop_mode: str = PLAIN_LOOP
    part: str = ""
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verdict on every clause, for one implementation on one Python and one loop."""

    implementation: str
    python: str
    loop: str
    spec: str
    networks: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    circumstances: Circumstances = field(default_factory=Circumstances)

    @property
    def complete(self) -> bool:
        """Whether all tests that were chosen have been run."""
        return self.circumstances.missing == 0

    @property
    def stood_in(self) -> bool:
        """Whether the fakes' transports stood in for those of the event loop, in memory."""
        return self.loop != "asyncio" and any("memory" in each for each in self.networks)

    @property
    def applied(self) -> int:
        """How many clauses apply to the implementation."""
        return len(self.verdicts) - self.summary[NOT_APPLICABLE]

    @property
    def conforms(self) -> bool:
        """Whether no clause that decides it failed; a known deviation is still a deviation.

        It is unknown while tests are missing.
        """
        return self.complete and not any(
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
            "when": self.circumstances.when,
            "versions": dict(self.circumstances.versions),
            "platform": self.circumstances.platform,
            "without": list(self.circumstances.without),
            "loop_mode": self.circumstances.loop_mode,
            "part": self.circumstances.part,
            "complete": self.complete,
            "conforms": self.conforms,
            "applied": self.applied,
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
                    "flaky": each.flaky,
                    "detail": each.detail,
                    "findings": [
                        {
                            "expected": finding.expected,
                            "seen": finding.seen,
                            "file": finding.file,
                            "line": finding.line,
                            "test": finding.test,
                            "flaky": finding.flaky,
                            "variants": [
                                {"network": variant.network, "role": variant.role}
                                for variant in variants
                            ],
                        }
                        for finding, variants in each.findings.items()
                    ],
                }
                for each in self.verdicts
            ],
        }

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


@dataclass(slots=True)
class Record:
    """The outcomes so far in one certification.

    Args:
        implementation: its name.
        loop: the event loop's name.
        spec: the specification's version.
        networks: the networks chosen.
        circumstances: the other circumstances.
    """

    implementation: str
    loop: str
    spec: str
    networks: tuple[str, ...]
    circumstances: Circumstances = field(default_factory=Circumstances)
    expected: set[str] = field(default_factory=set)
    seen: dict[str, Outcome] = field(default_factory=dict)

    def expect(self, nodeids: Iterable[str]) -> None:
        """Note tests that are to be run."""
        self.expected.update(each for each in nodeids if Variant.of(each))

    def add(self, nodeid: str, outcome: Outcome) -> None:
        """Take a test's outcome; after the first that is not `None`, more change nothing."""
        if Variant.of(nodeid) and self.seen.get(nodeid) is None:
            self.seen[nodeid] = outcome

    def certificate(self, *, incomplete: bool = False) -> Certificate:
        """Return the certificate.

        Args:
            incomplete: whether it may be a certificate of the outcomes so far.

        Raises:
            CannotRun: not every test has been run, or none.
        """
        missing = self.expected - self.seen.keys()
        if missing and not incomplete:
            raise CannotRun(f"{len(missing)} of {len(self.expected)} tests were not run")
        if not self.seen:
            raise CannotRun(
                f"no test applies (specification of Python {self.spec}; {self._choice()}): "
                "choose another network, clause or specification"
            )
        unseen = {variant.clause for each in missing if (variant := Variant.of(each))}
        outcomes: dict[str, list[tuple[Variant, Outcome]]] = {}
        for nodeid, outcome in sorted(self.seen.items()):  # in whatever order they were run
            variant = Variant.of(nodeid)
            assert variant is not None
            outcomes.setdefault(variant.clause, []).append((variant, outcome))
        verdicts = [
            self._verdict(each, outcomes.get(each.id, []), each.id in unseen)
            for each in clauses().values()
        ]
        return Certificate(
            self.implementation,
            platform.python_version(),
            self.loop,
            self.spec,
            self.networks,
            tuple(_less_what_follows({each.clause.id: each for each in verdicts})),
            replace(
                self.circumstances,
                when=datetime.now(UTC).isoformat(timespec="seconds"),
                platform=platform.platform(),
                missing=len(missing),
            ),
        )

    def _verdict(
        self, clause: Clause, outcomes: list[tuple[Variant, Outcome]], unseen: bool
    ) -> Verdict:
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
        elif unseen:
            reasons = ["not run: the run was interrupted before"]
        elif not outcomes:
            reasons = [f"none of its tests was run ({self._choice()})"]
        return Verdict(clause, NOT_APPLICABLE, {}, {}, "\n".join(dict.fromkeys(reasons)))

    def _choice(self) -> str:
        """Return what was chosen to be run, in words."""
        part = f"; tests chosen: {self.circumstances.part}" if self.circumstances.part else ""
        return f"networks chosen: {', '.join(self.networks)}{part}"

    def _in_order(self, outcome: tuple[Variant, Outcome]) -> tuple[int, str]:
        variant, _ = outcome
        return self.networks.index(variant.network), variant.role


def _less_what_follows(verdicts: Mapping[str, Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts, without failures that follow from that of a clause that they need."""
    for each in verdicts.values():
        failed = [id_ for id_ in each.clause.needs if id_ in verdicts and verdicts[id_].findings]
        if each.verdict == FAILED and failed:
            reason = f"it needs what {' and '.join(failed)} asks for, which fails"
            yield Verdict(each.clause, NOT_APPLICABLE, {}, {}, reason)
        else:
            yield each


def where(variants: Iterable[Variant]) -> str:
    """Return, in words, where a deviation was seen: `client on tcp and unix; server on tcp`."""
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
        ("flaky, passed when tried again: " if finding.flaky else "")
        + f"expected {finding.expected}; saw {finding.seen} ({where(variants)})"
        for finding, variants in findings.items()
    )
