"""Certify every specimen on every network, into docs/zoo.md.

    tox -e zoo [-- [--network NAMES] [-n PROCESSES] [NAME ...]]

With names, only specimens whose own contain one of them, and nothing is written. The exit status is
1 if a specimen fails a clause that it does not state, or keeps one that it does.

It takes hours of processor time. What came of each specimen on each network is kept in .zoo, and
not asked again as long as the packages and the specimen's module do what they did.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from conformance.clauses import clauses
from conformance.networks import NETWORKS, network_names

from . import SPECIMENS, Specimen
from .forked import ForkedSuite, Result, is_search
from .kept import Kept

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "zoo.md"


def main(arguments: list[str]) -> None:
    """Certify, tell what is not as stated, and write the page."""
    parser = argparse.ArgumentParser(prog="zoo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", metavar="NAMES", default=",".join(NETWORKS))
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("-n", type=int, default=os.cpu_count() or 1, metavar="PROCESSES")
    options = parser.parse_args(arguments)
    names, networks = options.names, network_names(options.network)
    chosen = [
        each for each in SPECIMENS.values() if not names or any(n in each.name for n in names)
    ]
    kept = Kept(ROOT / ".zoo")
    suites: SimpleQueue[ForkedSuite] = SimpleQueue()
    for _ in range(options.n):
        suites.put(ForkedSuite())

    def results(specimen: Specimen) -> list[Result]:
        found = []
        for network in networks:
            result = kept.result(specimen, network)
            if result is None:
                suite = suites.get()
                try:
                    result = suite.certify(specimen.name, network, asked=specimen.asked)
                finally:
                    suites.put(suite)
                kept.keep(specimen, result)
            found.append(result)
        return found

    wrong = 0
    rows = []
    with ThreadPoolExecutor(options.n) as pool:
        for specimen, found in zip(chosen, pool.map(results, chosen), strict=True):
            problems = differences(specimen, found)
            wrong += bool(problems)
            print("\n    ".join([specimen.name, *problems]), flush=True)
            if set(specimen.networks) & set(networks):
                rows.append(row(specimen, found))  # others conform here: the fault does not show
    for _ in range(options.n):
        with suites.get():
            pass
    if not names and not wrong:
        PAGE.write_text(page(rows, networks, len(chosen) - len(rows)), encoding="utf-8")
    print(f"{len(chosen)} specimens, {wrong} not as stated")
    sys.exit(bool(wrong))


def differences(specimen: Specimen, found: list[Result]) -> list[str]:
    """Return in words where results are not as their specimen states."""
    caught = set[str]().union(*(each.failures for each in found))
    unseen = specimen.fails - caught if len(found) == len(NETWORKS) else ()
    return [
        *(problem for each in found for problem in specimen.differences(each)),
        *(f"never fails {each}" for each in sorted(unseen)),
    ]


def row(specimen: Specimen, found: list[Result]) -> tuple[str, str]:
    """Return the section that a specimen belongs to, and its row of the table."""
    caught = set[str]().union(*(each.failures for each in found))
    failed = [each for each in clauses() if each in caught]
    searches = sum(map(is_search, failed))
    failed = [each for each in failed if not is_search(each)]
    section = clauses()[failed[0]].section if failed else "None"
    cells = [
        f"`{specimen.name}`",
        specimen.fault.replace("|", "\\|"),
        ", ".join(f"`{each}`" for each in failed) + (f", {searches} searches" * bool(searches)),
        ", ".join(each.network for each in found if each.failures),
    ]
    return section, f"| {' | '.join(cells)} |"


def page(rows: list[tuple[str, str]], networks: tuple[str, ...], others: int) -> str:
    """Return the page; `others` is how many show their fault on other networks only."""
    elsewhere = ELSEWHERE.format(others=others) if others else ""
    parts = [HEAD.format(count=len(rows), networks=", ".join(networks), elsewhere=elsewhere)]
    sections = [each.section for each in clauses().values()]
    for section in dict.fromkeys([*sections, "None"]):
        of_section = [text for name, text in rows if name == section]
        if of_section:
            title = "Controls: nothing is wrong with them" if section == "None" else section
            parts.append(f"## {title}\n\n{TABLE_HEAD}\n" + "\n".join(of_section))
    return "\n\n".join(parts) + "\n"


HEAD = """\
# The zoo

{count} implementations, each of them the reference with one thing wrong that a person would really
write, and the clauses that caught it: those that name the fault, and those that cannot hold because
of it. Every other clause held. Each clause is failed by at least one; of those that are searches
(`any-program`) it is only counted how many found a fault in reading. Each specimen is under the
section of the first clause that it failed.

This page is written by `tox -e zoo`, here on {networks}{elsewhere}; it compares
with what is stated in [tests/conformance/zoo](../tests/conformance/zoo). To look at one specimen,
in the folder tests/conformance:

```console
streamcert certify zoo.reading:OnlyMinusOne --network memory
```"""

ELSEWHERE = """, on which {others} more
specimens, whose faults show elsewhere only, conformed as they should"""

TABLE_HEAD = """\
| Specimen | Fault | Clauses that catch it | Networks |
| --- | --- | --- | --- |"""


if __name__ == "__main__":
    main(sys.argv[1:])
