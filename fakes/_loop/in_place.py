"""Replacing a function in place, so that every reference to it calls the replacement.

A library holds the function object if it has said `from time import monotonic`, keeps the function
as a default argument, in a class or in an object, or is compiled by Cython. So the object stays,
and its target is exchanged: in CPython a builtin function is a table entry and its `self`, and a
bound method a function and its `self`. Both are exchanged in one step, so that no other thread sees
one without the other.

An entry's function in C is called with the `self` as its first argument. So if that is the other
function, the entry can be one that calls any function of Python's: `PyObject_CallNoArgs()` and the
like have exactly the signature of the entry that they replace.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import types
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_HEAD = object.__basicsize__  # where an object's own fields begin

_C_FLAGS = 0xFF & ~0x70  # how an entry's function is called, without what binds it to a class
_CALL_WITH = {
    0x01: "PyObject_CallObject",  # a tuple
    0x03: "PyObject_Call",  # a tuple and a dictionary
    0x04: "PyObject_CallNoArgs",
    0x08: "PyObject_CallOneArg",
    0x82: "PyObject_Vectorcall",  # an array, and the names of the last of them
}
_KEYWORDS = 0x82


class _Entry(ctypes.Structure):
    """A `PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Pair(ctypes.Structure):
    """The first two fields of a builtin function, and of a bound method."""

    _fields_ = (("called", ctypes.c_void_p), ("owner", ctypes.c_void_p))


class _Holder(ctypes.Structure):
    """A pair as a field: to assign it is one step, in which no other thread runs."""

    _fields_ = (("pair", _Pair),)


def _entry_like(entry: _Entry, flags: int) -> _Entry:
    call = getattr(ctypes.pythonapi, _CALL_WITH[flags & _C_FLAGS])
    address = ctypes.cast(call, ctypes.c_void_p).value
    return _Entry(entry.name, address, flags, entry.doc)


_new_builtin = ctypes.pythonapi.PyCFunction_NewEx
_new_builtin.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
_new_builtin.restype = ctypes.py_object


def original(function: F) -> F:
    """Return a builtin function that always does what the given one does now."""
    called = _Holder.from_address(id(function) + _HEAD).pair.called
    copy: F = _new_builtin(called, function.__self__, function.__module__)  # type: ignore[attr-defined]
    return copy


class Redirection:
    """The target of a builtin function or a bound method, exchanged on request.

    Attributes:
        target: the function.
        original: always does what it did before.
    """

    def __init__(
        self, target: Any, make: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        """`make(original)` returns the function to call instead, with the same arguments."""
        self.target = target  # it stays where it is
        self._holder = _Holder.from_address(id(target) + _HEAD)
        before = self._holder.pair
        self._before = _Pair(before.called, before.owner)
        self.original: Callable[..., Any]
        if isinstance(target, types.MethodType):
            self.original = types.MethodType(target.__func__, target.__self__)
            self._function = make(self.original)
            # It is called with its `self`, which is not needed.
            self._called: Any = functools.partial(_without_self, self._function)
            self._after = _Pair(id(self._called), before.owner)
        else:
            if before.owner != id(target.__self__):
                raise RuntimeError(f"{target!r} is not laid out as in CPython")
            entry = _Entry.from_address(before.called)
            self.original = original(target)
            self._function = self._called = make(self.original)
            self._entry = _entry_like(entry, entry.flags)
            self._after = _Pair(ctypes.addressof(self._entry), id(self._function))

    def on(self) -> None:
        """Call the other function from now on."""
        # The collector counts what an object refers to.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._called))
        self._holder.pair = self._after

    def off(self) -> None:
        """Call the original one again."""
        self._holder.pair = self._before
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(self._called))


def _without_self(function: Callable[..., Any], _: object, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


class ClassMethodRedirection:
    """The same for a class method of a class in C, which makes a new builtin on each access.

    Attributes:
        original: does what the method did before, with the class as its first argument.
    """

    def __init__(
        self,
        owner: type,
        name: str,
        make: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        [self._names] = gc.get_referents(owner.__dict__)  # the object behind the view
        self._owner = owner
        self._name = name
        self._before = before = self._names[name]
        self.original = lambda cls, *args, **kwargs: before.__get__(None, cls)(*args, **kwargs)
        self._after = _ClassMethod(getattr(owner, name), make(self.original))

    def on(self) -> None:
        """Call the other function from now on."""
        self._set(self._after)

    def off(self) -> None:
        """Call the original one again."""
        self._set(self._before)

    def _set(self, method: object) -> None:
        self._names[self._name] = method
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(self._owner))


class _ClassMethod:
    """Gives a builtin that calls a function with the class: other code relies on its type."""

    def __init__(self, method: Any, function: Callable[..., Any]) -> None:
        pair = _Holder.from_address(id(method) + _HEAD).pair
        self._entry = _entry_like(_Entry.from_address(pair.called), _KEYWORDS)
        self._function = function

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        called = functools.partial(self._function, owner)
        builtin: Callable[..., Any] = _new_builtin(
            ctypes.addressof(self._entry), called, owner.__module__
        )
        return builtin
