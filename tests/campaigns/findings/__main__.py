"""Run the programs of docs/findings.md and docs/findings-rloop.md; compare what they print.

    tox -m findings [-- NUMBER ...]

Each runs on every Python, with every event loop of `LOOPS` that is installed. Figures may differ:
a number of four digits or more, or an address, matches any other.
"""

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from .._shared.programs import output_of

PAGE = Path(__file__).parents[3] / "docs" / "findings.md"

RLOOP = PAGE.with_name("findings-rloop.md")

LOOPS = {
    "asyncio": "asyncio.run(main())",
    "uvloop": "import uvloop; uvloop.run(main())",
    "rloop": "import rloop; asyncio.Runner(loop_factory=rloop.new_event_loop).run(main())",
}
"""The last line of a program, by the name of the loop that it runs on."""

MINORS = range(11, 16)
"""The Pythons of the page: 3.11 to 3.15."""

RUNNING = sys.version_info.minor

AT_ONCE = 2  # programs; some take seconds, most of which they wait


@dataclass(frozen=True, slots=True)
class Seen:
    """One line under "Seen".

    Attributes:
        on: the loops and the minor versions of Python that it is about.
        output: the program's output there; `None` if the finding does not occur there.
        right: whether that output is what the description says.
    """

    on: frozenset[tuple[str, int]]
    output: str | None
    right: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        number: its number.
        title: its title.
        program: the program that shows it.
        seen: the program's output, by loop and Python.
        clauses: the ids of the clauses that fail by it; `*` stands for any text.
        listed: the loops and Pythons that the overview lists it for.
        level: its level, in the section.
        listed_level: its level, in the overview.
    """

    number: int
    title: str
    program: str
    seen: tuple[Seen, ...]
    clauses: tuple[str, ...]
    listed: frozenset[tuple[str, int]]
    level: str
    listed_level: str


def minors(text: str) -> set[int]:
    """Return the minor versions in `"3.11, 3.13 to 3.15"`, `"every Python"`, `"all (…)"`."""
    if re.search(r"every Python|\ball\b", text):
        return set(MINORS)
    spans = re.findall(r"3\.(\d+)(?: to 3\.(\d+))?", text.partition("(")[0])
    return {each for one, other in spans for each in range(int(one), int(other or one) + 1)}


def seen(line: str) -> Seen:
    """Return the content of one line under "Seen"."""
    where, _, what = line.partition(": ")
    on = {
        (loop, minor)
        for loop, pythons in re.findall(r"(\w+) (?:on )?((?:every|3\.)[^;]*)", where)
        for minor in minors(pythons)
    }
    found = re.fullmatch(r"`(.*)`( \(right\))?", what)
    if found is None:
        return Seen(frozenset(on), None, True)
    return Seen(frozenset(on), found[1], bool(found[2]))


def findings() -> tuple[str, list[Finding]]:
    """Return the `tls.py` of the pages, and their findings."""
    pages = [
        re.split(r'^### <a id="', page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for page in (PAGE, RLOOP)
    ]
    overview = "".join(beginning for beginning, *_ in pages)
    (tls,) = re.findall(r"^```python\n(.*?)^```$", overview, re.DOTALL | re.MULTILINE)
    listed = {}
    levels = {}
    for row in re.findall(r"^\| \[(\d+)\]\(#\1\) \|(.*)\|$", overview, re.MULTILINE):
        _, *cells = row[1].split("|")
        # The table of choices has no further columns.
        levels[int(row[0])] = cells[4].strip() if len(cells) > len(LOOPS) else "choice"
        listed[int(row[0])] = frozenset(
            (loop, minor)
            for loop, cell in zip(LOOPS, cells[: len(LOOPS)], strict=True)
            for minor in minors(cell.strip())
        )
    found = []
    for section in (each for _, *sections in pages for each in sections):
        head = re.match(r'(\d+)"></a>\1\. (.*)', section)
        assert head, section
        level = re.search(r"^Level: ([a-z]+(?: \(3\.\d+\))?)", section, re.MULTILINE)
        assert level, section
        (program,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        lines = re.findall(r"^- (\w+ (?:on |3\.).*)$", section.split("**Seen:**")[1], re.MULTILINE)
        (clauses,) = re.findall(
            r"^Clauses?: (.*?)(?:\n\n|\n*\Z)", section, re.DOTALL | re.MULTILINE
        )
        found.append(
            Finding(
                number=int(head[1]),
                title=head[2],
                program=program,
                seen=tuple(map(seen, lines)),
                clauses=tuple(
                    () if clauses.startswith("none") else re.findall("`([^`]+)`", clauses)
                ),
                listed=listed[int(head[1])],
                level=level[1],
                listed_level=levels[int(head[1])],
            )
        )
    return tls, found


def without_figures(text: str) -> str:
    """Return `text` without the parts that differ from run to run."""
    return re.sub(r"\d{4,}|0x\w+", "#", text)


def output(program: str, tls: str, loop: str) -> str:
    """Return the output of `program` on `loop`."""
    return output_of(program.replace(LOOPS["asyncio"], LOOPS[loop]), {"tls.py": tls})


def differences(chosen: list[Finding], tls: str, loops: list[str]) -> Iterator[str]:
    """Run the programs; yield a line for each that prints something other than the page says."""
    jobs = [
        (finding, each, loop)
        for finding in chosen
        for loop in loops
        for each in finding.seen
        if (loop, RUNNING) in each.on and each.output is not None
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outputs = pool.map(lambda job: output(job[0].program, tls, job[2]), jobs)
        for (finding, each, loop), printed in zip(jobs, outputs, strict=True):
            assert each.output is not None
            if without_figures(printed) != without_figures(each.output):
                yield f"{finding.number} on {loop}: the page says {each.output!r}, not {printed!r}"
    yield f"{len(jobs)} programs were run on Python 3.{RUNNING} with {', '.join(loops)}"


@click.command()
@click.argument("numbers", nargs=-1)
def main(numbers: tuple[str, ...]) -> None:
    """Run the programs of the findings of these NUMBERS, or of all.

    Exit status: 1 if any prints something other than the page says.
    """
    tls, found = findings()
    chosen = [each for each in found if not numbers or str(each.number) in numbers]
    loops = [loop for loop in LOOPS if find_spec(loop)]
    *different, summary = differences(chosen, tls, loops)
    print(*different, f"{summary}: {len(different)} differ", sep="\n")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
