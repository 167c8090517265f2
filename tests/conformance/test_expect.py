"""What a test's expectation says when it is not met."""

import asyncio
from collections.abc import Awaitable
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.errors import Deviation, described, shown
from conformance.harness.clause import ClauseMark
from conformance.harness.expect import expect, expect_error, expect_raises, expect_that
from conformance.run.session import finding_of
from conformance.suite.test_serving import port_for


def deviation(error: "pytest.ExceptionInfo[Deviation]") -> tuple[str, str]:
    return error.value.expected, error.value.seen


def test_what_is_met_says_nothing() -> None:
    expect(1, 1)
    expect_that(True, "anything", None)
    with expect_raises(ValueError) as raised:
        raise ValueError("this")
    assert str(raised.error) == "this"


def test_unequal_values_are_both_shown() -> None:
    with pytest.raises(Deviation) as error:
        expect(b"seen", b"expected", "the line")
    assert deviation(error) == ("the line b'expected'", "the line b'seen'")
    assert str(error.value) == "expected the line b'expected'; saw the line b'seen'"


def test_a_condition_is_said_in_words() -> None:
    with pytest.raises(Deviation) as error:
        expect_that(False, "at most 4 bytes", b"12345")
    assert deviation(error) == ("at most 4 bytes", "b'12345'")


@pytest.mark.parametrize(
    ("raised", "seen"), [(None, "no exception"), (KeyError("k"), "KeyError: 'k'")]
)
def test_the_wrong_exception_or_none(raised: Exception | None, seen: str) -> None:
    def misbehave() -> None:
        if raised is not None:
            raise raised

    with pytest.raises(Deviation) as error, expect_raises((ValueError, TypeError)):
        misbehave()
    assert deviation(error) == ("ValueError or TypeError to be raised", seen)


def test_a_subclass_will_do_and_cancellation_passes_through() -> None:
    with expect_raises(OSError) as raised:
        raise ConnectionResetError("gone")
    assert isinstance(raised.error, ConnectionResetError)
    with pytest.raises(asyncio.CancelledError), expect_raises(ValueError):
        raise asyncio.CancelledError


async def returning(value: object) -> object:
    return value


async def raising(error: Exception) -> object:
    raise error


@pytest.mark.parametrize(
    ("awaitable", "seen"),
    [(returning(b"data"), "b'data' returned"), (raising(KeyError()), "KeyError")],
)
def test_an_awaitable_that_does_not_raise_shows_what_it_returned(
    awaitable: Awaitable[Any], seen: str
) -> None:
    with pytest.raises(Deviation) as error:
        asyncio.run(expect_error(EOFError, awaitable))
    assert deviation(error) == ("EOFError to be raised", seen)


def test_an_awaitable_that_raises_returns_its_exception() -> None:
    error = EOFError()
    assert asyncio.run(expect_error(EOFError, raising(error))) is error


def test_long_values_are_shortened_and_bytes_are_counted() -> None:
    assert shown(b"short") == "b'short'"
    text = shown(bytes(1000))
    assert len(text) < 130
    assert text.endswith("(1000 bytes)")
    assert "…" in text


def test_an_exception_is_described_on_one_line() -> None:
    assert described(ValueError("one\n  two")) == "ValueError: one two"
    assert described(ValueError()) == "ValueError"


def test_an_error_in_a_helper_of_the_suite_shows_its_line() -> None:
    def test() -> None:
        port_for(SimpleNamespace(sockets=None), 2)  # type: ignore[arg-type]  # on purpose

    with pytest.raises(TypeError) as raised:
        test()
    found = finding_of(raised.value, ClauseMark("", (), (), test.__code__))
    assert found.expected.startswith("no exception at `ports: ")
    assert "raised in conformance/suite/test_serving.py:" in found.seen
    assert found.test == "test"


@pytest.mark.parametrize(
    ("used", "advice"),
    [
        (SimpleNamespace(), "; what is not offered belongs in `without`: Server.is_serving"),
        (None, ""),  # which lacks everything, and stands for nothing that is offered
    ],
)
def test_what_lacks_a_name_that_may_be_lacking_is_advised_to_say_so(used: Any, advice: str) -> None:
    with pytest.raises(AttributeError) as raised:
        expect(used.is_serving(), True)
    test = test_what_lacks_a_name_that_may_be_lacking_is_advised_to_say_so
    found = finding_of(raised.value, ClauseMark("", (), (), test.__code__))
    assert found.seen.endswith(f"has no attribute 'is_serving'{advice}")
