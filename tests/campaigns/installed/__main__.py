"""Certify asyncio after `reference_impl.install()`, into docs/generated/installed.md.

    tox -m installed [-- OPTIONS]

Each of tox's environments certifies on its Python, with asyncio's own loop and with uvloop, on all
networks. OPTIONS are those of `streamcert certify`, such as `--network tcp`. The certificates are
kept in build/installed, and the page has all existing ones.
"""

import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from conformance.networks import NETWORKS

from .._shared.certifying import certificate_of
from .._shared.markdown import generated, passed_and_failed, table

ROOT = Path(__file__).resolve().parents[3]
CERTIFICATES = ROOT / "build" / "installed"
PAGE = ROOT / "docs" / "generated" / "installed.md"
LOOPS = ("asyncio", "uvloop")

HEAD = (
    generated("tox -m installed")
    + """\
# asyncio's own names, after `install()`

This is `asyncio` itself, certified after `reference_impl.install()`, as a library gets it that does
not know the reference. The loop takes the reference's protocols for its own. The suite holds it to
the newest description on each Python. Each cell has the number of clauses passed, and after the
slash that of clauses failed; it is empty if the network was not requested, or does not work with
the loop.

"""
)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", metavar="[OPTIONS OF CERTIFY]...", nargs=-1, type=click.UNPROCESSED)
def main(options: tuple[str, ...]) -> None:
    """Certify on this Python, and write the page.

    Exit status: 1 if a clause fails.
    """
    CERTIFICATES.mkdir(parents=True, exist_ok=True)
    wrong = False
    for loop in LOOPS:
        certificate = certificate_of(
            "campaigns.installed.form",
            f"--loop={loop}",
            "-n2",
            *options,
            file=CERTIFICATES / f"{platform.python_version()}-{loop}.json",
        )
        failed = [each["id"] for each in certificate["clauses"] if each["verdict"] == "failed"]
        wrong |= bool(failed)
        cells = (platform.python_version(), loop, certificate["summary"], *failed)
        click.echo(" ".join(map(str, cells)))
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(wrong)


def page() -> str:
    """Return the page about all existing certificates."""
    files = sorted(CERTIFICATES.glob("*.json"))
    rows = [row(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    head = ("Python", "Loop", *NETWORKS, "not applicable")
    note = f"\n\nuvloop {metadata.version('uvloop')}; {platform.system()}.\n"
    return HEAD + table(head, rows, numbers=len(NETWORKS) + 1) + note


def row(certificate: Any) -> list[object]:
    """Return a certificate as a row."""
    cells = passed_and_failed(certificate, NETWORKS)
    head = (certificate["python"], certificate["loop"])
    return [*head, *cells, certificate["summary"]["not_applicable"]]


if __name__ == "__main__":
    main()
