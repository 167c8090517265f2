"""A peer that follows a script: expect these bytes, send those, wait, half-close, reset.

The plan. A `Script` is a list of steps and nothing else: it can be written once and played many
times, as a server or as a client. Each play is a `_Player`, one task that goes through the steps
over a `Conversation`, a protocol that reads only while a step expects something; so a script that
pauses is a peer that does not read. The first step that fails ends the play with a `ScriptMismatch`
and resets the connection, so that the program under test does not wait.

It needs only the public interface of an event loop, and not the simulated network, so a script
plays on `fakes.Loop`, on `fakes.network_loop()` classes and on a kernel's TCP alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import ssl as ssl_module
from collections.abc import Iterator, Sequence
from typing import Any

from fakes._network.network import Network
from fakes._public import public
from fakes._tools.script_protocol import Conversation
from fakes._tools.script_steps import (
    Close,
    Expect,
    ExpectEOF,
    ExpectReset,
    ExpectSize,
    ExpectUntil,
    IgnoreRest,
    Pause,
    Reset,
    Send,
    SendEOF,
    Step,
    Surprise,
)
from fakes._trace.hexdiff import count, short, side_by_side

PATIENCE = 10.0  # seconds of the loop's time


@public
class ScriptFailure(AssertionError):
    """The program under test did not follow a script."""


@public
class ScriptMismatch(ScriptFailure):
    """The script expected other data; the message shows both, and where they differ."""


@public
class ScriptUnfinished(ScriptFailure):
    """The script still waits at the end of the test; the message says for what."""


@public
class Script:
    """The steps of a peer.

    Every method that adds a step returns a new script, so that scripts can share a beginning::

        greeting = fakes.Script("mail").send(b"220 hello\\r\\n").expect(b"HELO me\\r\\n")
        polite = greeting.send(b"250 hi\\r\\n").expect(b"QUIT\\r\\n").expect_eof()
        broken = greeting.send(b"25").reset()

    Play it as a server with `serve()`, as a client with `play()`. After its last step a script
    keeps the connection open and expects nothing more, unless that step closed it.

    Args:
        name: for messages (default "script").
    """

    def __init__(self, name: str = "script") -> None:
        self.name = name
        self.steps: tuple[Step, ...] = ()

    def __repr__(self) -> str:
        """List the steps."""
        steps = "; ".join(str(step) for step in self.steps) or "no steps"
        return f"<fakes.Script {self.name!r}: {steps}>"

    def _and(self, step: Step) -> Script:
        script = Script(self.name)
        script.steps = (*self.steps, step)
        return script

    # --- steps --------------------------------------------------------------------------------

    def expect(self, data: bytes) -> Script:
        """Wait for exactly these bytes; the next step may expect further ones."""
        return self._and(Expect(bytes(data)))

    def expect_until(self, separator: bytes) -> Script:
        """Wait for anything up to and including `separator`.

        Raises:
            ValueError: `separator` is empty.
        """
        if not separator:
            raise ValueError("separator must not be empty")
        return self._and(ExpectUntil(bytes(separator)))

    def expect_size(self, size: int) -> Script:
        """Wait for any `size` bytes.

        Raises:
            ValueError: `size` is negative.
        """
        if size < 0:
            raise ValueError(f"size must be 0 or more bytes, not {size}")
        return self._and(ExpectSize(size))

    def expect_eof(self) -> Script:
        """Wait for EOF from the other side; data or a reset instead is a mismatch."""
        return self._and(ExpectEOF())

    def expect_reset(self) -> Script:
        """Wait for a reset by the other side; data or EOF instead is a mismatch."""
        return self._and(ExpectReset())

    def ignore_rest(self) -> Script:
        """Read and drop all data, until the other side ends or resets the connection."""
        return self._and(IgnoreRest())

    def send(self, data: bytes) -> Script:
        """Send these bytes in one write, and wait until they have left."""
        return self._and(Send(bytes(data)))

    def pause(self, seconds: float) -> Script:
        """Do nothing, and read nothing, for a time in seconds (virtual on `fakes.Loop`)."""
        return self._and(Pause(seconds))

    def send_eof(self) -> Script:
        """Close the sending direction only. Not possible over TLS."""
        return self._and(SendEOF())

    def close(self) -> Script:
        """Close the connection. Unexpected data that arrived before is a mismatch."""
        return self._and(Close())

    def reset(self) -> Script:
        """Reset the connection: the other side gets `ConnectionResetError`."""
        return self._and(Reset())

    # --- playing ------------------------------------------------------------------------------

    def serve(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        path: str | os.PathLike[str] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        patience: float = PATIENCE,
    ) -> ScriptedServer:
        """Play to the one client that connects: `async with script.serve("mail", 25): ...`.

        The same as `serve_scripts()` with this script alone; its arguments are explained there.
        """
        return ScriptedServer([self], host, port, path=path, ssl=ssl, patience=patience)

    async def play(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        sock: Any = None,
        ssl: ssl_module.SSLContext | bool | None = None,
        server_hostname: str | None = None,
    ) -> bytes:
        """Connect to a server and play to the end; then close the connection.

        It waits as long as the script does: use `asyncio.timeout()` if the server may stay silent;
        the `CancelledError` then has a note that says what the script expected.

        Args:
            host, port: where to connect; or
            path: a Unix path; or
            sock: a connected socket.
            ssl, server_hostname: as for `loop.create_connection()`.

        Returns:
            All the bytes that the server sent.

        Raises:
            ScriptMismatch: the server does something that the script does not expect.
            OSError: the connection cannot be made.
        """
        loop = asyncio.get_running_loop()
        conversation = Conversation()
        where: dict[str, Any] = {"ssl": ssl, "server_hostname": server_hostname} if ssl else {}
        if path is not None:
            await loop.create_unix_connection(lambda: conversation, os.fspath(path), **where)
        else:
            where |= {"host": host, "port": port} if sock is None else {"sock": sock}
            await loop.create_connection(lambda: conversation, **where)
        player = _Player(self, conversation)
        try:
            # shield(): we must get a cancellation before the play does, to add where it was.
            await asyncio.shield(player.finished)
            await _turns_of_the_loop()
            player.check_nothing_more()
        except asyncio.CancelledError as exc:
            exc.add_note(player.still_waits())
            raise
        finally:
            await player.stop()
        return bytes(conversation.received)


@public
def serve_scripts(
    scripts: Sequence[Script],
    host: str | None = None,
    port: int = 0,
    *,
    path: str | os.PathLike[str] | None = None,
    ssl: ssl_module.SSLContext | None = None,
    patience: float = PATIENCE,
) -> ScriptedServer:
    """Play the first script to the first client that connects, the second to the second, …

    Args:
        scripts: one for each connection; one connection more is a mismatch.
        host: where to listen: an address, or a name. On a simulated network a name is a host, which
            is made if it does not exist, and the server runs on it. Default: the host of the
            running code.
        port: the port; 0 (the default) takes a free one, which `ScriptedServer.port` has.
        path: a Unix path to listen at instead.
        ssl: a server's context, for TLS from the start.
        patience: the time in which the scripts have to finish after the `async with` block, in
            seconds of the loop's time (default 10).

    The `async with` block of the server raises `ScriptMismatch` as soon as the data differs from a
    script (the block is cancelled, as by `asyncio.timeout()`), and `ScriptUnfinished` if a script
    still waits at the end. If the block raises for another reason while a script still waits, that
    exception gets a note that says for what.
    """
    return ScriptedServer(scripts, host, port, path=path, ssl=ssl, patience=patience)


@public
class ScriptedServer:
    """A server that plays scripts during an `async with` block; see `serve_scripts()`.

    Attributes:
        host, port: where it listens; `port` is the one in use.
        received: for each connection so far, the bytes that the client has sent.
    """

    def __init__(
        self,
        scripts: Sequence[Script],
        host: str | None,
        port: int,
        *,
        path: str | os.PathLike[str] | None,
        ssl: ssl_module.SSLContext | None,
        patience: float,
    ) -> None:
        self.host = host
        self.port = port
        self._scripts = scripts
        self._path = path
        self._ssl = ssl
        self._patience = patience
        self._players: list[_Player] = []
        self._failure: ScriptFailure | None = None
        self._block: asyncio.Task[Any] | None = None
        self._cancelled_block = False

    @property
    def received(self) -> list[bytes]:
        """The bytes received on each connection so far."""
        return [bytes(player.conversation.received) for player in self._players]

    async def __aenter__(self) -> ScriptedServer:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._block = asyncio.current_task()
        if self._path is not None:
            self._server = await loop.create_unix_server(
                self._accept, os.fspath(self._path), ssl=self._ssl
            )
            return self
        with _on_simulated_host(loop, self.host):
            self._server = await loop.create_server(
                self._accept, self.host, self.port, ssl=self._ssl
            )
        if self.port == 0:
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        """Wait for the scripts to finish; raise their error."""
        self._block, block = None, self._block
        try:
            if error is None and self._failure is None:
                await self._finish()
        finally:
            self._server.close()
            for player in self._players:
                await player.stop()
        if self._cancelled_block and block is not None:
            block.uncancel()
        if self._failure is not None:
            # The mismatch explains the error, if there is one, not the other way round; and the
            # place in the player explains nothing.
            cause = None if isinstance(error, asyncio.CancelledError) else error
            raise self._failure.with_traceback(None) from cause
        if error is not None:
            for note in self._waits():
                error.add_note(note)

    async def _finish(self) -> None:
        await _turns_of_the_loop()
        if self._players:
            await asyncio.wait([p.finished for p in self._players], timeout=self._patience)
            await _turns_of_the_loop()
        if self._failure is None and (waits := self._waits()):
            self._failure = ScriptUnfinished("\n".join(waits))

    def _waits(self) -> list[str]:
        waits = [player.still_waits() for player in self._players if not player.finished.done()]
        missing = self._scripts[len(self._players) :]
        waits += [f"script {script.name!r} still waits for a connection" for script in missing]
        return waits

    def _accept(self) -> Conversation:
        number = len(self._players)
        conversation = Conversation()
        if number >= len(self._scripts):
            self._fail(
                ScriptMismatch(
                    f"connection number {number + 1} came, and there are scripts for "
                    f"{len(self._scripts)} only"
                )
            )
            conversation.refuse = True
            return conversation
        player = _Player(self._scripts[number], conversation)
        self._players.append(player)
        player.task.add_done_callback(self._played)
        return conversation

    def _played(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            if not isinstance(exc, ScriptFailure):
                failure = ScriptMismatch(f"{task.get_name()}: {type(exc).__name__}: {exc}")
                failure.__cause__ = exc
                exc = failure
            self._fail(exc)

    def _fail(self, failure: ScriptFailure) -> None:
        if self._failure is None:
            self._failure = failure
            if self._block is not None:
                self._cancelled_block = True
                self._block.cancel()


async def _turns_of_the_loop() -> None:
    """Give the loop turns, so that everything that has arrived is accepted and read."""
    for _ in range(4):
        await asyncio.sleep(0)


@contextlib.contextmanager
def _on_simulated_host(loop: asyncio.AbstractEventLoop, name: str | None) -> Iterator[None]:
    """Run on the simulated host of that name, if there is a simulated network at all."""
    network = getattr(loop, "network", None)
    if name is None or not isinstance(network, Network) or _is_address(name):
        yield
        return
    with network.host(name):
        yield


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class _Player:
    """One play of a script over one connection."""

    def __init__(self, script: Script, conversation: Conversation) -> None:
        self.script = script
        self.conversation = conversation
        self._number = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.get_running_loop().create_task(self._play(), name=self._title())

    def _title(self) -> str:
        return f"script {self.script.name!r}"

    async def _play(self) -> None:
        try:
            await self._play_steps()
        except Exception as exc:
            self.conversation.reset()
            self.finished.set_exception(exc)
            self.finished.exception()  # serving takes it from the task, playing from here
            raise
        self.finished.set_result(None)
        self.task.set_name(f"{self._title()}, finished")
        while not self.conversation.ended:
            await self.conversation.more()
            self.check_nothing_more()

    async def _play_steps(self) -> None:
        conversation = self.conversation
        await conversation.opened()
        for number, step in enumerate(self.script.steps):
            self._number = number
            # A Deadlock, and every list of tasks, then shows what the script waits for.
            self.task.set_name(f"{self._title()}, step {number + 1}: {step}")
            before = conversation.taken
            try:
                await step.play(conversation)
            except Surprise as surprise:
                raise ScriptMismatch(self._explain(surprise, before)) from None
        self._number = len(self.script.steps)

    def check_nothing_more(self) -> None:
        """Raise `ScriptMismatch` if bytes arrived that no step expected."""
        extra = bytes(self.conversation.buffer)
        if extra:
            self.conversation.reset()
            raise ScriptMismatch(
                f"{self._title()} is finished, and expected nothing more; received "
                f"{count(extra)}:\n{side_by_side(b'', extra)}"
            )

    def _explain(self, surprise: Surprise, before: int) -> str:
        steps = self.script.steps
        lines = [
            f"{self._title()}, step {self._number + 1} of {len(steps)} "
            f"(after {before} bytes): {surprise}"
        ]
        if self._number:
            lines.append(f"  before it: {steps[self._number - 1]}")
        following = "; ".join(str(step) for step in steps[self._number + 1 : self._number + 4])
        lines.append(f"  after it:  {following or 'the end of the script'}")
        return "\n".join(lines)

    def still_waits(self) -> str:
        """Return what the script waits for, in words."""
        steps = self.script.steps
        if self._number >= len(steps):
            return f"{self._title()} is finished"
        lines = [
            f"{self._title()} is not finished: step {self._number + 1} of {len(steps)} still "
            f"waits: {steps[self._number]}"
        ]
        if self.conversation.buffer:
            lines.append(f"  received for it so far: {short(self.conversation.buffer)}")
        for step in steps[self._number + 1 :]:
            lines.append(f"  not reached: {step}")
        return "\n".join(lines)

    async def stop(self) -> None:
        """End the play, whatever its state, and the connection."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # the error is known: serving and playing both report it
        await self.conversation.close()
