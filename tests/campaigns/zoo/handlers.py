"""Broken calls of the client handler, and broken Server objects."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from conformance.marks import PLAIN, RESETTABLE, TLS, UNIX
from reference_impl import StreamReaderProtocol, StreamWriter
from reference_impl._server import Server

from .connecting import Wrapped
from .specimen import specimen

# Handlers.


@specimen(
    "A handler that fails is reported, and its connection stays open.",
    "handlers.coroutine.failure.closes",
    "handlers.plain.failure.closes",
    "start_tls.handler-failure.shuts-tls-down",
    only_on={
        PLAIN: (
            # Over TLS the client's end closes the connection.
            "handlers.coroutine.failure.harms-nobody",
            "handlers.plain.failure.harms-nobody",
        )
    },
)
class LeavesTheClientHanging(StreamReaderProtocol):
    def _failed(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "failed", "exception": error})


@specimen(
    "A handler that fails closes its connection, and nobody is told.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
)
class FailsInSilence(StreamReaderProtocol):
    def _failed(self, error: BaseException) -> None:
        self._transport.close()


@specimen(
    "The failure of a coroutine handler is reported twice.",
    "handlers.coroutine.failure.reported-once",
    "handlers.plain.failure.reported-once",
)
class ReportsTwice(StreamReaderProtocol):
    def _failed(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "failed", "exception": error})
        super()._failed(error)


@specimen(
    "The cancellation of a handler is reported as a failure.",
    "handlers.coroutine.cancelled.not-reported",
)
class ReportsCancellation(StreamReaderProtocol):
    def _served(self, task: Any) -> None:
        if task.cancelled():
            self._failed(asyncio.CancelledError())
        super()._served(task)


@specimen(
    "A handler that is cancelled leaves its connection open.",
    "handlers.coroutine.cancelled.closes",
)
class LeavesCancelledOpen(StreamReaderProtocol):
    def _served(self, task: Any) -> None:
        if not task.cancelled():
            super()._served(task)


class OwnServing(StreamReaderProtocol):
    """Serves as `StreamReaderProtocol` does, in steps that specimens get wrong."""

    def _serve(self, handler: Any, reader: Any, writer: Any) -> None:
        try:
            served = self.call(handler, reader, writer)
            if asyncio.iscoroutine(served):
                self.task(served)
        except asyncio.CancelledError:
            self._transport.close()
        except Exception as error:
            self._failed(error)

    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        """Call the handler."""
        return handler(reader, writer)

    def task(self, served: Any) -> None:
        """Run its coroutine."""
        super()._serve(lambda *_: served, None, None)  # type: ignore[arg-type]


@specimen(
    "Only what inspect calls a coroutine function is run as a task.",
    "handlers.coroutine.of-any-shape",
    "handlers.coroutine.failure.reported-once",
)
class CoroutineFunctionsOnly(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        served = handler(reader, writer)
        if asyncio.iscoroutine(served) and not inspect.iscoroutinefunction(handler):
            served.close()
            return None
        return served


@specimen(
    "The handler is called with its arguments by name.",
    "handlers.two-arguments",
)
class CallsByName(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        try:
            return handler(reader=reader, writer=writer)
        except TypeError:
            return handler(reader, writer)


@specimen(
    "The handler's task is referred to by nobody.",
    "handlers.coroutine.kept-alive",
)
class LosesItsTask(OwnServing):
    def task(self, served: Any) -> None:
        task = self._loop.create_task(served)
        task.add_done_callback(self._served)


@specimen(
    "The handler's task is not made by the task factory.",
    "handlers.coroutine.task-factory",
)
class MakesItsOwnTask(OwnServing):
    def task(self, served: Any) -> None:
        task: Any = asyncio.Task(served, loop=self._loop)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._served)


tasks: set[Any] = set()


@specimen(
    "A handler is cancelled when its connection is lost.",
    "handlers.not-cancelled-by-the-client",
    networks=RESETTABLE,
)
class CancelsItsHandler(OwnServing):
    serving: Any = None

    def task(self, served: Any) -> None:
        async def serve() -> None:
            self.serving = asyncio.current_task()
            await served

        super().task(serve())

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.serving is not None:
            self.serving.cancel()


@specimen(
    "The handler is called again for each piece of data.",
    "handlers.called-once-for-each-connection",
    "serving.limit.given",
    "server.start-serving.idempotent",
    "serving.ssl.context",
    "reader.any-program",
    "unix.serve.accepts-clients",
)
class CallsForEachPiece(OwnServing):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        handler, reader = self._client_connected_cb, self._stream_reader
        if handler is not None and not asyncio.iscoroutinefunction(handler):
            self._serve(handler, reader, StreamWriter(self._transport, self, reader, self._loop))


@specimen(
    "The reader that a handler is given is a wrapper, and no StreamReader.",
    "handlers.reader-class",
    "unix.serve.accepts-clients",
)
class WrapsTheReader(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        return handler(Wrapped(reader), writer)


@specimen(
    "The writer that a handler is given is a wrapper, and no StreamWriter.",
    "handlers.writer-class",
    "unix.serve.accepts-clients",
)
class WrapsTheWriter(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        return handler(reader, Wrapped(writer))


@specimen(
    "Handlers that are called before the first client has left are given that one's writer.",
    "handlers.pair-is-the-connection",
    basic=True,
)
class MixesThePairs(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        open_ = [each for each in writers if not each.is_closing() and each._loop is self._loop]
        writers[:] = open_ or [writer]
        return handler(reader, writers[0])


writers: list[Any] = []


@specimen(
    "When a plain callable returns, the connection is closed.",
    "handlers.plain.connection-outlives-the-call",
    basic=True,
)
class ClosesAfterTheCall(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        served = handler(reader, writer)
        if not asyncio.iscoroutine(served):
            writer.close()
        return served


@specimen(
    "A plain callable is called in a thread.",
    "handlers.plain.on-the-loop",
    basic=True,
)
class CallsInAThread(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        if inspect.iscoroutinefunction(handler):
            return handler(reader, writer)
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(handler, reader, writer).result()


@specimen(
    "What a plain callable writes before it returns is lost.",
    "handlers.plain.may-write-at-once",
    "handlers.plain.any-callable",
    "handlers.coroutine.failure.harms-nobody",
    "handlers.plain.failure.harms-nobody",
)
class WritesNothingYet(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        writer.write = lambda data: None
        try:
            return handler(reader, writer)
        finally:
            del writer.write


@specimen(
    "A coroutine that a callback returns is driven by hand, in no task.",
    "handlers.coroutine.runs-as-a-task",
    "handlers.coroutine.task-factory",
    "handlers.coroutine.concurrently",
    "handlers.coroutine.kept-alive",
    "handlers.coroutine.cancelled.closes",
    "handlers.coroutine.cancelled.not-reported",
)
class DrivesItself(OwnServing):
    def task(self, served: Any) -> None:
        self._loop.call_soon(self.step, served)

    def step(self, served: Any) -> None:
        """Run the coroutine to where it waits next."""
        try:
            future = served.send(None)
        except StopIteration:
            return
        except asyncio.CancelledError:
            self._close()
        except Exception as error:
            self._failed(error)
        else:
            if future is None:
                self._loop.call_soon(self.step, served)
            else:
                future._asyncio_future_blocking = False
                future.add_done_callback(lambda _: self.step(served))


@specimen(
    "A server's handlers run one after the other.",
    "handlers.coroutine.concurrently",
)
class OneAtATime(OwnServing):
    def task(self, served: Any) -> None:
        turn = self._server.__dict__.setdefault("turn", asyncio.Lock())

        async def serve() -> None:
            async with turn:
                await served

        super().task(serve())


@specimen(
    "A server keeps the tasks of its handlers, for statistics.",
    "handlers.coroutine.not-kept-afterwards",
)
class KeepsItsTasks(OwnServing):
    def _served(self, task: Any) -> None:
        super()._served(task)
        ended.append(task)


ended: list[Any] = []


@specimen(
    "When a coroutine handler returns, the connection is closed.",
    "handlers.coroutine.connection-outlives-it",
)
class ClosesAfterTheHandler(OwnServing):
    def _served(self, task: Any) -> None:
        super()._served(task)
        self._close()


@specimen(
    "SystemExit that leaves a callback is a failure like any other.",
    "handlers.plain.exit",
)
class KeepsRunning(OwnServing):
    def call(self, handler: Any, reader: Any, writer: Any) -> Any:
        try:
            return handler(reader, writer)
        except SystemExit as error:
            raise RuntimeError("the handler has failed") from error


# Server objects.


@specimen(
    "close() closes the connections, too.",
    "server.close.connections-stay",
    "server.close.connections-stay.after-serve-forever",
    only_on={
        # Over TLS the peer has to answer first.
        PLAIN: ("server.wait-closed.waits-for-connections",),
        UNIX: ("unix.serve.ssl",),
    },
)
class CloseEndsConnections(Server):
    def close(self) -> None:
        super().close()
        self.close_clients()


@specimen(
    "wait_closed() returns before the last connection has ended.",
    "server.wait-closed.waits-for-connections",
)
class DoesNotWaitForClients(Server):
    async def wait_closed(self) -> None:
        while not self._closed:
            await self._waiting.add()

    def close(self) -> None:
        super().close()
        self._waiting.wake()


@specimen(
    "wait_closed() returns at once where close() was not called.",
    "server.wait-closed.waits-for-close",
    "server.wait-closed.cancelled-alone",
    only_on={PLAIN: ("server.wait-closed.waits-for-connections",)},  # begun before close()
)
class WaitsOnlyWhenClosed(Server):
    async def wait_closed(self) -> None:
        if self._closed:
            await super().wait_closed()


@specimen(
    "sockets stay listed after close().",
    "server.sockets.none-after-close",
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
    "sockets is the server's own list.",
    "server.sockets.is-a-copy",
)
class GivesItsOwnList(Server):
    own: Any = None

    @property
    def sockets(self) -> Any:
        if self.own is None:
            self.own = list(super().sockets)
        return () if self._closed else self.own


@specimen(
    "is_serving() is always true.",
    "server.is-serving",
    "server.serve-forever.cancelled.closes",
    "server.close.stops-listening",
    "server.async-with.closes",
    "server.async-with.exception",
    "serving.keep-alive",
)
class AlwaysServing(Server):
    def is_serving(self) -> bool:
        return True


@specimen(
    "A second close() raises.",
    "server.close.twice",
    "unix.cleanup-socket.once",
)
class ServerCloseOnce(Server):
    def close(self) -> None:
        if self._closed:
            raise RuntimeError("the server is closed")
        super().close()


@specimen(
    "A second serve_forever() waits beside the first.",
    "server.serve-forever.only-one",
)
class ServesForeverTwice(Server):
    async def serve_forever(self) -> None:
        if self._serving is not None:
            await asyncio.wait([self._serving])
            return
        await super().serve_forever()


@specimen(
    "serve_forever() leaves the server open when it is cancelled.",
    "server.serve-forever.cancelled.closes",
    "server.serve-forever.cancelled.closes-clients",
)
class StaysOpenWhenCancelled(Server):
    async def serve_forever(self) -> None:
        if self._serving is not None or self._closed:
            await super().serve_forever()
        await self.start_serving()
        self._serving = self._loop.create_future()
        try:
            await self._serving
        finally:
            self._serving = None


@specimen(
    "serve_forever() swallows its cancellation.",
    "server.serve-forever.cancelled.ends",
    "server.serve-forever.cancelled.closes",
)
class ServeForeverReturns(Server):
    async def serve_forever(self) -> None:
        try:
            await super().serve_forever()
        except asyncio.CancelledError:
            if not self._closed:
                raise


@specimen(
    "close() leaves serve_forever() waiting.",
    "server.serve-forever.ends-on-close",
)
class ServesForeverIndeed(Server):
    def close(self) -> None:
        serving, self._serving = self._serving, None
        super().close()
        self._serving = serving


@specimen(
    "start_serving() on a closed server does nothing.",
    "server.start-serving.closed",
    "server.serve-forever.closed",
)
class StartsTheClosed(Server):
    async def start_serving(self) -> None:
        if not self._closed:
            await super().start_serving()


@specimen(
    "close_clients() throws away what was written.",
    "server.close-clients.flushes",
    "server.close-clients.tls-shutdown",
)
class AbortsClients(Server):
    def close_clients(self) -> None:
        self.abort_clients()


@specimen(
    "close_clients() closes one connection.",
    "server.close-clients.closes",
)
class ClosesOneClient(Server):
    def close_clients(self) -> None:
        for client in tuple(self._clients)[:1]:
            client._close()


@specimen(
    "abort_clients() closes the connections in order.",
    "server.abort-clients.ends-at-once",
)
class ClosesInsteadOfAborting(Server):
    def abort_clients(self) -> None:
        self.close_clients()


@specimen(
    "`async with` does not close the server after an exception.",
    "server.async-with.exception",
)
class StaysOpenAfterAnException(Server):
    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is None:
            await super().__aexit__(kind, error, traceback)


@specimen(
    "`async with` gives nothing.",
    "server.async-with.gives-the-server",
)
class GivesNothing(Server):
    async def __aenter__(self) -> Any:
        await super().__aenter__()


@specimen(
    "The server is closed when nobody refers to it.",
    "server.lives-unreferenced",
)
class DiesUnreferenced(Server):
    def _listen(self, listener: Any, cleanup: Any = None) -> Any:
        made = super()._listen(listener, cleanup)

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
    "sockets lists every socket twice.",
    "server.sockets.listening",
    "serving.host.string",
    "serving.host.sequence",
    "serving.port.random-for-each-interface",
    "serving.flags",
    "serving.reuse-address.default",
    "serving.reuse-address.false",
    "server.sockets.is-a-copy",
)
class ListsTwice(Server):
    @property
    def sockets(self) -> tuple[Any, ...]:
        return super().sockets * 2


@specimen(
    "get_loop() returns None.",
    "server.get-loop",
)
class HasNoLoop(Server):
    def get_loop(self) -> Any:
        return None if hasattr(self, "_listener") else self._loop  # it is asked to begin with


@specimen(
    "start_serving() does nothing.",
    "server.start-serving.starts",
    "server.serve-forever.starts",
    "server.is-serving",
    "serving.start-serving.false",
    "serving.keep-alive",
    "unix.serve.start-serving.false",
)
class StartsNothing(Server):
    async def start_serving(self) -> None:
        if self._closed:
            await super().start_serving()


@specimen(
    "A second start_serving() raises.",
    "server.start-serving.idempotent",
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
)
class ServesWhenToldTo(Server):
    async def serve_forever(self) -> None:
        if not self._closed and not self.is_serving():
            await self._loop.create_future()
        await super().serve_forever()


@specimen(
    "serve_forever() on a server that serves raises.",
    "server.serve-forever.when-serving",
    "server.serve-forever.cancelled.closes",
    "server.serve-forever.cancelled.closes-clients",
    "server.serve-forever.cancelled.ends",
    "server.serve-forever.only-one",
)
class ServesFromTheStart(Server):
    async def serve_forever(self) -> None:
        if self.is_serving() and self._serving is None:
            raise RuntimeError("the server is serving")
        await super().serve_forever()


@specimen(
    "wait_closed() waits for ever where the server and its connections were closed before.",
    "server.close.twice",
    "server.wait-closed.cancelled-alone",
    "server.async-with.gives-the-server",
    "server.async-with.closes",
    "server.async-with.exception",
    only_on={
        PLAIN: (
            # By TLS a connection is left for a while.
            "server.wait-closed.returns",
            "handlers.coroutine.failure.harms-nobody",
            "handlers.plain.failure.harms-nobody",
            "server.abort-clients.ends-at-once",
        ),
        UNIX: (
            "unix.cleanup-socket.default",
            "unix.cleanup-socket.sock",
            "unix.cleanup-socket.false",
            "unix.cleanup-socket.replaced",
            "unix.cleanup-socket.once",
            "unix.cleanup-socket.gone",
            "unix.cleanup-socket.abstract",
        ),
        # The kernel has ended the connections by then, the network in memory has not yet.
        ("tls",): ("server.close-clients.closes",),
    },
)
class WaitsForWhatIsOver(Server):
    async def wait_closed(self) -> None:
        if self._closed and not self._clients:
            await self._loop.create_future()
        await super().wait_closed()


@specimen(
    "Of several wait_closed() only the first is woken.",
    "server.wait-closed.several-waiters",
    "server.wait-closed.cancelled-alone",
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
    "close_clients() closes connections without shutting TLS down.",
    "server.close-clients.tls-shutdown",
    networks=TLS,
)
class CutsTlsOff(Server):
    def close_clients(self) -> None:
        for client in tuple(self._clients):
            secured = client._transport.get_extra_info("ssl_object") is not None
            (client._transport.abort if secured else client._close)()
