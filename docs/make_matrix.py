"""Certify `asyncio` and `reference_impl` on every Python found, on several event loops.

    tox -e matrix [-- OPTIONS]

The certificates are written to `matrix/` and the page that shows them side by side to
`matrix.html`, both beside this file. OPTIONS are those of `streamcert certify`, such as
`--network memory`. What cannot be certified (a Python that is not there, a loop that cannot be
installed on it, a run that breaks off) is left out, and named on the page and at the end.
"""

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHONS = [f"3.{minor}" for minor in range(11, 16)]
IMPLEMENTATIONS = ["asyncio", "reference_impl"]
LOOPS = {
    "asyncio": ["--loop=asyncio"],
    "uvloop": ["--loop=uvloop"],
    # It has no other network, and hangs most of the time.
    "rloop": ["--loop=rloop:new_event_loop", "--network=tcp", "-n4"],
}
"""The loops' distributions (asyncio's needs none), and the options that choose each."""

HOUR = 3600  # seconds, after which a certification counts as one that does not end


def main(options: list[str]) -> None:
    """Make the certificates and the page."""
    missing: list[str] = []
    versions: set[str] = set()
    shutil.rmtree(HERE / "matrix", ignore_errors=True)
    (HERE / "matrix").mkdir()
    with tempfile.TemporaryDirectory() as folder:
        for python in PYTHONS:
            environment = Path(folder, python)
            # virtualenv looks for interpreters as tox does, and needs no ensurepip of theirs.
            command = [sys.executable, "-m", "virtualenv", "--quiet", f"-ppython{python}"]
            made = subprocess.run([*command, environment], capture_output=True, text=True)
            if made.returncode:
                missing.append(f"Python {python}: {last_line(made.stdout + made.stderr)}")
                print(f"MISSING {missing[-1]}", flush=True)
                continue
            run(environment / "bin/pip", "install", "--quiet", f"{HERE.parent}[certify]")
            streamcert = environment / "bin/streamcert"  # the last one makes the page
            for name, chosen in LOOPS.items():
                if name != "asyncio" and (problem := install(environment, name, versions)):
                    missing.append(f"{name} on Python {python}: {problem}")
                    continue
                for implementation in IMPLEMENTATIONS:
                    label = f"{implementation} on Python {python}, {name}"
                    print(label, flush=True)
                    file = HERE / "matrix" / f"{implementation}-{python}-{name}.json"
                    arguments = [implementation, *chosen, f"--json={file}", *options]
                    if problem := certify(streamcert, arguments):
                        print(f"MISSING: {problem}", flush=True)
                        missing.append(f"{label}: {problem}")
        certificates = sorted((HERE / "matrix").glob("*.json"))
        if not certificates:
            sys.exit("\n".join(["No certificate was made:", *missing]))
        loops = ", ".join(["asyncio's own", *sorted(versions)])
        notes = [
            f"Certified on {date.today():%d %B %Y}. Event loops: {loops}. "
            f"{platform.system()} on {platform.machine()}.",
            "rloop has neither TLS nor Unix sockets: it is certified on tcp alone.",
            "Each deviation is looked into in findings.md, with a program that shows it.",
            *(f"Missing: {each}." for each in missing),
        ]
        options = [f"--html={HERE / 'matrix.html'}", *(f"--note={each}" for each in notes)]
        run(streamcert, "matrix", *certificates, *options)
    print("\n".join(["", f"{len(certificates)} certificates", *(f"MISSING {m}" for m in missing)]))


def install(environment: Path, name: str, versions: set[str]) -> str | None:
    """Install a loop and note its version; return why it cannot be installed, if it cannot."""
    pip = environment / "bin/pip"
    # Wheels only: what a compiler here might make of it is not what its users have.
    arguments = ["install", "--quiet", "--only-binary=:all:", name]
    installed = subprocess.run([pip, *arguments], capture_output=True, text=True)
    if installed.returncode:
        return f"cannot be installed: {last_line(installed.stderr)}"
    shown = subprocess.run([pip, "show", name], capture_output=True, text=True, check=True).stdout
    versions.update(f"{name} {found}" for found in re.findall(r"^Version: (.*)$", shown, re.M))
    return None


def certify(streamcert: Path, arguments: list[str]) -> str | None:
    """Certify; return why there is no certificate, if there is none."""
    try:
        process = subprocess.run(
            [streamcert, "certify", *arguments],
            cwd=streamcert.parent,  # out of reach of the sources: what was installed is certified
            capture_output=True,
            text=True,
            timeout=HOUR,
        )
    except subprocess.TimeoutExpired:
        return "it did not end within an hour"
    if process.returncode not in (0, 1):
        print(process.stderr, file=sys.stderr, flush=True)
        said = re.findall(r"^streamcert: (.*)$", process.stderr, re.M)
        return said[-1] if said else f"exit status {process.returncode}"
    print(process.stdout.rstrip().rpartition("\n\n")[2], flush=True)
    return None


def last_line(text: str) -> str:
    """Return the last line of what a program wrote that is not empty."""
    return ([line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1]


def run(*command: str | Path) -> None:
    """Run what has to succeed."""
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
