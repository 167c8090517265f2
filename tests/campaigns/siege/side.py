"""One end of a connection at work, and the checks of each of its operations.

Each read must return exactly what `content.Direction` expects at its place, or fail as the
description says. An operation that is cancelled must have consumed nothing, which the next one
shows. Errors of the connection are accepted only where the plan has a fault (`Plan.faults`, or a
reset in the weather):

* a reset, an abort, a close with bytes unread, a failed handler: OSErrors of a lost connection
  (reset, broken pipe, aborted, not connected) at both ends, and `ssl.SSLError` over TLS;
* a refused or cancelled upgrade: the same, and a cancelled upgrade's `CancelledError`;
* the end of the stream before all was read: at the end that broke it off itself, or if the peer
  aborted or failed to upgrade; after a reset there must be an error. A peer that closes has sent
  what it wrote, but over TLS only if it closes normally: the loops' TLS drops unsent data if the
  peer goes on sending.

Stalls and partitions that heal, small buffers, slow links allow nothing.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from .content import Direction, shown
from .program import ORDERLY, UPGRADES, Cancel, End, Plan, Read, Write
from .worlds import TIMEOUTS

if TYPE_CHECKING:
    from .play import Play

Operation = Callable[[], Coroutine[Any, Any, Any]]

LOST = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
NO_BYTES = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets
RAISED_BY_READS = (
    StopAsyncIteration,
    ValueError,
    asyncio.IncompleteReadError,
    asyncio.LimitOverrunError,
)
TRUNCATING = {"abort", "upgrade-refused", "upgrade-cancelled"}  # and over TLS, every fault
ENOUGH = 65_536


class Cancelled(Exception):
    """An operation was cancelled by the program, and ended by that."""


class Over(Exception):
    """The connection is lost, as the plan allows: this end has nothing more to do."""


class Wrong(Exception):
    """A fault, which has been reported."""


class HandlerFailure(Exception):
    """Raised by handlers on purpose."""


class Side:
    """One end.

    Arguments:
        play: the run that it belongs to.
        name: `client` or `server`, with the connection's number.
        plan: the connection's.
        end: this end's.
        reader, writer: the streams.
        incoming, outgoing: the data that it reads and writes.
    """

    def __init__(
        self,
        play: Play,
        name: str,
        plan: Plan,
        end: End,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: Direction,
        outgoing: Direction,
    ) -> None:
        self.play = play
        self.name = name
        self.plan = plan
        self.end = end
        self.reader = reader
        self.writer = writer
        self.incoming = incoming
        self.outgoing = outgoing
        self.is_client = end is plan.client
        self.peer_end = plan.server if self.is_client else plan.client
        self.faults = plan.faults | ({"reset"} if play.resets else set())
        self.closed = False
        self.tls = plan.tls == "from-start"
        if end.high_water is not None:
            writer.transport.set_write_buffer_limits(high=end.high_water)

    # --- the whole life ---------------------------------------------------------------------

    async def live(self) -> None:
        """Do everything in the plan. Raises `HandlerFailure` or `CancelledError` if it says so."""
        try:
            if self.plan.tls not in (None, "from-start"):
                await self.all_of(
                    self.write_all(self.end.clear), self.read_to(self.peer_end.clear_size, True)
                )
                await self.upgrade()
            if self.end.ending == ORDERLY:
                await self.in_order()
            else:
                await self.break_off()
        except Over:
            with suppress(Wrong):
                await self.read_the_rest()
        except Wrong:
            pass
        self.close()
        with suppress(Wrong):
            await self.wait_closed()

    async def in_order(self) -> None:
        """Write and read everything; the end that closes first knows how much there is to read."""
        everything = self.peer_end.size
        first = self.plan.first_to_close == ("client" if self.is_client else "server")
        if self.plan.half_close:
            await self.all_of(self.write_all_and_eof(), self.read_to(everything, False))
        else:
            await self.all_of(*self.writing(), self.read_to(everything, first))

    async def break_off(self) -> None:
        """Read some, and end while the writers are at work."""
        writers = [self.play.start(self.tolerated(writing)) for writing in self.writing()]
        try:
            await self.read_to(int(self.peer_end.size * self.end.ends_after), True)
        except Over:
            await self.read_the_rest()
        ending = self.end.ending
        self.note(ending)
        if ending == "close":
            self.close()
        elif ending == "cancelled":
            self.closed = True
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        elif ending == "raise":
            self.closed = True
            self.play.raised += 1
            raise HandlerFailure(self.name)
        else:
            self.closed = True
            if ending == "reset":
                sock = self.writer.get_extra_info("socket")
                if sock is not None and not self.writer.is_closing():
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_BYTES)
            self.writer.transport.abort()
        await self.all_of(*writers)

    async def all_of(self, *awaitables: Any) -> None:
        """Wait for all of them, and raise the first one's error."""
        tasks = [asyncio.ensure_future(each) for each in awaitables]
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        except asyncio.CancelledError:
            await asyncio.wait(tasks)
            raise
        for task in tasks:
            task.result()

    async def tolerated(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do it until the connection is over."""
        with suppress(Over, Wrong):
            await coroutine

    # --- reading ----------------------------------------------------------------------------

    async def read_to(self, stop: int, bounded: bool) -> None:
        """Read up to byte *stop*, and no more if *bounded*; else up to EOF."""
        in_vain = 0
        for number, read in enumerate(itertools.cycle(self.end.reads)):
            known = self.incoming.unplaced is None
            if bounded and known and self.incoming.read >= stop:
                return
            if again := number // len(self.end.reads):
                # End in time, even if there is much to read in small pieces.
                read = replace(read, size=read.size << min(again, 16), pause=0.0)
            if in_vain == len(self.end.reads):
                read = replace(read, cancel=None)  # for once
            try:
                if await self.read(read, stop if bounded else None):
                    self.check_end()
                    if bounded:
                        self.lost(EOFError(f"EOF at byte {self.incoming.read}, before {stop}"))
                    return
                in_vain = 0
            except Cancelled:
                in_vain += 1

    async def read(self, read: Read, stop: int | None) -> bool:
        """Do one read; return whether the stream has ended."""
        if read.pause:
            await self.play.sleep(read.pause)
        incoming, limit = self.incoming, self.end.limit
        known = incoming.unplaced is None
        room = ENOUGH if stop is None else stop - incoming.read
        kind, size = read.kind, min(read.size, room)
        separators = read.separators if kind == "readuntil" else (b"\n",)
        match = incoming.match(separators) if known else None
        if kind in ("readline", "anext"):
            rest = len(incoming.data) - incoming.read
            overrun = (match[0] if match else rest) > limit
            discards = self.plan.half_close and self.end.ending == ORDERLY
            if stop is not None and not match:
                kind = "readexactly"  # otherwise it would wait for bytes that are not for it
            elif known and overrun and not discards:
                kind = "readuntil"  # otherwise it is unknown how much is left to read
        if stop is not None and (
            kind == "read-all"
            or (kind in ("readuntil", "readline", "anext") and (not match or match[1] > room))
        ):
            kind = "readexactly"
        separator = separators[0] if len(separators) == 1 else separators
        operation: Operation = {
            "read": lambda: self.reader.read(size),
            "read-all": self.reader.read,
            "readexactly": lambda: self.reader.readexactly(size),
            "readuntil": lambda: self.reader.readuntil(separator),  # type: ignore[arg-type]
            "readline": self.reader.readline,
            "anext": self.reader.__anext__,
        }[kind]
        what = f"{kind}({size if kind in ('read', 'readexactly') else separators})"
        try:
            data = await self.attempt(what, operation, read.cancel, read.intruder, RAISED_BY_READS)
        except StopAsyncIteration:
            if kind != "anext":
                raise
            data = b""
        except asyncio.IncompleteReadError as error:
            self.took(what, error.partial)
            if kind == "readexactly":
                if error.expected != size or len(error.partial) >= size:
                    self.fail(f"{what} raised {error!r}")
            elif kind != "readuntil":
                self.fail(f"{what} raised {error!r}")
            return True
        except asyncio.LimitOverrunError as error:
            wrong = kind != "readuntil" or (known and match and match[0] <= limit)
            if wrong or error.consumed <= 0 or (known and match and error.consumed > match[0]):
                self.fail(f"{what} with limit {limit} raised {error!r}: {error.consumed}; {match}")
            consumed = error.consumed
            held = await self.attempt("held", lambda: self.reader.readexactly(consumed))
            self.took("held", held)
            return False
        except ValueError as error:
            if kind not in ("readline", "anext") or (known and not overrun):
                self.fail(f"{what} with limit {limit} raised {error!r}; {match}")
            self.note(f"{what} discarded")
            incoming.unplaced = b""
            return False
        self.took(what, data)
        if kind == "read":
            if len(data) > size:
                self.fail(f"{what} returned {len(data)} bytes")
            return not data
        if kind == "readexactly":
            if len(data) != size:
                self.fail(f"{what} returned {len(data)} bytes")
            return False
        if kind == "read-all":
            return True
        if (
            known
            and match
            and len(data) != match[1]
            and len(data) > 0
            and data.endswith(separators)
        ):
            self.fail(f"{what} returned {len(data)} bytes, not {match[1]}")
        if data.endswith(separators):
            if len(data) > limit + max(map(len, separators)):
                self.fail(f"{what} returned {len(data)} bytes, beyond its limit of {limit}")
            return False
        if kind == "readuntil":
            self.fail(f"{what} returned {shown(data)}, without separator")
        return True

    def took(self, what: str, data: bytes) -> None:
        """Check bytes that were read."""
        if type(data) is not bytes:
            self.fail(f"{what} returned {type(data)}")
        wrong = self.incoming.take(data)
        self.play.bytes += len(data)
        if wrong:
            self.fail(f"{what}: {wrong}")

    def check_end(self) -> None:
        """Check that the stream may have ended here."""
        self.note("EOF")
        if not self.reader.at_eof():
            self.fail("EOF was read, but at_eof() is false")
        breaks = self.faults if self.plan.tls else self.faults & TRUNCATING
        if self.play.program.family == "unix":
            breaks |= self.faults & {"reset"}  # Unix sockets have none
        if self.closed or breaks or self.end.ending != ORDERLY:
            return
        wrong = self.incoming.ended()
        if wrong:
            self.fail(wrong)

    async def read_the_rest(self) -> None:
        """After an error: the remaining bytes must be right, too."""
        if self.plan.tls in UPGRADES and not self.tls:
            return  # it may be of the handshake
        for _ in range(1000):
            try:
                data = await self.reader.read(ENOUGH)
            except BaseException as error:
                if not self.allowed(error):
                    raise
                self.note(f"rest: {error!r}")
                return
            if not data:
                self.note("rest: EOF")
                return
            self.took("rest", data)

    # --- writing ----------------------------------------------------------------------------

    def writing(self) -> list[Coroutine[Any, Any, None]]:
        """Return the writers' work."""
        return [self.write_all(writes) for writes in self.end.writers]

    async def write_all_and_eof(self) -> None:
        """Write all, and close the sending half."""
        await self.all_of(*self.writing())
        self.note("write_eof()")
        try:
            self.writer.write_eof()
        except OSError as error:
            # A kernel does not shut down a connection that was reset after the peer's EOF,
            # unnoticed by the loop.
            if not self.allowed(error):
                raise
            raise Over from error

    async def write_all(self, writes: tuple[Write, ...]) -> None:
        """Write one after the other."""
        for write in writes:
            self.write(write)
            await self.all_of(
                *(
                    self.unless_cancelled(
                        "drain()", self.writer.drain, None if more else write.cancel
                    )
                    for more in range(write.drains)
                )
            )
            if write.pause:
                await self.play.sleep(write.pause)

    async def unless_cancelled(
        self, what: str, operation: Operation, cancel: Cancel | None
    ) -> None:
        """Do an operation that has nothing left to do when it is cancelled."""
        with suppress(Cancelled):
            await self.attempt(what, operation, cancel)

    def write(self, write: Write) -> None:
        """Write once."""
        if self.writer.is_closing():
            return  # data written now may be sent, or not
        pieces: list[Any] = []
        for number, size in enumerate(write.sizes):
            data = self.outgoing.write(size)
            pieces.append(
                (bytes, bytearray, lambda each: memoryview(bytearray(each)))[number % 3](data)
            )
        self.note(f"write {write.sizes}")
        if write.lines:
            self.writer.writelines(pieces)
        else:
            for piece in pieces:
                self.writer.write(piece)
        for piece in pieces:
            if not isinstance(piece, bytes):
                piece[:] = bytes(len(piece))  # it was copied; otherwise the change shows

    # --- upgrading and closing --------------------------------------------------------------

    async def upgrade(self) -> None:
        """Go on in TLS."""
        contexts = self.play.contexts
        refuses = self.plan.tls == "upgrade-refused"
        cancel = None
        if self.is_client:
            context = contexts.distrusting if refuses else contexts.client
            if self.plan.tls == "upgrade-cancelled":
                cancel = self.plan.upgrade_cancel
        else:
            context = contexts.server
        name = "localhost" if self.is_client else None

        def operation() -> Coroutine[Any, Any, None]:
            return self.writer.start_tls(context, server_hostname=name, **TIMEOUTS)

        try:
            await self.attempt("start_tls()", operation, cancel)
        except Cancelled:
            raise Over from None
        self.tls = True
        if refuses and self.is_client:
            self.fail("a certificate that is not trusted was accepted")
        if self.end.high_water is not None and not self.writer.is_closing():
            # asyncio's TLS transports, once lost, report an AttributeError for it.
            self.writer.transport.set_write_buffer_limits(high=self.end.high_water)

    def close(self) -> None:
        """Close."""
        self.note("close()")
        self.closed = True
        self.writer.close()

    async def wait_closed(self) -> None:
        """Wait as often at the same time as the plan says."""
        cancels = [None] * self.end.waits_closed + [Cancel()] * self.end.cancels_wait
        with suppress(Over):
            await self.all_of(
                *(
                    self.unless_cancelled("wait_closed()", self.writer.wait_closed, cancel)
                    for cancel in cancels
                )
            )

    # --- operations -------------------------------------------------------------------------

    async def attempt(
        self,
        what: str,
        operation: Operation,
        cancel: Cancel | None = None,
        intruder: bool = False,
        raises: tuple[type[Exception], ...] = (),
    ) -> Any:
        """Do an operation of the streams.

        Raises:
            Cancelled: it was cancelled, as the program says.
            Over: it failed in a way that the plan allows.
            Exception: one of *raises*.
        """
        self.play.steps += 1
        try:
            if cancel is None and not intruder:
                result = await operation()
            elif cancel is not None and cancel.by_timeout and not intruder:
                result = await self.in_time(operation, cancel.seconds)
            else:
                result = await self.as_task(operation, cancel, intruder)
        except Cancelled:
            self.note(f"{what}: cancelled")
            self.play.cancels += 1
            raise
        except Wrong:
            raise
        except Exception as error:
            if isinstance(error, raises):
                raise
            self.note(f"{what}: {error!r}")
            if self.allowed(error):
                raise Over from error
            self.fail(f"{what} raised {error!r}")
        self.note(f"{what}: {shown(result) if isinstance(result, bytes) else result}")
        return result

    async def in_time(self, operation: Operation, seconds: float) -> Any:
        try:
            async with asyncio.timeout(self.play.scaled(seconds)):
                return await operation()
        except TimeoutError:
            raise Cancelled from None

    async def as_task(self, operation: Operation, cancel: Cancel | None, intruder: bool) -> Any:
        # A task may not end with StopAsyncIteration; a coroutine around it reports it in another
        # way.
        task = asyncio.create_task(self.kept(operation))
        try:
            if intruder:
                await asyncio.sleep(0)
                if not task.done():
                    await self.intrude()
            if cancel is not None:
                for _ in range(cancel.turns):
                    await asyncio.sleep(0)
                if cancel.seconds:
                    await asyncio.wait([task], timeout=self.play.scaled(cancel.seconds))
                task.cancel()
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise
        if task.cancelled():
            raise Cancelled
        result, error = task.result()
        if error is not None:
            raise error
        return result

    async def kept(self, operation: Operation) -> tuple[Any, Exception | None]:
        try:
            return await operation(), None
        except Exception as error:
            return None, error

    async def intrude(self) -> None:
        """Read while another read waits: that must be refused."""
        try:
            data = await self.reader.readexactly(1)
        except RuntimeError:
            return
        self.fail(f"a read while another one waits returned {data!r}")

    # --- verdicts ---------------------------------------------------------------------------

    def allowed(self, error: BaseException) -> bool:
        """Whether the plan's faults allow an operation to end so."""
        if not self.faults:
            return False
        if isinstance(error, ssl.SSLError):
            return self.plan.tls is not None
        not_connected = isinstance(error, OSError) and error.errno == errno.ENOTCONN
        return isinstance(error, LOST) or not_connected

    def lost(self, error: Exception) -> None:
        """The stream ended before all the data to read."""
        if not self.faults:
            self.fail(str(error))
        raise Over from error

    def fail(self, text: str) -> NoReturn:
        """Report the fault. Raises `Wrong`."""
        self.note(f"WRONG {text}")
        self.play.failures.append(f"{self.name}: {text}")
        raise Wrong

    def note(self, text: str) -> None:
        """Put it into the trace."""
        if self.play.trace is not None:
            self.play.trace.append(f"{self.play.time():.6f}  {self.name}  {text}")
