"""`StreamWriter.transport` and `StreamWriter.get_extra_info()`."""

import asyncio
import socket
import ssl
from contextlib import closing
from typing import cast

from conformance.errors import Deviation, described
from conformance.harness.addresses import (
    DUAL_STACK,
    address_of_wire,
    address_seen_by,
    carrier,
    own_hosts,
)
from conformance.harness.addresses import closing as closing_wire
from conformance.harness.clause import (
    CLIENT,
    COUNTED,
    HALF_CLOSED,
    INTERNET,
    PLAIN,
    RESETTABLE,
    SERVER,
    TLS,
    Some,
    clause,
)
from conformance.harness.expect import (
    expect,
    expect_error,
    expect_pending,
    expect_raises,
    expect_that,
)
from conformance.harness.extra_info import known, unknown_to
from conformance.harness.patterns import KIB, fill, overfill
from conformance.harness.reading import take
from conformance.harness.trial import Served, Trial
from conformance.networks.tls import (
    HOST_NAME,
    OTHER_HOST_NAME,
    TlsWire,
    ask_for_certificate,
    client_context,
    server_context,
    show_certificate,
)
from conformance.suite.test_reader import DATA, READS

IN_MEMORY = Some(("memory",), "the network of a kernel takes more bytes when it likes")

METHODS = {
    "BaseTransport": ("close", "is_closing", "get_extra_info", "set_protocol", "get_protocol"),
    "ReadTransport": ("is_reading", "pause_reading", "resume_reading"),
    "WriteTransport": (
        *("abort", "can_write_eof", "write_eof", "write", "writelines"),
        *("get_write_buffer_size", "get_write_buffer_limits", "set_write_buffer_limits"),
    ),
}

TLS_NAMES = ("ssl_object", "sslcontext", "cipher", "peercert", "compression")


