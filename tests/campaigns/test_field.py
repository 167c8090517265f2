"""The adapters of docs/field plug in their libraries, and the page about the field is right.

`tox -e field` certifies them; here each is connected once, where its library is installed.
"""

import re
from fnmatch import fnmatchcase
from importlib.util import find_spec

import pytest

from campaigns.field import __main__ as field
from campaigns.field.findings import Finding, explained, findings
from campaigns.field.subjects import ADAPTERS, SUBJECTS, Subject
from conformance.adapters import PairAdapter, ReaderAdapter
from conformance.clauses import clauses
from conformance.harness.trial import Trial
from conformance.networks import NETWORKS
from conformance.networks.adapter import network_of
from conformance.run import preflight
from conformance.subject.event_loop import Loop, loop
from conformance.subject.implementation import implementation

MODULES = {
    "async-solipsism": "async_solipsism",
    "pyserial-asyncio-fast": "serial_asyncio_fast",
}
"""The modules whose names are not their distributions'."""

PLUGGED = [each for each in SUBJECTS if each.adapter]


def named(each: Subject | Finding) -> str:
    return each.name if isinstance(each, Subject) else each.id


def loop_of(subject: Subject) -> Loop:
    """Return the loop that the subject is certified on."""
    names = [each.partition("=")[2] for each in subject.options if each.startswith("--loop=")]
    return loop(names[0] if names else "asyncio")


@pytest.mark.filterwarnings("ignore")  # of what libraries leave open, and of what they deprecate
@pytest.mark.parametrize("subject", PLUGGED, ids=named)
def test_an_adapter_plugs_in_what_it_is_for(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = MODULES.get(subject.distribution, subject.distribution)
    if module and find_spec(module) is None:
        pytest.skip(f"{subject.distribution} is not installed")
    monkeypatch.syspath_prepend(ADAPTERS)
    streams = implementation(subject.target)
    chosen = loop_of(subject)
    adapter = streams.adapter
    preflight.check(streams, chosen, ("tcp",))
    assert isinstance(adapter, PairAdapter) or subject.stands_on or adapter
    network = NETWORKS["tcp"]() if adapter is None else network_of(adapter)
    trial = Trial(streams, network, "client", chosen)

    async def exchange() -> None:
        reader, writer, wire = await trial.connect()
        await wire.send(b"to it")
        assert await reader.readexactly(5) == b"to it"
        if not isinstance(adapter, ReaderAdapter):
            writer.write(b"from it")
            assert await wire.receive(7) == b"from it"

    try:
        trial.run(exchange())
    finally:
        trial.close()


def test_every_file_is_the_adapter_of_a_subject() -> None:
    assert {each.adapter for each in PLUGGED} == {*ADAPTERS.glob("*.py")}


@pytest.mark.parametrize("finding", findings(), ids=named)
def test_a_finding_has_a_short_program_and_names_clauses_that_there_are(finding: Finding) -> None:
    assert finding.id.rpartition("-")[0] in {each.name for each in SUBJECTS}
    assert len(finding.program.splitlines()) <= 20
    compile(finding.program, finding.id, "exec")
    for pattern in finding.clauses:
        assert any(fnmatchcase(each, pattern) for each in clauses()), pattern
    assert re.search(r"none found|\]\(https://github\.com/", finding.upstream)


@pytest.mark.pythons("newest", why="the pages are the same on every Python")
def test_every_failure_is_explained_and_every_finding_is_of_one() -> None:
    assert [*field.unexplained()] == []
    failed = {subject.name: summary["failed"] for subject, summary in field.summaries()}
    for finding in findings():
        ids = failed.get(finding.id.rpartition("-")[0])
        if ids is None:
            continue  # it is not certified yet
        for pattern in finding.clauses:
            assert any(fnmatchcase(each, pattern) for each in ids), (finding.id, pattern)


def test_what_stands_on_asyncio_has_its_findings() -> None:
    (link,) = explained("pipes", "asyncio", "wait_closed.cancelled.later-calls")
    assert re.fullmatch(r"\[\d+\]\(\.\./findings\.md#\d+\)", link)
    assert explained("aiohttp", "", "wait_closed.cancelled.later-calls") == []


@pytest.mark.pythons("newest", why="the pages are the same on every Python")
def test_the_page_is_what_its_command_writes() -> None:
    assert field.PAGE.read_text(encoding="utf-8") == field.page()
