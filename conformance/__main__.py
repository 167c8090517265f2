"""The entry of the command line: `streamcert`, or `python -m conformance`."""

import sys


def main() -> None:
    """Run the command line, or say in one line what it needs."""
    try:
        from conformance.cli import cli
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "conformance":
            raise
        sys.exit(
            f"streamcert: the command line needs {missing.name}: "
            "install it with pip install 'streamcert[certify]'"
        )
    cli(prog_name="streamcert")


if __name__ == "__main__":
    main()
