"""The callback of a server: how it is called and run, and how its failures are handled."""

import asyncio
import functools
import gc
import inspect
import ssl
import warnings
import weakref
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn

from conformance.harness.addresses import carrier
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import HALF_CLOSED, PLAIN, RESETTABLE, SERVER, TLS, clause
from conformance.harness.expect import expect, expect_raises, expect_that
from conformance.harness.expectations import collected, expect_nothing_reported, expect_talk
from conformance.harness.patterns import overfill
from conformance.harness.reading import take, take_rest
from conformance.harness.trial import Connection, Served, Trial
from conformance.networks.tls import HOST_NAME, TlsWire, client_context
from conformance.networks.wire import Wire

# How it is called.


MANY = 50  # clients: fewer than the backlog by default


@clause("handlers.called-once-for-each-connection", roles=SERVER)
async def test_called_once_for_each_connection(trial: Trial) -> None:
    served = await trial.serve()
    await trial.turns()
    expect(served.pairs.qsize(), 0, "calls before there was a client:")
    for number in (1, 2, 3):
        _, _, wire = await trial.accept(served)
        await wire.send(b"x")
        await wire.settle()
        expect(served.pairs.qsize(), 0, f"further calls after {number} clients:")


@clause("handlers.called-once-for-each-connection", networks=PLAIN, roles=SERVER)
async def test_called_for_many_at_once(trial: Trial) -> None:
    served = await trial.serve()
    for _ in range(MANY):
        await trial.dial(served.server)
    kept = [await served.pairs.get() for _ in range(MANY)]  # hangs if one is left out
    await trial.turns()
    expect(served.pairs.qsize(), 0, f"calls beyond {len(kept)}:")


@clause("handlers.called-once-for-each-connection", networks=PLAIN, roles=SERVER)
async def test_called_for_many_in_succession(trial: Trial) -> None:
    served = await trial.serve()
    for number in range(3 * MANY):
        wire = await trial.network.dial(served.server)
        _, writer = await served.pairs.get()
        writer.write(b"%d" % number)
        writer.close()
        expect(await wire.receive_rest(), b"%d" % number)
        await wire.close()


@clause("handlers.plain.any-result", roles=SERVER)
async def test_plain_result(trial: Trial) -> None:
    async def nothing() -> None:
        pass

    results = (
        0,
        "text",
        object(),
        Inscrutable(),
        trial.start(nothing()),
        trial.loop.create_future(),
        [nothing],
    )
    for result in results:
        served = Served()

        def callback(*pair: Any, result: object = result, served: Served = served) -> object:
            served.accepted(*pair)
            return result

        wire = await trial.dial((await trial.serve(callback)).server)
        reader, writer = await served.pairs.get()
        await expect_talk(Connection(reader, writer, wire))
    expect(trial.reported, [], "reported:")


class Inscrutable:
    """A result that has no truth value and cannot be compared, as a matrix."""

    def __bool__(self) -> NoReturn:
        """Refuse."""
        raise ValueError

    def __eq__(self, _: object) -> NoReturn:
        """Refuse."""
        raise ValueError

    __hash__ = None  # type: ignore[assignment]  # what cannot be compared cannot be hashed


class Promise:
    """An awaitable that is no coroutine.

    Attributes:
        awaited: how often it was awaited.
    """

    def __init__(self) -> None:
        self.awaited = 0

    def __await__(self) -> Iterator[None]:
        """Take note."""
        self.awaited += 1
        return iter(())


@clause("handlers.plain.any-result", networks=PLAIN, roles=SERVER)
async def test_plain_result_that_ends(trial: Trial) -> None:
    failed, cancelled, done, pending = (trial.loop.create_future() for _ in range(4))
    promise = Promise()
    for result in (failed, cancelled, done, pending, promise):
        served = Served()

        def callback(*pair: Any, result: object = result, served: Served = served) -> object:
            served.accepted(*pair)
            return result

        served.server = (await trial.serve(callback)).server
        connection = await trial.accept(served)
        if result is failed:
            failed.set_exception(Failure())
        elif result is cancelled:
            cancelled.cancel()
        elif result is done:
            done.set_result(None)
        await connection.wire.settle()
        await expect_talk(connection)
    expect_that(isinstance(failed.exception(), Failure), "its own exception", failed)
    expect(pending.done(), False, "a future that nobody has ended is done:")
    expect(promise.awaited, 0, "times that an awaitable was awaited:")
    await expect_nothing_reported(trial)


