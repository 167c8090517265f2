"""Broken calls of the client handler, and broken Server objects."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from unittest import mock

from .connecting import Wrapped
from .sound import Protocol, Server, StreamReader, StreamWriter
from .specimen import specimen

# Handlers.


@specimen(
    "A handler that fails is reported, and its connection stays open.",
    "handlers.coroutine.failure.closes",
    "handlers.plain.failure.closes",
    "start_tls.handler-failure.shuts-tls-down",
    seen={
        "handlers.coroutine.failure.closes": "a hang",
        "handlers.plain.failure.closes": "a hang",
        "start_tls.handler-failure.shuts-tls-down": "a hang",
    },
)
class LeavesTheClientHanging(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "failed", "exception": error})


@specimen(
    "A handler that fails closes its connection, and nothing is reported.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
    seen={
        "handlers.coroutine.failure.reported-once": "reported: []",
        "handlers.plain.failure.reported-once": "reported: []",
    },
)
class FailsInSilence(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        connection.close()


@specimen(
    "The failure of a coroutine handler is reported twice.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
    seen="reported: ['Failure', 'Failure']",
)
class ReportsTwice(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "failed", "exception": error})
        super()._failed(connection, error)


@specimen(
    "The cancellation of a handler is reported as a failure.",
    "handlers.coroutine.cancelled.not-reported",
    seen="reported: ['CancelledError']",
)
class ReportsCancellation(Server):
    def _handled(self, connection: Any, task: Any) -> None:
        if task.cancelled():
            self._failed(connection, asyncio.CancelledError())
        super()._handled(connection, task)


@specimen(
    "A handler that is cancelled leaves its connection open.",
    "handlers.coroutine.cancelled.closes",
    seen="a hang",
)
class LeavesCancelledOpen(Server):
    def _handled(self, connection: Any, task: Any) -> None:
        if not task.cancelled():
            super()._handled(connection, task)


@specimen(
    "Only callbacks that inspect recognizes as coroutine functions run as tasks.",
    "handlers.coroutine.of-any-shape",
    seen="b''",
)
class CoroutineFunctionsOnly(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        served = callback(reader, writer)
        if asyncio.iscoroutine(served) and not inspect.iscoroutinefunction(callback):
            served.close()
            return None
        return served


@specimen(
    "The handler is called with keyword arguments.",
    "handlers.two-arguments",
    seen="arguments by position: 0",
)
class CallsByName(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        try:
            return callback(reader=reader, writer=writer)
        except TypeError:
            return callback(reader, writer)


@specimen(
    "Nothing refers to the handler's task.",
    "handlers.coroutine.kept-alive",
    seen="reported: ['Task was destroyed but it is",
)
class LosesItsTask(Server):
    def run(self, connection: Any, handling: Any) -> None:
        task = self._loop.create_task(handling)
        task.add_done_callback(lambda task: self._handled(connection, task))


@specimen(
    "The handler's task is not made by the task factory.",
    "handlers.coroutine.task-factory",
    seen="<Task finished name='Task-",
)
class MakesItsOwnTask(Server):
    def run(self, connection: Any, handling: Any) -> None:
        task: Any = asyncio.Task(handling, loop=self._loop)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda task: self._handled(connection, task))


tasks: set[Any] = set()


@specimen(
    "A handler is cancelled when its connection is lost.",
    "handlers.not-cancelled-by-the-client",
    seen="the handler 'cancelled'",
)
class CancelsItsHandler(Server):
    def run(self, connection: Any, handling: Any) -> None:
        async def serve() -> None:
            connection.serving = asyncio.current_task()
            await handling

        super().run(connection, serve())

    def forget(self, connection: Any) -> None:
        super().forget(connection)
        if (serving := getattr(connection, "serving", None)) is not None:
            serving.cancel()


@specimen(
    "The handler is called again for each piece of data.",
    "handlers.called-once-for-each-connection",
    seen="further calls after",
)
class CallsForEachPiece(Protocol):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        server: Any = self.server
        if server is not None and not asyncio.iscoroutinefunction(server._callback):
            server.serve(self)


@specimen(
    "The reader that a handler is given is a wrapper, not a StreamReader.",
    "handlers.reader-class",
    "unix.serve.accepts-clients",
    seen={
        "handlers.reader-class": "<class 'campaigns.zoo.connecting.Wrapped'>",
        "unix.serve.accepts-clients": "<class 'campaigns.zoo.connecting.Wrapped'>",
    },
)
class WrapsTheReader(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        return callback(Wrapped(reader), writer)


@specimen(
    "The writer that a handler is given is a wrapper, not a StreamWriter.",
    "handlers.writer-class",
    "unix.serve.accepts-clients",
    seen="<class 'campaigns.zoo.connecting.Wrapped'>",
)
class WrapsTheWriter(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        return callback(reader, Wrapped(writer))


@specimen(
    "Until the first client has left, all handlers are given its writer.",
    "handlers.pair-is-the-connection",
    basic=True,
    seen="the answer to client",
)
class MixesThePairs(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        open_ = [each for each in writers if not each.is_closing() and each._loop is self._loop]
        writers[:] = open_ or [writer]
        return callback(reader, writers[0])


writers: list[Any] = []


@specimen(
    "When a plain callable returns, the connection is closed.",
    "handlers.plain.connection-outlives-the-call",
    basic=True,
    seen="BrokenPipeError: [Errno 32] Broken pipe",
)
class ClosesAfterTheCall(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        served = callback(reader, writer)
        if not asyncio.iscoroutine(served):
            writer.close()
        return served


@specimen(
    "A plain callable is called in a thread.",
    "handlers.plain.on-the-loop",
    basic=True,
    seen="b''",
)
class CallsInAThread(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        if inspect.iscoroutinefunction(callback):
            return callback(reader, writer)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(callback, reader, writer).result()


@specimen(
    "Data that a plain callable writes before it returns is lost.",
    "handlers.plain.may-write-at-once",
    "handlers.coroutine.failure.harms-nobody",
    "handlers.plain.failure.harms-nobody",
    seen={
        "handlers.plain.may-write-at-once": "b''",
        "handlers.coroutine.failure.harms-nobody": "b''",
        "handlers.plain.failure.harms-nobody": "b''",
    },
)
class WritesNothingYet(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        writer.write = lambda data: None
        try:
            return callback(reader, writer)
        finally:
            del writer.write


@specimen(
    "A coroutine that a callback returns is driven by hand, without a task.",
    "handlers.coroutine.runs-as-a-task",
    seen="None",
)
class DrivesItself(Server):
    def run(self, connection: Any, handling: Any) -> None:
        self._loop.call_soon(self.step, connection, handling)

    def step(self, connection: Any, handling: Any) -> None:
        """Run the coroutine until it waits again."""
        try:
            future = handling.send(None)
        except StopIteration:
            return
        except asyncio.CancelledError:
            connection.close()
        except Exception as error:
            self._failed(connection, error)
        else:
            if future is None:
                self._loop.call_soon(self.step, connection, handling)
            else:
                future._asyncio_future_blocking = False
                future.add_done_callback(lambda _: self.step(connection, handling))


@specimen(
    "A server's handlers run one after the other.",
    "handlers.coroutine.concurrently",
    seen="a hang",
)
class OneAtATime(Server):
    turn: Any = None

    def run(self, connection: Any, handling: Any) -> None:
        self.turn = self.turn or asyncio.Lock()

        async def serve() -> None:
            async with self.turn:
                await handling

        super().run(connection, serve())


@specimen(
    "A server keeps the tasks of its handlers, for statistics.",
    "handlers.coroutine.not-kept-afterwards",
    seen="collected, when it has returned: [False",
)
class KeepsItsTasks(Server):
    def _handled(self, connection: Any, task: Any) -> None:
        super()._handled(connection, task)
        ended.append(task)


ended: list[Any] = []


@specimen(
    "When a coroutine handler returns, the connection is closed.",
    "handlers.coroutine.connection-outlives-it",
    seen="BrokenPipeError: [Errno 32] Broken pipe",
)
class ClosesAfterTheHandler(Server):
    def _handled(self, connection: Any, task: Any) -> None:
        super()._handled(connection, task)
        connection.close()


@specimen(
    "A SystemExit that leaves a callback is reported like any other failure.",
    "handlers.plain.exit",
    seen="Hang: expected",
)
class KeepsRunning(Server):
    def call(self, callback: Any, reader: Any, writer: Any) -> Any:
        try:
            return callback(reader, writer)
        except SystemExit as error:
            raise RuntimeError("the handler has failed") from error


# Server objects.


@specimen(
    "close() closes the connections, too.",
    "server.close.connections-stay",
    "server.close.connections-stay.after-serve-forever",
    seen={
        "server.close.connections-stay": "ConnectionResetError: the connection is",
        "server.close.connections-stay.after-serve-forever": "ConnectionResetError: the",
    },
)
class CloseEndsConnections(Server):
    def close(self) -> None:
        super().close()
        self.close_clients()


@specimen(
    "wait_closed() returns before the last connection has ended.",
    "server.wait-closed.waits-for-connections",
    seen="it returned None",
)
class DoesNotWaitForClients(Server):
    async def wait_closed(self) -> None:
        while not self._is_closed:
            await self._over.wait()

    def close(self) -> None:
        super().close()
        self._over.wake()


@specimen(
    "wait_closed() returns immediately if close() was not called.",
    "server.wait-closed.waits-for-close",
    "server.wait-closed.cancelled-alone",
    "server.wait-closed.waits-for-connections",
    seen={
        "server.wait-closed.waits-for-close": "it returned None",
        "server.wait-closed.cancelled-alone": "it returned None",
    },
)
class WaitsOnlyWhenClosed(Server):
    async def wait_closed(self) -> None:
        if self._is_closed:
            await super().wait_closed()


@specimen(
    "Server.sockets still lists the sockets after close().",
    "server.sockets.none-after-close",
    seen="sockets [<",
)
class ListsClosedSockets(Server):
    kept: tuple[Any, ...] = ()

    @property
    def sockets(self) -> tuple[Any, ...]:
        return super().sockets or self.kept

    def close(self) -> None:
        self.kept = self.sockets
        super().close()


@specimen(
    "Server.sockets is the server's own list.",
    "server.sockets.is-a-copy",
    seen="number of sockets: 0",
)
class GivesItsOwnList(Server):
    own: Any = None

    @property
    def sockets(self) -> Any:
        if self.own is None:
            self.own = list(super().sockets)
        return () if self._is_closed else self.own


@specimen(
    "is_serving() is always true.",
    "server.is-serving",
    "server.async-with.closes",
    seen={
        "server.is-serving": "before the start: True",
        "server.async-with.closes": "is_serving() True",
    },
)
class AlwaysServing(Server):
    def is_serving(self) -> bool:
        return True


@specimen(
    "A second close() raises.",
    "server.close.twice",
    "unix.cleanup-socket.once",
    seen="RuntimeError: the server is closed",
)
class ServerCloseOnce(Server):
    def close(self) -> None:
        if self._is_closed:
            raise RuntimeError("the server is closed")
        super().close()


@specimen(
    "A second serve_forever() waits like the first.",
    "server.serve-forever.only-one",
    seen="a hang",
)
class ServesForeverTwice(Server):
    async def serve_forever(self) -> None:
        if self._forever is not None:
            await asyncio.wait([self._forever])
            return
        await super().serve_forever()


@specimen(
    "serve_forever() leaves the server open when it is cancelled.",
    "server.serve-forever.cancelled.closes",
    seen="is_serving() True",
)
class StaysOpenWhenCancelled(Server):
    async def serve_forever(self) -> None:
        if self._forever is not None or self._is_closed:
            await super().serve_forever()
        await self.start_serving()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None


@specimen(
    "serve_forever() swallows its cancellation.",
    "server.serve-forever.cancelled.ends",
    "server.serve-forever.cancelled.closes",
    seen="cancelled: False",
)
class ServeForeverReturns(Server):
    async def serve_forever(self) -> None:
        try:
            await super().serve_forever()
        except asyncio.CancelledError:
            if not self._is_closed:
                raise


@specimen(
    "close() leaves serve_forever() waiting.",
    "server.serve-forever.ends-on-close",
    seen="a hang",
)
class ServesForeverIndeed(Server):
    def close(self) -> None:
        serving, self._forever = self._forever, None
        super().close()
        self._forever = serving


@specimen(
    "start_serving() on a closed server does nothing.",
    "server.start-serving.closed",
    "server.serve-forever.closed",
    seen={"server.start-serving.closed": "None returned", "server.serve-forever.closed": "a hang"},
)
class StartsTheClosed(Server):
    async def start_serving(self) -> None:
        if not self._is_closed:
            await super().start_serving()


@specimen(
    "close_clients() throws away data that was written.",
    "server.close-clients.flushes",
    "server.close-clients.tls-shutdown",
    seen="bytes on the wire",
)
class AbortsClients(Server):
    def close_clients(self) -> None:
        self.abort_clients()


@specimen(
    "close_clients() closes only one connection.",
    "server.close-clients.closes",
    seen="a hang",
)
class ClosesOneClient(Server):
    def close_clients(self) -> None:
        for client in tuple(self._connections)[:1]:
            client.close()


@specimen(
    "abort_clients() closes the connections normally, as close_clients() does.",
    "server.abort-clients.ends-at-once",
    seen="a hang after 20 s without progress",
)
class ClosesInsteadOfAborting(Server):
    def abort_clients(self) -> None:
        self.close_clients()


@specimen(
    "`async with` does not close the server after an exception.",
    "server.async-with.exception",
    seen="is_serving() True",
)
class StaysOpenAfterAnException(Server):
    async def __aexit__(self, *exc: object) -> None:
        if exc == (None, None, None):
            await super().__aexit__(*exc)


@specimen(
    "`async with` gives None.",
    "server.async-with.gives-the-server",
    seen="None",
)
class GivesNothing(Server):
    async def __aenter__(self) -> Any:
        await super().__aenter__()


@specimen(
    "The server is closed when nothing refers to it.",
    "server.lives-unreferenced",
    seen="FileNotFoundError: [Errno 2] No such file",
)
class DiesUnreferenced(Server):
    def begin(self, *accepting: Any) -> Any:
        made = super().begin(*accepting)

        class Handle:
            def __getattr__(self, name: str) -> Any:
                return getattr(made, name)

            async def __aenter__(self) -> Any:
                return self

            async def __aexit__(self, *_: Any) -> None:
                made.close()
                await made.wait_closed()

            def __del__(self) -> None:
                made.close()

        return Handle()


@specimen(
    "Server.sockets lists every socket twice.",
    "server.sockets.listening",
    seen="number of sockets: 2",
)
class ListsTwice(Server):
    @property
    def sockets(self) -> tuple[Any, ...]:
        sockets: tuple[Any, ...] = super().sockets
        return sockets * 2


@specimen(
    "get_loop() returns None.",
    "server.get-loop",
    seen="another one",
)
class HasNoLoop(Server):
    def get_loop(self) -> Any:
        return self._loop if self._accepting is None else None  # the first call is in __init__


@specimen(
    "start_serving() does nothing.",
    "server.start-serving.starts",
    seen="ConnectionRefusedError: [Errno 111]",
)
class StartsNothing(Server):
    async def start_serving(self) -> None:
        if self._is_closed:
            await super().start_serving()


@specimen(
    "A second start_serving() raises.",
    "server.start-serving.idempotent",
    seen="RuntimeError: the server is serving",
)
class StartsOnce(Server):
    async def start_serving(self) -> None:
        if self.is_serving():
            raise RuntimeError("the server is serving")
        await super().start_serving()

    async def serve_forever(self) -> None:
        if not self.is_serving():
            await self.start_serving()
        with mock.patch.object(self, "start_serving", super().start_serving):
            await super().serve_forever()


@specimen(
    "serve_forever() waits without starting the server.",
    "server.serve-forever.starts",
    seen="is_serving() False",
)
class ServesWhenToldTo(Server):
    async def serve_forever(self) -> None:
        if not self._is_closed and not self.is_serving():
            await self._loop.create_future()
        await super().serve_forever()


@specimen(
    "serve_forever() raises on a server that already serves.",
    "server.serve-forever.when-serving",
    seen="it raised RuntimeError: the server is",
)
class ServesFromTheStart(Server):
    async def serve_forever(self) -> None:
        if self.is_serving() and self._forever is None:
            raise RuntimeError("the server is serving")
        await super().serve_forever()


@specimen(
    "wait_closed() waits forever if the server and its connections were closed before.",
    "server.close.twice",
    "server.wait-closed.returns",
    seen={"server.close.twice": "a hang", "server.wait-closed.returns": "a hang"},
)
class WaitsForWhatIsOver(Server):
    async def wait_closed(self) -> None:
        if self._is_closed and not self._connections:
            await self._loop.create_future()
        await super().wait_closed()


@specimen(
    "Only the first of several wait_closed() is woken.",
    "server.wait-closed.several-waiters",
    "server.wait-closed.cancelled-alone",
    seen="a hang",
)
class WakesOneWaiter(Server):
    first: Any = None

    async def wait_closed(self) -> None:
        if self.first is None or self.first.done():
            self.first = asyncio.ensure_future(super().wait_closed())
            await self.first
        else:
            await self._loop.create_future()


@specimen(
    "wait_closed() waits for the accepted transports, but start_tls() replaces them.",
    "server.wait-closed.upgraded",
    seen="it returned None",
)
class WaitsForWhatItAccepted(Server):
    def serve(self, connection: Any) -> None:
        connection.accepted = connection.transport
        super().serve(connection)

    async def wait_closed(self) -> None:
        while not self._is_closed or self._is_one_left():
            await self._over.wait()

    def _is_one_left(self) -> bool:
        return any(each.transport is each.accepted for each in self._connections)


@specimen(
    "wait_closed() waits for the clients of the first socket only.",
    "server.several-sockets.clients",
    seen="it returned None",
)
class WaitsForItsFirstSocket(Server):
    async def wait_closed(self) -> None:
        while not self._is_closed or self._is_one_left():
            await self._over.wait()

    def begin(self, accepting: Any, *rest: Any) -> Server:
        self._address = accepting.sockets[0].getsockname()
        return super().begin(accepting, *rest)

    def _is_one_left(self) -> bool:
        return any(each.socket().getsockname() == self._address for each in self._connections)


@specimen(
    "close_clients() closes connections without shutting TLS down.",
    "server.close-clients.tls-shutdown",
    seen="what arrives, and its end: (b'the last",
)
class CutsTlsOff(Server):
    def close_clients(self) -> None:
        for client in tuple(self._connections):
            secured = client.transport.get_extra_info("ssl_object") is not None
            (client.transport.abort if secured else client.close)()


@specimen(
    "A handler that ends with a BaseException that is no Exception leaves its connection open.",
    "handlers.coroutine.failure.closes",
    seen="a hang",
    basic=True,
)
class ClosesAfterExceptions(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        if isinstance(error, Exception):
            super()._failed(connection, error)
        else:
            report = {"message": "a handler failed", "exception": error}
            self._loop.call_exception_handler(report)


@specimen(
    "Over TLS, data that a handler wrote before it failed, or was cancelled, is dropped.",
    "handlers.coroutine.failure.closes",
    "handlers.coroutine.cancelled.closes",
    "handlers.plain.failure.closes",
    seen="bytes: ",
    basic=True,
)
class DropsWhatTlsHolds(Server):
    def _failed(self, connection: Any, error: BaseException) -> None:
        super()._failed(connection, error)
        if connection.is_tls:
            connection.abort()

    def _handled(self, connection: Any, task: "asyncio.Task[Any]") -> None:
        super()._handled(connection, task)
        if task.cancelled() and connection.is_tls:
            connection.abort()


@specimen(
    "A plain callable's result is compared with None.",
    "handlers.plain.any-result",
    basic=True,
)
class ComparesResults(Server):
    def call(self, callback: Any, reader: StreamReader, writer: StreamWriter) -> Any:
        result = super().call(callback, reader, writer)
        return None if result == None else result  # noqa: E711  # this is the fault


@specimen(
    "The tasks of handlers that failed or were cancelled are kept.",
    "handlers.coroutine.not-kept-afterwards",
    seen="when it has raised Own: [False, False]",
    basic=True,
)
class KeepsFailedTasks(Server):
    kept: ClassVar[list[Any]] = []

    def _handled(self, connection: Any, task: "asyncio.Task[Any]") -> None:
        super()._handled(connection, task)
        if task.cancelled() or task.exception():
            self.kept.append(task)


@specimen(
    "In debug mode, the failure of a plain callable is not reported.",
    "handlers.loop-modes",
    seen="reported with debug: []",
    basic=True,
)
class HidesPlainFailures(Server):
    def call(self, callback: Any, reader: StreamReader, writer: StreamWriter) -> Any:
        try:
            return super().call(callback, reader, writer)
        except Exception:
            if not self._loop.get_debug():
                raise
            writer.close()
