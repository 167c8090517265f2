"""The outcome of a specimen: it is certified on some networks, and compared with its statements."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from conformance.networks import NETWORKS
from conformance.results.certificate import Variant

from .._shared.forked_suite import Answer, Failure, ForkedSuite, Request, Subject, is_search
from .._shared.result_cache import ResultCache, code_of, digest, suite
from ..lookalikes import plain
from .lock import Failed
from .specimen import Specimen
from .words import says_little

MODULES = ("plain", "connecting", "upgrading")

PLAIN = Subject(
    f"{plain.__name__}:streams",
    {
        f"campaigns.lookalikes.{name}": str(Path(plain.__file__).with_name(f"{name}.py"))
        for name in MODULES
    },
    is_right=False,  # a clause that it fails is not asked; `tox -e lookalikes` tells which
)
"""The parts of specimens."""


IN_MEMORY = tuple(name for name, network in NETWORKS.items() if network.in_memory)


def first_request(specimen: Specimen) -> Request:
    """Return the request for each test, once: in memory, without TLS if it is tested so.

    Not for the searches, and not for costs: they take a third of the time.

    Args:
        specimen: the specimen.
    """
    return Request(
        streams=specimen.name,
        networks=IN_MEMORY,
        searches=False,
        costs=False,
        reach=specimen.reach(),
        once=True,
    )


def request(
    specimen: Specimen,
    networks: tuple[str, ...] = (),
    *,
    besides: Iterable[str] = (),
    only_these: bool = False,
) -> Request:
    """Return the request for the clauses that a specimen states, in each role and network.

    Args:
        specimen: the specimen.
        networks: the networks; all by default.
        besides: further clauses to test: those that failed in the first request. A clause that
            holds there is not tested again: `tox -m fidelity` checks that the verdicts are the
            same over the kernel. This saves three quarters of the time.
        only_these: whether to leave out the clauses that are not tested in memory. A control,
            which states none, is tested by all.
    """
    only_these = (only_these or specimen.is_basic) and bool(specimen.fails)
    asked = tuple(dict.fromkeys([*specimen.fails, *besides]))
    return Request(
        streams=specimen.name,
        networks=networks,
        clauses=asked if only_these else None,
        searches=False,
        costs=False,
        reach=None if only_these else specimen.reach(),
        not_on=IN_MEMORY,
        asked=asked,
    )


def failed(answer: Answer, networks: Iterable[str]) -> Failed:
    """Return the clauses that failed on each network."""
    found: Failed = {network: [] for network in networks}
    for each in answer.failures:
        clause, network, _ = variant_of(each)
        if clause not in found[network]:
            found[network].append(clause)
    return found


def variant_of(failure: Failure) -> Variant:
    """Return the clause, network and role of the test that failed."""
    variant = Variant.of(failure.test)
    if variant is None:
        raise ValueError(f"it failed before any test: {failure.seen}")
    return variant


def problems(specimen: Specimen, answer: Answer) -> list[str]:
    """Return, in words, where an answer differs from the specimen's statements.

    Each stated clause has to fail on some network that tests it, and each text has to be seen.
    """
    fails = {variant_of(each).clause for each in answer.failures}
    checked = {clause for clause, _ in answer.checked}
    lines = [f"keeps {each}" for each in specimen.fails if each in checked and each not in fails]
    if not specimen.fails:
        lines += [f"is right, and fails {each}" for each in sorted(fails) if not is_search(each)]
    for each in answer.failures:
        detail = f"expected {each.expected}; saw {each.seen}"
        lines += [f"{each.test} says little: {line}" for line in says_little(detail)]
    for clause, text in specimen.seen.items():
        seen = [each.seen for each in answer.failures if variant_of(each).clause == clause]
        if seen and not any(text in each for each in seen):
            lines.append(f"{clause} says {seen[0]!r}, not {text!r}")
    return lines


class Certifier:
    """Certifies specimens, unless the cache has the answer.

    Args:
        suite: the suite.
        cache: the answers that are known.
    """

    def __init__(self, suite: ForkedSuite, cache: ResultCache) -> None:
        self.suite = suite
        self.cache = cache

    def certify(
        self, specimen: Specimen, networks: tuple[str, ...], others: Iterable[str] | None = None
    ) -> Answer:
        """Certify a specimen on each network.

        Args:
            specimen: the specimen.
            networks: the networks.
            others: the clauses to test besides those that it states. By default, each test runs
                once in memory, and the others are the clauses that fail there.
        """
        if specimen.is_basic and specimen.fails:
            return self.answer(specimen, request(specimen, networks))
        if others is not None and specimen.fails:
            asked = request(specimen, networks, besides=sorted(others), only_these=True)
            return self.answer(specimen, asked)
        first = self.answer(specimen, first_request(specimen))
        failing = sorted({variant_of(each).clause for each in first.failures})
        whole = self.answer(specimen, request(specimen, networks, besides=failing))
        seconds = first.seconds + whole.seconds
        return replace(whole, tests=first.tests + whole.tests, seconds=seconds)

    def answer(self, specimen: Specimen, asked: Request) -> Answer:
        """Return the answer to a request, from the cache if it would be the same today."""
        name = f"{specimen.name} {','.join(asked.networks)}"
        state = digest(
            [
                *(suite(), code_of(Path("tests/campaigns/lookalikes"))),
                code_of(Path("reference_impl")) if specimen.is_of_reference else "",
                *(_code(specimen.broken.__module__), str(asked.clauses), str(asked.asked)),
            ]
        )
        if kept := self.cache.get(name, state):
            return Answer.of(kept)
        answer = self.suite.certify(asked)
        self.cache.keep(name, state, asdict(answer))
        return answer


@cache
def _code(module: str) -> str:
    """Return the code of a module of specimens, without their statements."""
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
