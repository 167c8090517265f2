"""Certify every specimen on every network, into docs/zoo.md.

    tox -e zoo [-- NAME ...]

With names, only specimens whose own contain one of them, and nothing is written. The exit status is
1 if a specimen fails a clause that it does not state, or keeps one that it does.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from conformance.clauses import clauses
from conformance.networks import NETWORKS

from . import SPECIMENS, Specimen
from .forked import ForkedSuite, checked, failures

PAGE = Path(__file__).resolve().parents[3] / "docs" / "zoo.md"


def main(names: list[str]) -> None:
    """Certify, tell what is not as stated, and write the page."""
    chosen = [
        each for each in SPECIMENS.values() if not names or any(n in each.name for n in names)
    ]
    suites: SimpleQueue[ForkedSuite] = SimpleQueue()
    workers = os.cpu_count() or 1

    def certify(specimen: Specimen) -> dict[str, Any]:
        suite = suites.get()
        try:
            return suite.certify(specimen.name)
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
        PAGE.write_text(page(rows), encoding="utf-8")
    print(f"{len(chosen)} specimens, {wrong} not as stated")
    sys.exit(bool(wrong))


def differences(specimen: Specimen, certificate: dict[str, Any]) -> list[str]:
    """Return in words where a certificate is not as its specimen states."""
    found = []
    caught: set[str] = set()
    for network in NETWORKS:
        failed = failures(certificate, network)
        stated = specimen.fails & checked(certificate, network)
        if network not in specimen.networks:
            stated = set()
        found += [f"{network}: keeps {each}" for each in sorted(stated - failed.keys())]
        found += [
            f"{network}: fails {each}: {detail.splitlines()[0]}"
            for each, detail in failed.items()
            if each not in stated
        ]
        caught |= failed.keys()
    return found + [f"never tested: {each}" for each in sorted(specimen.fails - caught)]


def row(specimen: Specimen, certificate: dict[str, Any]) -> tuple[str, str]:
    """Return the section that a specimen belongs to, and its row of the table."""
    networks = [each for each in NETWORKS if failures(certificate, each)]
    failed = [each["id"] for each in certificate["clauses"] if each["verdict"] == "failed"]
    section = clauses()[failed[0]].section if failed else "None"
    cells = [
        f"`{specimen.name}`",
        specimen.fault.replace("|", "\\|"),
        ", ".join(f"`{each}`" for each in failed),
        "all" if len(networks) == len(NETWORKS) else ", ".join(networks),
    ]
    return section, f"| {' | '.join(cells)} |"


def page(rows: list[tuple[str, str]]) -> str:
    """Return the page."""
    parts = [HEAD.format(count=len(rows))]
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
of it. Every other clause held, on every network. Each is under the section of the first clause that
it failed.

This page is written by `tox -e zoo`, which certifies each on every network and compares with what
is stated in [tests/conformance/zoo](../tests/conformance/zoo). To look at one, in the folder
tests/conformance:

```console
streamcert certify zoo.reading:OnlyMinusOne --network memory
```"""

TABLE_HEAD = """\
| Specimen | Fault | Clauses that catch it | Networks |
| --- | --- | --- | --- |"""


if __name__ == "__main__":
    main(sys.argv[1:])
