"""The user's request, found and checked before any test runs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.networks import NETWORKS, network_names
from conformance.results.certificate import FAILED, KNOWN
from conformance.results.known_deviations import KnownDeviations
from conformance.results.matrix import read_certificate
from conformance.run.files import path, writable
from conformance.subject.event_loop import Loop, loop
from conformance.subject.implementation import Implementation, checked_spec, implementation
from conformance.subject.loop_modes import PLAIN


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The user's request, as it was given: everything that another process needs to know.

    Attributes:
        streams: the name of the implementation.
        loop: that of the event loop.
        loop_mode: that of the mode in which the loop runs.
        network: those of networks, separated by commas; `None` for the default.
        spec: the specification's version; `None` for the default.
        bound: seconds.
        known_deviations: a file.
        clause: patterns of clauses' ids; without any, all clauses are tested.
        failed_first: a file with a certificate.
        json: the file to write the certificate to.
        explain: whether to keep what crossed the wire, and tracebacks.
        again: whether a test that fails is tried once more.
        part: the selection that pytest makes, as its options; empty without.
    """

    streams: str
    loop: str = "asyncio"
    loop_mode: str = PLAIN
    network: str | None = None
    spec: str | None = None
    bound: str = "1"
    known_deviations: str | None = None
    clause: tuple[str, ...] = ()
    failed_first: str | None = None
    json: str | None = None
    explain: bool = False
    again: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """The user's request, found and checked.

    Attributes:
        raw: the request as it was given.
        streams: the implementation.
        loop: the event loop.
        networks: the names of the networks, in the order of `NETWORKS`.
        spec: the specification's version.
        bound: seconds without progress after which a test is a hang.
        known: the deviations that are known, if the user gave a file of them.
        clauses: the ids of the clauses to test; `None` for all.
        first: the ids of those to begin with.
        json: where the certificate is to be written, if anywhere.
    """

    raw: RawRequest
    streams: Implementation
    loop: Loop
    networks: tuple[str, ...]
    spec: str
    bound: float
    known: KnownDeviations
    clauses: frozenset[str] | None
    first: frozenset[str]
    json: Path | None

    @classmethod
    def of(cls, raw: RawRequest) -> "Request":
        """Find and check everything that a raw request names.

        Raises:
            CannotRun: the request names something that does not exist; the message says what.
        """
        bound = seconds("--bound", raw.bound)
        chosen = matching(raw.clause) if raw.clause else None
        found = implementation(raw.streams)
        on = loop(raw.loop, raw.loop_mode)
        known = raw.known_deviations
        return cls(
            raw=raw,
            streams=found,
            loop=on,
            networks=chosen_networks(found, on, raw.network),
            spec=found.default_spec if raw.spec is None else checked_spec(raw.spec),
            bound=bound,
            known=KnownDeviations({})
            if known is None
            else KnownDeviations.read(path("--known-deviations", known)),
            clauses=chosen,
            first=frozenset() if raw.failed_first is None else failed_in(raw.failed_first),
            json=None if raw.json is None else writable(path("--json", raw.json)),
        )

    @property
    def part(self) -> str:
        """The selection of tests in words, if not all are run."""
        chosen = [f"--clause {each!r}" for each in self.raw.clause]
        return " ".join([*chosen, *([self.raw.part] if self.raw.part else [])])


def seconds(option: str, text: str) -> float:
    """Return the number of seconds that `option` was given.

    Raises:
        CannotRun: it is not such a number.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise CannotRun(f"{option} takes a number of seconds above 0, not {text!r}")
    return number


def matching(patterns: Iterable[str]) -> frozenset[str]:
    """Return the ids of the clauses that match any of the patterns.

    Raises:
        CannotRun: a pattern matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        ids = {each for each in clauses() if fnmatchcase(each, pattern)}
        if not ids:
            raise CannotRun(f"no clause matches {pattern!r}: list them: streamcert clauses")
        found |= ids
    return frozenset(found)


def failed_in(file: str) -> frozenset[str]:
    """Return the ids of the clauses that failed in the certificate in `file`."""
    return frozenset(
        each.clause.id
        for each in read_certificate(path("--failed-first", file)).verdicts
        if each.verdict in (FAILED, KNOWN)
    )


def chosen_networks(streams: Implementation, on: Loop, text: str | None) -> tuple[str, ...]:
    """Return the names of the networks to run on.

    By default all of them, but those in memory only on asyncio's own loop: the fakes' transports
    replace asyncio's, and on another loop they would be certified in place of that loop's. Those
    that the implementation lacks are left out. An adapter's ends are connected by the adapter.

    Raises:
        CannotRun: there is no such network, or none is left; or the request names one that the
            implementation lacks, or any for an adapter.
    """
    if streams.adapter is not None:
        own = streams.adapter.network
        if text is not None and text != own:
            raise CannotRun(f"{streams.name} is an adapter: leave --network out")
        return (own,)
    if text is not None:
        chosen = network_names(text)
        for each in chosen:
            if each in streams.without:
                raise CannotRun(f"{streams.name} does not run on {each}: it is in its `without`")
        return chosen
    possible = [
        name for name, kind in NETWORKS.items() if on.name == "asyncio" or not kind.in_memory
    ]
    chosen = tuple(name for name in possible if name not in streams.without)
    if not chosen:
        raise CannotRun(f"{streams.name} runs on no network: all are in its `without`")
    return chosen