@clause("handlers.two-arguments", roles=SERVER)
async def test_two_arguments(trial: Trial) -> None:
    called: asyncio.Future[tuple[Any, Any]] = trial.loop.create_future()

    def callback(*arguments: Any, **named: Any) -> None:
        called.set_result((arguments, named))

    await trial.dial((await trial.serve(callback)).server)
    arguments, named = await called
    expect(len(arguments), 2, "arguments by position:")
    expect(named, {}, "arguments by name:")
    expect_that(hasattr(arguments[0], "readline"), "the first to be a reader", arguments[0])
    expect_that(hasattr(arguments[1], "drain"), "the second to be a writer", arguments[1])
    arguments[1].close()


@clause("handlers.reader-class", roles=SERVER)
async def test_reader_is_a_stream_reader(trial: Trial) -> None:
    reader, _, _ = await trial.connect()
    kind = trial.streams.StreamReader
    expect_that(isinstance(reader, kind), "an instance of StreamReader", type(reader))


@clause("handlers.writer-class", roles=SERVER)
async def test_writer_is_a_stream_writer(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    kind = trial.streams.StreamWriter
    expect_that(isinstance(writer, kind), "an instance of StreamWriter", type(writer))


@clause("handlers.pair-is-the-connection", roles=SERVER)
async def test_pair_is_the_connection(trial: Trial) -> None:
    async def echo(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(await take(reader, 1))
        writer.close()

    served = await trial.serve(echo)
    wires = [await trial.dial(served.server) for _ in range(4)]
    for number in (2, 0, 3, 1):
        await wires[number].send(b"%d" % number)
    for number, wire in enumerate(wires):
        expect(await wire.receive_rest(), b"%d" % number, f"the answer to client {number}")


# Plain callables.


class Greeter:
    """Plain callbacks of several shapes, each of which sends a greeting and keeps its pair."""

    def __init__(self) -> None:
        self.kept: list[tuple[StreamReader, StreamWriter]] = []

    def method(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Send a greeting."""
        self.kept.append((reader, writer))
        writer.write(b"hello")

    def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Send a greeting."""
        self.method(reader, writer)


@clause("handlers.plain.any-callable", roles=SERVER)
async def test_plain_of_any_shape(trial: Trial) -> None:
    greeter = Greeter()
    shapes: tuple[Callable[[StreamReader, StreamWriter], None], ...] = (
        lambda reader, writer: greeter.method(reader, writer),
        greeter.method,
        functools.partial(Greeter.method, greeter),
        greeter,
    )
    for shape in shapes:
        wire = await trial.dial((await trial.serve(shape)).server)
        expect(await wire.receive(5), b"hello")


@clause("handlers.plain.connection-outlives-the-call", roles=SERVER)
async def test_connection_outlives_the_call(trial: Trial) -> None:
    served = await trial.serve()  # with a plain callable, which hands the pair over to us
    reader, writer, wire = await trial.accept(served)
    await wire.settle()
    gc.collect()
    await wire.send(b"?")
    expect(await take(reader, 1), b"?")
    writer.write(b"!")
    expect(await wire.receive(1), b"!")


@clause("handlers.plain.on-the-loop", roles=SERVER)
async def test_plain_on_the_loop(trial: Trial) -> None:
    async def answer(writer: StreamWriter) -> None:
        writer.write(b"!")
        writer.close()

    tasks = []

    def callback(_: StreamReader, writer: StreamWriter) -> None:
        tasks.append(asyncio.create_task(answer(writer)))

    wire = await trial.dial((await trial.serve(callback)).server)
    expect(await wire.receive_rest(), b"!")


@clause("handlers.plain.may-write-at-once", roles=SERVER)
async def test_plain_may_write_at_once(trial: Trial) -> None:
    def callback(_: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    wire = await trial.dial((await trial.serve(callback)).server)
    expect(await wire.receive_rest(), b"hello")


# Coroutines.


@clause("handlers.coroutine.runs-as-a-task", roles=SERVER)
async def test_coroutine_runs_as_a_task(trial: Trial) -> None:
    running: asyncio.Future[tuple[Any, ...]] = trial.loop.create_future()

    async def handler(_: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        running.set_result((task, asyncio.get_running_loop(), task in asyncio.all_tasks()))
        writer.close()

    await trial.dial((await trial.serve(handler)).server)
    task, loop, listed = await running
    expect_that(isinstance(task, asyncio.Task), "the handler to run in a Task", task)
    expect(loop is asyncio.get_running_loop(), True, "on the server's loop:")
    expect(listed, True, "among all_tasks():")
    expect(task is not asyncio.current_task(), True, "in a task of its own:")


@clause("handlers.coroutine.concurrently", roles=SERVER)
async def test_coroutines_concurrently(trial: Trial) -> None:
    handlers: list[asyncio.Task[Any] | None] = []
    second_is_there = asyncio.Event()

    async def handler(_: StreamReader, writer: StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        if len(handlers) == 1:
            await second_is_there.wait()
        else:
            second_is_there.set()
        writer.write(b"done")
        writer.close()

    served = await trial.serve(handler)
    first = await trial.dial(served.server)
    second = await trial.dial(served.server)
    expect(await second.receive_rest(), b"done")
    expect(await first.receive_rest(), b"done")
    expect_that(handlers[0] is not handlers[1], "a task for each client", "one task")


class Answerer:
    """Coroutine handlers of several shapes, each of which answers a byte with another."""

    async def method(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer a byte."""
        await take(reader, 1)
        writer.write(b"!")
        writer.close()

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Answer a byte."""
        await self.method(reader, writer)


class Compiled(Coroutine[Any, Any, None]):
    """A coroutine of a class of its own, as compilers of Python make them."""

    def __init__(self, inner: Coroutine[Any, Any, None]) -> None:
        self.inner = inner

    def send(self, value: Any) -> Any:
        """Go on."""
        return self.inner.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        return self.inner.throw(*error)

    def close(self) -> None:
        """End."""
        self.inner.close()

    def __await__(self) -> Any:
        """Wait for the end."""
        return self.inner.__await__()


@clause("handlers.coroutine.of-any-shape", roles=SERVER)
async def test_coroutine_of_any_shape(trial: Trial) -> None:
    answerer = Answerer()
    shapes: tuple[Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, None]], ...] = (
        answerer.method,
        functools.partial(Answerer.method, answerer),
        answerer,
        lambda reader, writer: answerer.method(reader, writer),
        lambda reader, writer: Compiled(answerer.method(reader, writer)),
    )
    for shape in shapes:
        wire = await trial.dial((await trial.serve(shape)).server)
        await wire.send(b"?")
        expect(await wire.receive_rest(), b"!")


@clause("handlers.coroutine.task-factory", roles=SERVER)
async def test_task_factory(trial: Trial) -> None:
    class TracedTask(asyncio.Task[Any]):
        pass

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        return TracedTask(coroutine, loop=loop, **options)

    running: asyncio.Future[asyncio.Task[Any] | None] = trial.loop.create_future()

    async def handler(_: StreamReader, writer: StreamWriter) -> None:
        running.set_result(asyncio.current_task())
        writer.close()

    trial.loop.set_task_factory(factory)
    await trial.dial((await trial.serve(handler)).server)
    task = await running
    expect_that(isinstance(task, TracedTask), "a task of the factory's", task)


@clause("handlers.coroutine.kept-alive", roles=SERVER)
async def test_coroutine_kept_alive(trial: Trial) -> None:
    # The handler waits for its reader, and nothing but the handler refers to the reader.
    async def handler(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"ready")
        await take(reader, 1)
        writer.write(b"!")
        writer.close()

    wire = await trial.dial((await trial.serve(handler)).server)
    await wire.receive(5)
    await wire.settle()
    gc.collect()
    await trial.turns()
    gc.collect()
    await wire.send(b"?")
    expect(await wire.receive_rest(), b"!")


@clause("handlers.coroutine.kept-alive", roles=SERVER)
async def test_forgotten_coroutine_kept_alive(trial: Trial) -> None:
    tasks: list[weakref.ref[asyncio.Task[Any]]] = []
    started = asyncio.Event()

    async def handler(_: StreamReader, __: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(weakref.ref(task))
        del task
        started.set()
        await trial.loop.create_future()  # until it is cancelled: nothing refers to the future

    wire = await trial.dial((await trial.serve(handler)).server)
    await started.wait()
    await wire.settle()
    gc.collect()
    # The report on a destroyed task refers to the task, and keeps it from then on.
    expect([each["message"] for each in trial.reported], [], "reported:")
    expect([task() is None for task in tasks], [False], "collected while it waits:")


@clause("handlers.coroutine.not-kept-afterwards", roles=SERVER)
async def test_coroutine_not_kept_afterwards(trial: Trial) -> None:
    class Result:
        pass

    class Own(Exception):
        pass

    for ends_with in (None, Own, asyncio.CancelledError):
        kept: list[weakref.ref[Any]] = []

        async def handler(
            _: StreamReader,
            writer: StreamWriter,
            kept: list[weakref.ref[Any]] = kept,
            error: type[BaseException] | None = ends_with,
        ) -> Result:
            writer.close()
            result = Result()
            kept += [weakref.ref(result), weakref.ref(asyncio.current_task())]
            if error is not None:
                raise error
            return result

        wire = await trial.dial((await trial.serve(handler)).server)
        await wire.receive_to_end()
        await wire.close()
        await trial.turns()
        trial.reported.clear()  # a report of its failure may refer to it
        gc.collect()
        how = "returned" if ends_with is None else f"raised {ends_with.__name__}"
        left = [each() is None for each in kept]
        expect(left, [True, True], f"result and task collected, when it has {how}:")


@clause("handlers.coroutine.connection-outlives-it", roles=SERVER)
async def test_connection_outlives_the_coroutine(trial: Trial) -> None:
    pairs: asyncio.Queue[tuple[StreamReader, StreamWriter]] = asyncio.Queue()

    async def handler(reader: StreamReader, writer: StreamWriter) -> None:
        pairs.put_nowait((reader, writer))

    wire = await trial.dial((await trial.serve(handler)).server)
    reader, writer = await pairs.get()
    await wire.settle()
    await wire.send(b"?")
    expect(await reader.readexactly(1), b"?")
    writer.write(b"!")
    expect(await wire.receive(1), b"!")
    writer.close()


@clause("handlers.not-cancelled-by-the-client", roles=SERVER)
async def test_not_cancelled_by_the_client(trial: Trial) -> None:
    await expect_not_cancelled(trial, lambda wire: wire.close())


@clause("handlers.not-cancelled-by-the-client", networks=RESETTABLE, roles=SERVER)
async def test_not_cancelled_by_a_reset(trial: Trial) -> None:
    # A half-close leaves the other direction open, and no connection is lost.
    await expect_not_cancelled(trial, lambda wire: wire.reset())


async def expect_not_cancelled(
    trial: Trial, leave: Callable[[Wire], Coroutine[Any, Any, None]]
) -> None:
    """Expect a handler to go on to its end after its client has left."""
    started, client_is_gone = asyncio.Event(), asyncio.Event()
    ended: asyncio.Future[str] = trial.loop.create_future()

    async def handler(_: StreamReader, writer: StreamWriter) -> None:
        try:
            started.set()
            await client_is_gone.wait()
        except asyncio.CancelledError:
            ended.set_result("cancelled")
            raise
        ended.set_result("finished")
        writer.close()

    wire = await trial.dial((await trial.serve(handler)).server)
    await started.wait()
    await leave(wire)
    await wire.settle()
    client_is_gone.set()
    expect(await ended, "finished", "the handler")


@clause("handlers.data-of-a-client-that-left", roles=SERVER)
async def test_data_of_a_client_that_left(trial: Trial) -> None:
    said = b"all that there is to say"
    read: asyncio.Future[bytes] = trial.loop.create_future()

    async def handler(reader: StreamReader, writer: StreamWriter) -> None:
        # Not to the end: a TLS transport may fail to answer a peer that is gone, and say so.
        read.set_result(await take(reader, len(said)))
        writer.close()

    wire = await trial.dial((await trial.serve(handler)).server)
    await wire.send(said)
    await wire.close()
    expect(await read, said)


@clause("handlers.tls.after-the-handshake", networks=TLS, roles=SERVER)
async def test_after_the_handshake(trial: Trial) -> None:
    served = await trial.serve()
    async with closing_wire(await carrier(trial).dial(served.server)) as below:
        await below.settle()
        expect(served.pairs.qsize(), 0, "calls before the handshake:")
        wire = TlsWire(below, client_context(), server_side=False, server_hostname=HOST_NAME)
        await wire.handshake()
        _, writer = await served.pairs.get()
        writer.close()


@clause("handlers.coroutine.abandoned.closes", roles=SERVER)
async def test_abandoned_closes(trial: Trial) -> None:
    returned = asyncio.Event()

    async def handler(_: StreamReader, __: StreamWriter) -> None:
        returned.set()

    with warnings.catch_warnings():
        # An implementation that warns of the forgotten writer is right, too.
        warnings.simplefilter("ignore", ResourceWarning)
        wire = await trial.dial((await trial.serve(handler)).server)
        await returned.wait()
        await trial.turns()
        gc.collect()
        await wire.receive_to_end()  # hangs if it is left open


# Failures.


class Failure(Exception):
    """The exception that the handlers below raise."""


async def failing(_: StreamReader, __: StreamWriter) -> NoReturn:
    """Fail as a coroutine."""
    raise Failure


def plainly_failing(_: StreamReader, __: StreamWriter) -> NoReturn:
    """Fail as a plain callable."""
    raise Failure


def noting(event: asyncio.Event, callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callback of the same kind as `callback`, which sets `event` before."""
    if not inspect.iscoroutinefunction(callback):

        def plain(reader: StreamReader, writer: StreamWriter) -> Any:
            event.set()
            return callback(reader, writer)

        return plain

    async def coroutine(reader: StreamReader, writer: StreamWriter) -> None:
        event.set()
        await callback(reader, writer)

    return coroutine


async def expect_one_report(
    trial: Trial, callback: Callable[..., object], name: str = "Failure"
) -> None:
    """Expect the failure of `callback`, and nothing else, to be reported, once.

    Args:
        trial: the trial.
        callback: the callback that fails.
        name: the name of the exception's class.
    """
    called = asyncio.Event()
    served = await trial.serve(noting(called, callback))
    wire = await trial.dial(served.server)
    await called.wait()
    await wire.settle()
    served.server.close()
    await trial.turns()
    await wire.close()
    await collected(trial)
    seen = [type(each.get("exception")).__name__ for each in trial.reported]
    expect(seen, [name], "reported:")
    expect_that(bool(trial.reported[0].get("message")), "a message", trial.reported[0])


async def expect_harmless(trial: Trial, callback: Callable[..., object]) -> None:
    """Expect others to be served after `callback` failed, and the server to close."""
    failed = asyncio.Event()

    def failing_once(reader: StreamReader, writer: StreamWriter) -> object:
        if not failed.is_set():
            failed.set()
            return callback(reader, writer)
        writer.write(b"served")
        writer.close()
        return None

    served = await trial.serve(failing_once)
    first = await trial.dial(served.server)
    await failed.wait()
    second = await trial.dial(served.server)
    expect(await second.receive_rest(), b"served")
    await second.close()
    await first.close()
    served.server.close()
    await served.server.wait_closed()  # hangs if the failed connection still counts


@clause("handlers.coroutine.failure.reported-once", roles=SERVER)
async def test_failure_reported_once(trial: Trial) -> None:
    await expect_one_report(trial, failing)


@clause("handlers.coroutine.failure.reported-once", roles=SERVER)
async def test_failure_after_closing_reported_once(trial: Trial) -> None:
    async def handler(reader: StreamReader, writer: StreamWriter) -> None:
        writer.close()
        await failing(reader, writer)

    await expect_one_report(trial, handler)


FAILURES = (
    ConnectionResetError("the handler's own"),
    asyncio.IncompleteReadError(b"", 1),
    asyncio.LimitOverrunError("the handler's own", 1),
    TimeoutError("the handler's own"),
    ssl.SSLError("the handler's own"),
    ExceptionGroup("several", [Failure()]),
)


class Stop(BaseException):
    """An exception that `except Exception` does not catch."""


@clause("handlers.coroutine.failure.reported-once", networks=PLAIN, roles=SERVER)
async def test_failures_of_any_class_reported_once(trial: Trial) -> None:
    for error in (*FAILURES, Stop()):

        async def handler(_: StreamReader, __: StreamWriter, error: BaseException = error) -> None:
            raise error

        await expect_one_report(trial, handler, type(error).__name__)
        trial.reported.clear()


async def expect_a_report_each(trial: Trial, callback: Callable[..., object]) -> None:
    """Expect the failure of `callback` to be reported for each of several clients."""
    called = asyncio.Event()
    served = await trial.serve(noting(called, callback))
    for number in range(1, 4):
        called.clear()
        wire = await trial.dial(served.server)
        await called.wait()
        await wire.settle()
        await collected(trial)
        seen = [type(each.get("exception")).__name__ for each in trial.reported]
        expect(seen, ["Failure"] * number, f"reported of {number} clients of one server:")


@clause("handlers.coroutine.failure.reported-once", networks=PLAIN, roles=SERVER)
async def test_failures_of_one_server_reported_each(trial: Trial) -> None:
    await expect_a_report_each(trial, failing)


@clause("handlers.plain.failure.reported-once", networks=PLAIN, roles=SERVER)
async def test_plain_failures_of_one_server_reported_each(trial: Trial) -> None:
    await expect_a_report_each(trial, plainly_failing)


@clause("handlers.plain.failure.reported-once", networks=PLAIN, roles=SERVER)
async def test_plain_failures_of_any_class_reported_once(trial: Trial) -> None:
    for error in FAILURES:

        def callback(_: StreamReader, __: StreamWriter, error: Exception = error) -> None:
            raise error

        await expect_one_report(trial, callback, type(error).__name__)
        trial.reported.clear()


@clause("handlers.coroutine.failure.closes", networks=PLAIN, roles=SERVER)
async def test_failures_of_any_class_close(trial: Trial) -> None:
    for error in (*FAILURES, Stop()):

        async def handler(_: StreamReader, __: StreamWriter, error: BaseException = error) -> None:
            raise error

        wire = await trial.dial((await trial.serve(handler)).server)
        await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.coroutine.failure.closes", roles=SERVER)
async def test_failure_closes(trial: Trial) -> None:
    wire = await trial.dial((await trial.serve(failing)).server)
    await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.coroutine.failure.closes", networks=HALF_CLOSED, roles=SERVER)
async def test_failure_after_the_clients_eof_closes(trial: Trial) -> None:
    async def handler(reader: StreamReader, _: StreamWriter) -> None:
        await take_rest(reader)
        raise Failure

    wire = await trial.dial((await trial.serve(handler)).server)
    await wire.send_eof()
    await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.coroutine.failure.closes", roles=SERVER)
async def test_failure_with_unread_data_closes(trial: Trial) -> None:
    async def handler(reader: StreamReader, writer: StreamWriter) -> None:
        await arrived.wait()
        await take(reader, 1)
        writer.write(data)
        raise Failure

    arrived = asyncio.Event()
    data = overfill(trial)
    wire = await trial.dial((await trial.serve(handler)).server)
    await wire.send(b"a request")
    await wire.settle()  # what a kernel has received, and the program has not, makes a reset
    arrived.set()
    received, _ = await wire.receive_to_end()
    expect(len(received), len(data), "bytes:")


@clause("handlers.coroutine.failure.harms-nobody", roles=SERVER)
async def test_failure_harms_nobody(trial: Trial) -> None:
    await expect_harmless(trial, failing)


@clause("handlers.coroutine.failure.harms-nobody", roles=SERVER)
async def test_failure_harms_no_other_handler(trial: Trial) -> None:
    async def handler(reader: StreamReader, writer: StreamWriter) -> None:
        if await take(reader, 1) == b"!":
            raise Failure
        writer.write(b"served")
        writer.close()

    served = await trial.serve(handler)
    one, other = [await trial.dial(served.server) for _ in range(2)]
    await one.settle()
    await one.send(b"!")
    await one.receive_to_end()
    await other.send(b"?")
    expect(await other.receive_rest(), b"served", "what the other client received:")


@clause("handlers.plain.failure.reported-once", roles=SERVER)
async def test_plain_failure_reported_once(trial: Trial) -> None:
    await expect_one_report(trial, plainly_failing)


@clause("handlers.plain.failure.closes", roles=SERVER)
async def test_plain_failure_closes(trial: Trial) -> None:
    wire = await trial.dial((await trial.serve(plainly_failing)).server)
    await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.plain.failure.closes", roles=SERVER)
async def test_what_was_written_before_a_plain_failure_is_sent(trial: Trial) -> None:
    data = overfill(trial)

    def callback(_: StreamReader, writer: StreamWriter) -> NoReturn:
        writer.write(data)
        raise Failure

    wire = await trial.dial((await trial.serve(callback)).server)
    expect(await wire.receive_rest(), data, "bytes:")


@clause("handlers.plain.failure.closes", roles=SERVER)
async def test_plain_cancelled_error_closes(trial: Trial) -> None:
    kept = []

    def callback(*pair: object) -> NoReturn:
        kept.append(pair)
        raise asyncio.CancelledError

    wire = await trial.dial((await trial.serve(callback)).server)
    await wire.receive_to_end()  # hangs if it is left open


def expect_exit(trial: Trial, callback: Callable[..., object]) -> None:
    """Expect the SystemExit of a callback to end the run of the loop."""

    async def serve_one() -> None:
        await trial.dial((await trial.serve(callback)).server)
        await trial.loop.create_future()  # hangs if the loop runs on

    with expect_raises(SystemExit):
        trial.run(serve_one())


@clause("handlers.plain.exit", networks=PLAIN, roles=SERVER)
def test_plain_exit(trial: Trial) -> None:
    def callback(_: StreamReader, __: StreamWriter) -> NoReturn:
        raise SystemExit("enough")

    expect_exit(trial, callback)


@clause("handlers.coroutine.exit", networks=PLAIN, roles=SERVER)
def test_coroutine_exit(trial: Trial) -> None:
    async def handler(_: StreamReader, __: StreamWriter) -> NoReturn:
        raise SystemExit("enough")

    expect_exit(trial, handler)


@clause("handlers.plain.failure.harms-nobody", roles=SERVER)
async def test_plain_failure_harms_nobody(trial: Trial) -> None:
    await expect_harmless(trial, plainly_failing)


async def cancelled_handler(trial: Trial, *, close_first: bool = False) -> Wire:
    """Return the far end of a connection whose handler has been cancelled.

    Args:
        trial: the trial.
        close_first: whether to close the server before.
    """
    running: asyncio.Future[asyncio.Task[Any] | None] = trial.loop.create_future()

    async def handler(reader: StreamReader, _: StreamWriter) -> None:
        running.set_result(asyncio.current_task())
        await take_rest(reader)

    served = await trial.serve(handler)
    wire = await trial.dial(served.server)
    task = await running
    assert task is not None
    if close_first:
        served.server.close()
    task.cancel()
    return wire


@clause("handlers.coroutine.cancelled.closes", roles=SERVER)
async def test_cancelled_closes(trial: Trial) -> None:
    wire = await cancelled_handler(trial)
    await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.coroutine.cancelled.closes", roles=SERVER)
async def test_cancelled_when_the_server_is_closed(trial: Trial) -> None:
    wire = await cancelled_handler(trial, close_first=True)
    await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.coroutine.cancelled.closes", networks=HALF_CLOSED, roles=SERVER)
async def test_cancelled_after_the_clients_eof(trial: Trial) -> None:
    running: asyncio.Future[asyncio.Task[Any] | None] = trial.loop.create_future()

    async def handler(reader: StreamReader, _: StreamWriter) -> None:
        await take_rest(reader)
        running.set_result(asyncio.current_task())
        await trial.loop.create_future()

    wire = await trial.dial((await trial.serve(handler)).server)
    await wire.send_eof()
    task = await running
    assert task is not None
    task.cancel()
    await wire.receive_to_end()  # hangs if it is left open


@clause("handlers.coroutine.cancelled.closes", networks=PLAIN, roles=SERVER)
async def test_cancelled_before_it_began(trial: Trial) -> None:
    # A program that ends cancels all its tasks, also those that were made in this turn of the loop.
    kept: list[object] = []

    async def handler(reader: StreamReader, _: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # it has begun all the same: the implementation called it in another task
        await take_rest(reader)

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        given = [*inspect.getcoroutinelocals(coroutine).values()]
        if any(getattr(each, "cr_code", None) is handler.__code__ for each in (coroutine, *given)):
            kept.extend(given)  # a forgotten writer would close the connection
            task.cancel()
        return task

    served = await trial.serve(handler)
    trial.loop.set_task_factory(factory)
    wire = await trial.dial(served.server)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the coroutine was never awaited
        await wire.receive_to_end()  # hangs if it is left open
        kept.clear()


@clause("handlers.coroutine.cancelled.not-reported", roles=SERVER)
async def test_cancelled_not_reported(trial: Trial) -> None:
    wire = await cancelled_handler(trial)
    await wire.settle()
    await wire.close()
    await collected(trial)
    seen = [type(each.get("exception")).__name__ for each in trial.reported]
    expect(seen, [], "reported:")
