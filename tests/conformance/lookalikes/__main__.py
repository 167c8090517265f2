"""Certify the lookalikes on every network they can be on, on both loops, into docs/lookalikes.md.

    tox -e lookalikes [-- NAME ...]
    python tests/conformance/lookalikes [NAME ...]

The certificates are kept in build/lookalikes, and the page has all that are there: those of other
Pythons, too, where this was run before. The exit status is 1 if a lookalike fails any clause.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CERTIFICATES = ROOT / "build" / "lookalikes"
PAGE = ROOT / "docs" / "lookalikes.md"

LOOKALIKES = {
    "plain": "written from the description alone; the next four exchange a part of it",
    "pieces": "a reader keeps the pieces that it received in a list",
    "buffered": "a connection is a `BufferedProtocol`",
    "one_byte": "the transport is given a buffer of one byte",
    "a_turn_later": "whoever waits goes on a turn of the loop later than he could",
    "raw_sockets": "`loop.sock_recv()` and `sock_sendall()`; no transports, no TLS",
    "on_trio": "connections of trio's, in a thread; no transports, no TLS",
}
LOOPS = ("asyncio", "uvloop")
NETWORKS = ("memory", "tls-memory", "tcp", "unix", "tls")

HEAD = """# Right, but unlike the reference

Implementations in `tests/conformance/lookalikes` that keep to the description in other ways than
`reference_impl` does. They share no code with it. A clause that one of them fails asks for more
than it says, and is mended. `tox -e lookalikes` certifies them (`one_byte`, which is as slow as it
sounds, only if it is named), and wrote this page.

Each cell has the number of clauses passed, and after the slash of those that failed. Which clauses
run on which network, see `streamcert explain`; what a lookalike lacks it says in its `without`.

"""


def main(names: list[str]) -> int:
    """Certify those named, or all but the slow one; return the exit status."""
    CERTIFICATES.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name in names or [each for each in LOOKALIKES if each != "one_byte"]:
        for loop in LOOPS:
            certificate = certify(name, loop)
            failed = [each["id"] for each in certificate["clauses"] if each["verdict"] == "failed"]
            wrong += bool(failed)
            print(name, loop, certificate["summary"], *failed, flush=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 1 if wrong else 0


def certify(name: str, loop: str) -> Any:
    """Return the certificate of a lookalike on a loop."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    file = CERTIFICATES / f"{name}-{version}-{loop}.json"
    bound = "60" if name == "one_byte" else "1"
    subprocess.run(
        [
            *(sys.executable, "-m", "conformance", "certify", f"{name}:streams", "-n2"),
            *("--loop", loop, "--bound", bound, "--json", str(file)),
        ],
        cwd=HERE,
        stdout=subprocess.DEVNULL,
    )
    return json.loads(file.read_text(encoding="utf-8"))


def page() -> str:
    """Return the page about all certificates that are there."""
    lines = ["| Lookalike | What is unlike |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in LOOKALIKES.items()]
    lines += ["", f"| Lookalike | Python | Loop | {' | '.join(NETWORKS)} | not applicable |"]
    lines += ["|---|---|---|" + "---:|" * (len(NETWORKS) + 1)]
    for name in LOOKALIKES:
        for file in sorted(CERTIFICATES.glob(f"{name}-*.json")):
            lines.append(row(name, json.loads(file.read_text(encoding="utf-8"))))
    return HEAD + "\n".join(lines) + "\n"


def row(name: str, certificate: Any) -> str:
    """Return a certificate as a row."""
    cells = [f"`{name}`", certificate["python"], certificate["loop"]]
    for network in NETWORKS:
        verdicts = Counter(each["networks"].get(network) for each in certificate["clauses"])
        ran = network in certificate["networks"]
        cells.append(f"{verdicts['passed']} / {verdicts['failed']}" if ran else "")
    cells.append(str(certificate["summary"]["not_applicable"]))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
