"""Files that a certification writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.errors import CannotRun


def path(option: str, text: str) -> Path:
    """Return the path of the file that `option` was given.

    Raises:
        CannotRun: it is empty, which would mean the working directory.
    """
    if not text:
        raise CannotRun(f"{option} takes the name of a file, not {text!r}")
    return Path(text)


def writable(path: Path) -> Path:
    """Return `path` if a file can be written there.

    Raises:
        CannotRun: it cannot; better to know before the tests than after.
    """
    new = not path.exists()
    with writing(path):
        with path.open("a", encoding="utf-8"):
            pass  # the file does not change before the tests have run
        if new:  # several worker processes may check at the same time
            path.unlink(missing_ok=True)
    return path


def write(path: Path, text: str) -> None:
    """Write `text`; an implementation's words may contain characters that no encoding has.

    Raises:
        CannotRun: it cannot be written, although `writable()` has looked: the disk is full, say.
    """
    with writing(path):
        path.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error in writing the file at `path` into `CannotRun`."""
    try:
        yield
    except OSError as error:
        raise CannotRun(f"cannot write {str(path)!r}: {error.strerror}") from error