@clause("transport.is-a-transport")
async def test_is_a_transport(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    for kind, methods in METHODS.items():
        missing = [each for each in methods if not callable(getattr(writer.transport, each, None))]
        expect(missing, [], f"methods of a {kind} missing:")


@clause("transport.same-state")
async def test_same_state(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    expect(writer.transport.is_closing(), False, "transport.is_closing()")
    await fill(trial, writer)  # so that it takes its time to close
    writer.close()
    await trial.turns()  # in which another task may close the transport
    expect(writer.transport.is_closing(), True, "transport.is_closing() after close():")


@clause("transport.close")
async def test_close(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.write(b"the last words")
    writer.transport.close()
    expect(writer.is_closing(), True, "is_closing()")
    expect(await wire.receive_rest(), b"the last words", "bytes:")
    await wire.close()
    await writer.wait_closed()


@clause("transport.writes")
async def test_its_own_writes(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    transport, large = writer.transport, overfill(trial)
    writer.write(b"one,")
    transport.write(b"two,")
    transport.writelines([b"th", b"ree,"])
    writer.writelines([b"fo", b"ur,"])
    transport.write(large)
    writer.write(b"five,")
    transport.writelines([b"six"])
    expected = b"one,two,three,four," + large + b"five,six"
    expect(await wire.receive(len(expected)), expected, "bytes:")


@clause("transport.writes", networks=HALF_CLOSED)
async def test_its_own_write_eof(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    writer.write(b"the last words")
    writer.transport.write_eof()
    expect(await wire.receive_rest(), b"the last words", "bytes:")
    await wire.send(b"answer")
    expect(await take(reader, 6), b"answer")
    expect(writer.is_closing(), False, "is_closing()")


@clause("transport.same-answers")
async def test_same_answers(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    for default in (None, "the default"):
        for name in ("peername", "sockname", *TLS_NAMES, "no such name"):
            seen = writer.transport.get_extra_info(name, default)
            expect(seen, writer.get_extra_info(name, default), f"the transport's {name}:")
    expect(writer.transport.can_write_eof(), writer.can_write_eof(), "can_write_eof()")


@clause("transport.abort.at-once")
async def test_abort(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    await wire.settle()
    writer.transport.abort()
    # Nothing is read before the abort has taken effect: no further byte may be sent.
    await asyncio.wait([trial.start(writer.wait_closed())])
    received, _ = await wire.receive_to_end()
    expect_that(len(received) < len(data), "less than all bytes on the wire", "all of them")


async def expect_dropped(trial: Trial, end: str) -> None:
    """Expect abort() to drop what is still to be sent after the method `end` of the writer."""
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    getattr(writer, end)()
    await wire.settle()
    writer.transport.abort()
    await asyncio.wait([trial.start(writer.wait_closed())])
    received, _ = await wire.receive_to_end()
    expect_that(len(received) < len(data), f"less than all bytes, after {end}()", "all of them")


@clause("transport.abort.at-once")
async def test_abort_after_close(trial: Trial) -> None:
    await expect_dropped(trial, "close")


@clause("transport.abort.at-once", networks=HALF_CLOSED)
async def test_abort_after_write_eof(trial: Trial) -> None:
    await expect_dropped(trial, "write_eof")


@clause("transport.abort.is_closing")
async def test_abort_is_closing(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.transport.abort()
    expect(writer.is_closing(), True, "is_closing() after abort():")


@clause("transport.abort.wait_closed")
async def test_abort_wait_closed(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    before = trial.start(writer.wait_closed())
    await trial.turns()
    writer.transport.abort()
    await before
    await writer.wait_closed()


@clause("transport.abort.wait_closed")
async def test_close_after_abort(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.transport.abort()
    writer.close()
    await writer.wait_closed()


@clause("transport.abort.ends-reads")
async def test_abort_ends_reads(trial: Trial) -> None:
    reader, writer, _ = await trial.connect()
    reading = trial.start(reader.read(100))
    await trial.turns()
    writer.transport.abort()
    expect(await reading, b"", "read(100)")


@clause("transport.is-reading")
async def test_is_reading(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    transport = reading_side(writer)  # a reader may have paused it by itself
    transport.pause_reading()
    expect(transport.is_reading(), False, "is_reading() while paused:")
    transport.resume_reading()
    expect(transport.is_reading(), True, "is_reading() when resumed:")


@clause("transport.pause-reading")
async def test_pause_reading(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    reading = trial.start(take(reader, 9))
    await trial.turns()
    reading_side(writer).pause_reading()
    await wire.send(b"for later")
    await wire.settle()
    expect_pending(reading, "reading, while paused,")
    reading_side(writer).resume_reading()
    expect(await reading, b"for later", "when resumed:")


@clause("transport.pause-reading.reads")
async def test_a_read_does_not_resume(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    await wire.send(b"received before")
    expect(await take(reader, 1), b"r")
    await wire.received()  # the rest
    reading_side(writer).pause_reading()
    expect(await take(reader, 7), b"eceived", "while paused:")
    expect(reading_side(writer).is_reading(), False, "is_reading() after a read:")
    reading = trial.start(take(reader, 16))
    await wire.send(b" and later")
    await wire.settle()
    expect_pending(reading, "reading, while paused,")
    reading_side(writer).resume_reading()
    expect(await reading, b" before and late", "when resumed:")


@clause("transport.pause-reading.reads")
async def test_no_kind_of_read_resumes(trial: Trial) -> None:
    for name, read in READS.items():
        reader, writer, wire = await trial.connect()
        await wire.send(b"?" + DATA)
        expect(await take(reader, 1), b"?")
        await wire.received()
        reading_side(writer).pause_reading()
        if name != "read()":  # it waits for the end
            expect(await (take(reader, 8) if name == "read(8)" else read(reader)), DATA, name)
        reading = trial.start(read(reader))
        await trial.turns()
        reading.cancel()
        await asyncio.wait([reading])
        what = f"is_reading() after {name}, and another one that was cancelled:"
        expect(reading_side(writer).is_reading(), False, what)


@clause("transport.pause-reading.reads")
async def test_no_read_that_fails_resumes(trial: Trial) -> None:
    reader, writer, wire = await trial.connect(limit=4)
    await wire.send(b"?longer\n")
    expect(await take(reader, 1), b"?")
    await wire.received()
    reading_side(writer).pause_reading()
    for reading in (reader.readuntil(b"--"), reader.readexactly(-1), reader.readuntil(b"")):
        await expect_error(Exception, reading)
        expect(reading_side(writer).is_reading(), False, "is_reading() after a read that failed:")


@clause("transport.pause-reading.idempotent")
async def test_pause_reading_again(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()
    transport = reading_side(writer)
    transport.resume_reading()  # it is reading already
    transport.pause_reading()
    transport.pause_reading()
    transport.resume_reading()  # once is enough
    await wire.send(b"all is well")
    expect(await take(reader, 11), b"all is well")
    transport.resume_reading()


@clause("transport.pause-reading.closed")
async def test_pause_reading_when_closed(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    reading_side(writer).pause_reading()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()
    reading_side(writer).pause_reading()


@clause("close.ends-the-stream")
async def test_close_while_reading_is_paused(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    reading_side(writer).pause_reading()
    writer.write(b"the end")
    writer.close()
    expect(await wire.receive_rest(), b"the end", "bytes:")
    await wire.close()


def reading_side(writer: asyncio.StreamWriter) -> asyncio.ReadTransport:
    """Return the writer's transport, which has both directions."""
    return cast(asyncio.ReadTransport, writer.transport)


@clause("transport.buffer-size", networks=COUNTED)
async def test_buffer_size(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    expect(writer.transport.get_write_buffer_size(), 0, "size at first:")
    data = await fill(trial, writer)
    await wire.settle()
    size = writer.transport.get_write_buffer_size()
    expect_that(0 < size <= len(data), f"a size from 1 to {len(data)}", str(size))
    await wire.receive(len(data))
    expect(writer.transport.get_write_buffer_size(), 0, "size when all is sent:")
    writer.close()
    await wire.receive_rest()
    await writer.wait_closed()
    expect(writer.transport.get_write_buffer_size(), 0, "size when it is closed:")


@clause("transport.buffer-size", networks=IN_MEMORY)
async def test_buffer_size_to_the_byte(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    data = await fill(trial, writer)
    await wire.settle()
    size = writer.transport.get_write_buffer_size()
    for count in (1, 1000, 1_000_000):
        writer.write(bytes(count))
        writer.writelines([bytes(count), bytes(count)])
        size += 3 * count
        expect(writer.transport.get_write_buffer_size(), size, "size with more written:")
    await wire.receive(len(data) // 2)
    await wire.settle()
    left = writer.transport.get_write_buffer_size()
    expect_that(0 < left < size, f"less than {size} when the peer has read", str(left))


@clause("transport.limits.default", networks=COUNTED)
async def test_default_limits(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    _, high = writer.transport.get_write_buffer_limits()
    expect(high, 64 * KIB, "the high-water mark")
    writer.transport.set_write_buffer_limits(high=1000)
    writer.transport.set_write_buffer_limits()
    _, high = writer.transport.get_write_buffer_limits()
    expect(high, 64 * KIB, "the high-water mark, when set to its default:")


@clause("transport.limits.set")
async def test_set_limits(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.transport.set_write_buffer_limits(high=3000, low=1000)
    expect(writer.transport.get_write_buffer_limits(), (1000, 3000))
    writer.transport.set_write_buffer_limits(high=2000, low=2000)
    expect(writer.transport.get_write_buffer_limits(), (2000, 2000))
    writer.transport.set_write_buffer_limits(5000, 4000)  # the high one first
    expect(writer.transport.get_write_buffer_limits(), (4000, 5000))


@clause("transport.limits.high-alone")
async def test_high_alone(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    writer.transport.set_write_buffer_limits(high=1000)
    low, high = writer.transport.get_write_buffer_limits()
    expect(high, 1000, "the high-water mark")
    expect_that(0 <= low <= 1000, "a low-water mark from 0 to 1000", str(low))
    writer.transport.set_write_buffer_limits(high=0)
    expect(writer.transport.get_write_buffer_limits(), (0, 0))


@clause("transport.limits.low-alone")
async def test_low_alone(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    for mark in (1000, 0):
        writer.transport.set_write_buffer_limits(low=mark)
        low, high = writer.transport.get_write_buffer_limits()
        expect(low, mark, "the low-water mark")
        expect_that(high >= mark, f"a high-water mark of {mark} or more", str(high))


@clause("transport.limits.refused")
async def test_limits_refused(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    before = writer.transport.get_write_buffer_limits()
    for high, low in ((1000, 2000), (-1, None), (1000, -1)):
        with expect_raises(ValueError):
            writer.transport.set_write_buffer_limits(high=high, low=low)
        expect(writer.transport.get_write_buffer_limits(), before, "marks afterwards:")


@clause("get_extra_info.socket")
async def test_socket(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    sock = known(writer, "socket")
    expect(sock.type, socket.SOCK_STREAM, "its type:")
    if trial.streams.adapter is None:  # whose ends may be connected in any way
        family = socket.AF_UNIX if trial.network.paths else socket.AF_INET
        expect(sock.family, family, "its family:")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    kept = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    expect(bool(kept), True, "SO_KEEPALIVE after it was set:")


@clause("get_extra_info.peername")
async def test_peername(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    expect(known(writer, "peername"), address_of_wire(trial, wire))


@clause("get_extra_info.peername.lost", networks=RESETTABLE)
async def test_peername_after_reset(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    address = address_of_wire(trial, wire)
    await wire.reset()
    await trial.turns()
    expect_address_or_default(writer, address)


@clause("get_extra_info.peername.lost")
async def test_peername_when_closed(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    address = address_of_wire(trial, wire)
    writer.close()
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()
    expect_address_or_default(writer, address)


def expect_address_or_default(writer: asyncio.StreamWriter, address: object) -> None:
    """Expect get_extra_info() to give the peer's `address` still, None, or the default."""
    for default in (None, "the default"):
        expected = f"{address!r}, None or the default"
        try:
            seen = writer.get_extra_info("peername", default)
        except Exception as error:
            raise Deviation(expected, described(error)) from error
        expect_that(seen in (address, None, default), expected, seen)


@clause("get_extra_info.lost", networks=RESETTABLE)
async def test_information_after_reset(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    before = information(writer, None)
    await wire.reset()
    await trial.turns()
    expect_same_or_default(writer, before, "after a reset")
    writer.close()
    await trial.turns()
    expect_same_or_default(writer, before, "after a reset and close()")


@clause("get_extra_info.lost")
async def test_information_when_closed(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    before = information(writer, None)
    writer.close()
    expect_same_or_default(writer, before, "after close()")
    await wire.receive_to_end()
    await wire.close()
    await writer.wait_closed()
    expect_same_or_default(writer, before, "after wait_closed()")


def information(writer: asyncio.StreamWriter, default: object) -> dict[str, object]:
    """Return what get_extra_info() returns for each name.

    Raises:
        Deviation: it raises an exception.
    """
    found = {}
    for name in ("peername", "sockname", "socket", *TLS_NAMES):
        try:
            found[name] = writer.get_extra_info(name, default)
        except Exception as error:
            raise Deviation(f"get_extra_info({name!r}) to return", described(error)) from error
    return found


def expect_same_or_default(
    writer: asyncio.StreamWriter, before: dict[str, object], when: str
) -> None:
    """Expect get_extra_info() to give what it gave `before`, None or the default."""
    default = "the default"
    for name, seen in information(writer, default).items():
        # A transport may show its socket by a new object each time.
        if name != "socket":
            expected = f"{before[name]!r}, None or the default for {name!r} {when}"
            expect_that(seen in (before[name], None, default), expected, seen)


@clause("get_extra_info.sockname")
async def test_sockname(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    expect(known(writer, "sockname"), address_seen_by(trial, wire))


@clause("get_extra_info.sockname", roles=SERVER)
async def test_sockname_of_a_server(trial: Trial) -> None:
    served = await trial.serve()
    _, writer, _ = await trial.accept(served)
    listening = served.server.sockets[0].getsockname()
    expect(known(writer, "sockname"), listening)


@clause("get_extra_info.sockname", networks=INTERNET, roles=SERVER)
async def test_sockname_of_a_server_on_all_interfaces(trial: Trial) -> None:
    served = Served()
    starting = trial.streams.start_server(served.accepted, None, 0, family=socket.AF_INET)
    with closing(await starting) as server:
        _, port = server.sockets[0].getsockname()
        for host in own_hosts():
            async with closing_wire(
                await carrier(trial).connected(socket.AF_INET, (host, port))
            ) as wire:
                _, writer = await served.pairs.get()
                with closing(writer):
                    expect(known(writer, "sockname"), (host, port))
                    expect(known(writer, "peername"), address_of_wire(trial, wire))


@clause("get_extra_info.sockname", networks=DUAL_STACK, roles=SERVER)
async def test_names_of_an_ipv6_connection(trial: Trial) -> None:
    served = Served()
    with closing(await trial.streams.start_server(served.accepted, "::1", 0)) as server:
        address = server.sockets[0].getsockname()
        async with closing_wire(
            await carrier(trial).connected(socket.AF_INET6, address[:2])
        ) as wire:
            _, writer = await served.pairs.get()
            with closing(writer):
                expect(known(writer, "sockname"), address)
                expect(known(writer, "peername"), address_of_wire(trial, wire))


@clause("get_extra_info.default")
async def test_default(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    expect(writer.get_extra_info("no such name"), None)
    marker = object()
    expect(writer.get_extra_info("no such name", marker) is marker, True, "the default returned:")
    for default in (7, 0, "", (), False):
        expect(writer.get_extra_info("no such name", default=default), default, "the default:")


@clause("get_extra_info.default")
async def test_default_at_the_end(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    writer.close()
    await wire.receive_rest()
    await wire.close()
    await writer.wait_closed()
    expect(writer.get_extra_info("no such name", 7), 7)
    expect(writer.get_extra_info("no such name"), None)


@clause("get_extra_info.by-keyword")
async def test_by_keyword(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    expect(writer.get_extra_info(default=7, name="no such name"), 7)


@clause("get_extra_info.plain-has-no-tls", networks=PLAIN)
async def test_plain_has_no_tls(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    for name in TLS_NAMES:
        expect(writer.get_extra_info(name, "the default"), "the default", name)


@clause("get_extra_info.ssl_object", networks=TLS)
async def test_ssl_object(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    found = known(writer, "ssl_object")
    is_one = isinstance(found, ssl.SSLObject | ssl.SSLSocket)
    expect_that(is_one, "an SSLObject or SSLSocket", found)
    expect(found.server_side, trial.role == "server", "server_side")


@clause("get_extra_info.sslcontext", networks=TLS)
async def test_sslcontext(trial: Trial) -> None:
    context = client_context() if trial.role == "client" else server_context()
    _, writer, _ = await trial.connect(ssl=context)
    found = known(writer, "sslcontext")
    expect_that(found is context, "the context that was passed", found)


@clause("get_extra_info.cipher", networks=TLS)
async def test_cipher(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    assert isinstance(wire, TlsWire)
    expect(known(writer, "cipher"), wire.tls.cipher())


@clause("get_extra_info.peercert", networks=TLS, roles=CLIENT)
async def test_peercert(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    certificate = known(writer, "peercert")
    expect(certificate.get("subjectAltName"), (("DNS", HOST_NAME),), "subjectAltName")


@clause("get_extra_info.peercert", networks=TLS, roles=SERVER)
async def test_peercert_of_a_client(trial: Trial) -> None:
    ours = ask_for_certificate(server_context())
    theirs = show_certificate(client_context(), name=OTHER_HOST_NAME)
    served = await trial.serve(ssl=ours)
    async with closing_wire(await carrier(trial).dial(served.server)) as below:
        await TlsWire(below, theirs, server_side=False, server_hostname=HOST_NAME).handshake()
        _, writer = await served.pairs.get()
        with closing(writer):
            certificate = known(writer, "peercert")
            expect(certificate.get("subjectAltName"), (("DNS", OTHER_HOST_NAME),), "subjectAltName")


@clause("get_extra_info.compression", networks=TLS)
async def test_compression(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    # No TLS library compresses today.
    seen = writer.get_extra_info("compression", "the default")
    expect_that(seen in (None, "the default"), "None or the default", seen)


@clause("get_extra_info.known")
async def test_known(trial: Trial) -> None:
    _, writer, _ = await trial.connect()
    tls = trial.network.name in TLS
    expect(unknown_to(writer, tls, trial.role), [], "names that the transport does not know:")


@clause("repr.names-the-class")
async def test_repr(trial: Trial) -> None:
    reader, writer, wire = await trial.connect()

    def expect_names(state: str) -> None:
        for each in (reader, writer):
            name = each.__class__.__name__
            expect_that(name in repr(each), f"a repr with {name} {state}", repr(each))

    expect_names("while open")
    await wire.send(b"unread")
    await wire.send_eof()
    await wire.settle()
    expect_names("at the end of the stream")
    writer.close()
    expect_names("while closing")
    await wire.receive_to_end()
    await wire.close()
    await wire.settle()
    expect_names("when closed")
