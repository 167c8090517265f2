"""A specimen: a sound implementation with one thing broken, and the clauses that find it."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import reference_impl

from .._shared.forked_suite import Lines
from ..lookalikes import plain
from .sound import Protocol, Server, StreamReader, Streams, StreamWriter

PARTS = {StreamReader: "reader", StreamWriter: "writer", Protocol: "protocol", Server: "server"}
"""The classes that a specimen can derive from, and their names in `Streams`."""

MOST_STATED = 3

Seen = str | Mapping[str, str]
"""A piece of the text of the failures, of the first clause stated or by clause."""

NOTHING: Seen = MappingProxyType({})

Part = TypeVar("Part", bound=Callable[..., Any])


class Specimen:
    """An implementation that is wrong in one way; it can be plugged in as `module:attribute`.

    Args:
        original: the class or function that is replaced.
        broken: the class or function that replaces it.
        fault: the fault, in one sentence.
        fails: the ids of the clauses that name the fault, one to three; none for a control, which
            is right. The other clauses that it fails are recorded in zoo.lock, and not stated.
        seen: a piece of what was seen, as a person reads it in the failures, by clause.
        is_basic: whether only the clauses that it states are tested: because so much rests on the
            broken part that little else can work, or because it is one value of one argument.
    """

    def __init__(
        self,
        original: Callable[..., Any],
        broken: Callable[..., Any],
        fault: str,
        fails: tuple[str, ...],
        seen: Mapping[str, str],
        is_basic: bool,
    ) -> None:
        self.name = f"{broken.__module__}:{broken.__name__}"
        self.original = original
        self.broken = broken
        self.fault = fault
        self.fails = fails
        self.seen = seen
        self.is_basic = is_basic
        self._streams: Any = None

    @property
    def streams(self) -> Any:
        """The implementation itself."""
        if self._streams is None:
            if self.is_of_reference:
                _replace(self.original, self.broken)
                self._streams = reference_impl
            elif self.original in PARTS:
                self._streams = Streams(**{PARTS[self.original]: self.broken})  # type: ignore[arg-type]  # one part, of the kind that its name says
            else:
                self._streams = Streams()
                name = self.original.__name__
                # A function of the page, or one that the parts call; a process is for one specimen.
                owner = self._streams if hasattr(Streams, name) else plain
                setattr(owner, name, self.broken)
        return self._streams

    @property
    def is_of_reference(self) -> bool:
        """Whether it breaks a part of the reference that `plain` does not have."""
        return self.original.__module__.partition(".")[0] == reference_impl.__name__

    def reach(self) -> tuple[Lines, ...] | None:
        """Return the lines that it replaces; `None` if they are unknown.

        A test that runs none of these lines has the same result as on the sound implementation.
        """
        if self.original in PARTS:
            originals = list(self._overridden())
        else:
            originals = [getattr(self.original, "__func__", self.original)]
        spans = []
        for each in originals:
            code = getattr(each, "__code__", None)
            if code is None or not code.co_filename.startswith(FOLDER):
                return None
            lines = {line for *_, line in code.co_lines() if line} - {code.co_firstlineno}
            spans.append((code.co_filename, min(lines), max(lines)))
        return tuple(spans)

    def _overridden(self) -> Iterator[Any]:
        """Return the attributes of the sound class whose names the broken one redefines."""
        assert isinstance(self.broken, type)
        for kind in self.broken.__mro__:
            if kind is self.original:
                return
            for name in vars(kind).keys() - IGNORED:
                found = inspect.getattr_static(self.original, name, None)
                if isinstance(found, property):
                    yield found.fget
                elif found is not None or name.startswith("__"):
                    yield found

    def __getattr__(self, name: str) -> Any:
        """Return the broken implementation's object for a name of the streams page."""
        if name.startswith("_"):
            raise AttributeError(name)  # inspecting and copying ask for these: that is no use of it
        return getattr(self.streams, name)


FOLDER = plain.__file__.rpartition("/")[0]


class _Empty:
    """Has the names that every class has."""

    nothing: None = None

    def __init__(self) -> None:
        self.nothing = None


IGNORED = {*vars(_Empty)} - {"__init__"}
"""Names that every class has, whatever it redefines."""


def _replace(original: Callable[..., Any], broken: Callable[..., Any]) -> None:
    """Put `broken` in the place of `original` everywhere in the reference, as a base class too."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == reference_impl.__name__:
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, broken)
    if isinstance(original, type) and isinstance(broken, type):
        heirs: list[type] = original.__subclasses__()
        for heir in heirs:
            if heir.__module__.startswith(reference_impl.__name__):
                heir.__bases__ = tuple(
                    broken if base is original else base for base in heir.__bases__
                )


SPECIMENS: dict[str, Specimen] = {}
"""All specimens that were defined, by the names under which they are plugged in."""


def specimen(
    fault: str,
    *fails: str,
    seen: Seen = NOTHING,
    basic: bool = False,
    replaces: Callable[..., Any] | None = None,
) -> Callable[[Part], Specimen]:
    """Make a specimen of the decorated class or function; see `Specimen`.

    Args:
        fault: the fault, in one sentence.
        fails: the ids of the clauses that name the fault, one to three.
        seen: a piece of the text that a person reads in the failure, of the first clause or by
            clause.
        basic: whether only those clauses are tested, because little holds without them, or nothing
            else is touched.
        replaces: the function that is replaced, of `sound`; by default the class that the one
            decorated derives from. (Where `plain` has no such part, one of the reference.)

    Raises:
        ValueError: there are more than three clauses, or a text for a clause that is not stated.
    """
    if len(fails) > MOST_STATED:
        raise ValueError(
            f"{fault}: {len(fails)} clauses; the {MOST_STATED} that name it are enough"
        )
    texts = {fails[0]: seen} if isinstance(seen, str) else dict(seen)
    if not texts.keys() <= set(fails):
        raise ValueError(f"{fault}: what is seen is of a clause that is not stated")

    def make(broken: Part) -> Specimen:
        original = replaces
        if original is None:
            assert isinstance(broken, type)
            original = next(
                each
                for each in broken.__mro__
                if each in PARTS or each.__module__.startswith(reference_impl.__name__)
            )
        made = Specimen(original, broken, fault, fails, texts, basic)
        SPECIMENS[made.name] = made
        return made

    return make
