"""Broken calls of the client handler, and broken Server objects."""

import asyncio
import inspect
from typing import Any

from reference_impl import StreamReaderProtocol
from reference_impl._server import Server

from .specimen import specimen

# Handlers.


@specimen(
    "A handler that fails is reported, and its connection stays open.",
    "handlers.coroutine.failure.closes",
    "handlers.coroutine.failure.harms-nobody",
    "handlers.plain.failure.closes",
    "handlers.plain.failure.harms-nobody",
    "start_tls.handler-failure.shuts-tls-down",
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


last_of: dict[Any, Any] = {}


# Server objects.


@specimen(
    "close() closes the connections, too.",
    "server.close.connections-stay",
    "server.close.connections-stay.after-serve-forever",
    "server.wait-closed.waits-for-connections",
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
)
class AlwaysServing(Server):
    def is_serving(self) -> bool:
        return True


@specimen(
    "A second close() raises.",
    "server.close.twice",
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
            client._transport.close()


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
