"""Certify every specimen on every network, into docs/zoo.md.

    tox -e zoo [-- [--network NAMES] NAME ...]

With names, only specimens whose own contain one of them, and nothing is written. The exit status is
1 if a specimen fails a clause that it does not state, or keeps one that it does.
"""

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from conformance.clauses import clauses
from conformance.networks import NETWORKS, network_names

from . import SPECIMENS, Specimen
from .forked import ForkedSuite, failures, is_search

PAGE = Path(__file__).resolve().parents[3] / "docs" / "zoo.md"


def main(arguments: list[str]) -> None:
    """Certify, tell what is not as stated, and write the page."""
    parser = argparse.ArgumentParser(prog="zoo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", metavar="NAMES", default=",".join(NETWORKS))
    parser.add_argument("names", metavar="NAME", nargs="*")
    options = parser.parse_args(arguments)
    names, networks = options.names, network_names(options.network)
    chosen = [
        each for each in SPECIMENS.values() if not names or any(n in each.name for n in names)
    ]
    suites: SimpleQueue[ForkedSuite] = SimpleQueue()
    workers = os.cpu_count() or 1

    def certify(specimen: Specimen) -> dict[str, Any]:
        suite = suites.get()
        try:
            return suite.certify(specimen.name, *networks, asked=specimen.asked)
        finally:
            suites.put(suite)

    for _ in range(workers):
        suites.put(ForkedSuite())
    wrong = 0
    rows = []
    with ThreadPoolExecutor(workers) as pool:
        for specimen, certificate in zip(chosen, pool.map(certify, chosen), strict=True):
            problems = differences(specimen, certificate)
            wrong += bool(problems)
            print("\n    ".join([specimen.name, *problems]), flush=True)
            rows.append(row(specimen, certificate))
    for _ in range(workers):
        with suites.get():
            pass
    if not names and not wrong:
        PAGE.write_text(page(rows, networks), encoding="utf-8")
    print(f"{len(chosen)} specimens, {wrong} not as stated")
    sys.exit(bool(wrong))


def differences(specimen: Specimen, certificate: dict[str, Any]) -> list[str]:
    """Return in words where a certificate is not as its specimen states."""
    networks = certificate["networks"]
    caught: set[str] = set()
    for network in networks:
        caught |= failures(certificate, network).keys()
    unseen = specimen.fails - caught if len(networks) == len(NETWORKS) else ()
    return [
        *(each for network in networks for each in specimen.differences(certificate, network)),
        *(f"never fails {each}" for each in sorted(unseen)),
    ]


def row(specimen: Specimen, certificate: dict[str, Any]) -> tuple[str, str]:
    """Return the section that a specimen belongs to, and its row of the table."""
    networks = [each for each in NETWORKS if failures(certificate, each)]
    failed = [each["id"] for each in certificate["clauses"] if each["verdict"] == "failed"]
    searches = sum(map(is_search, failed))
    failed = [each for each in failed if not is_search(each)]
    section = clauses()[failed[0]].section if failed else "None"
    cells = [
        f"`{specimen.name}`",
        specimen.fault.replace("|", "\\|"),
        ", ".join(f"`{each}`" for each in failed) + (f", {searches} searches" * bool(searches)),
        ", ".join(networks),
    ]
    return section, f"| {' | '.join(cells)} |"


def page(rows: list[tuple[str, str]], networks: tuple[str, ...]) -> str:
    """Return the page."""
    parts = [HEAD.format(count=len(rows), networks=", ".join(networks))]
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
of it. Every other clause held. Of the clauses that are searches (`any-program`) it is only counted
how many found a fault in reading. Each specimen is under the section of the first clause that it
failed.

This page is written by `tox -e zoo`, here on the networks {networks}; it compares with what is
stated in [tests/conformance/zoo](../tests/conformance/zoo). To look at one specimen, in the folder
tests/conformance:

```console
streamcert certify zoo.reading:OnlyMinusOne --network memory
```"""

TABLE_HEAD = """\
| Specimen | Fault | Clauses that catch it | Networks |
| --- | --- | --- | --- |"""


if __name__ == "__main__":
    main(sys.argv[1:])
