"""Writing tries to send immediately, which the kernel's networks can show."""

import select

from conformance.harness.addresses import carrier
from conformance.harness.clause import Some, clause
from conformance.harness.expect import expect
from conformance.harness.trial import Trial
from conformance.networks.sockets import SocketWire

KERNEL = Some(
    ("tcp", "unix"),
    "only the kernel shows its sockets while the event loop stands still, without TLS",
)

PATIENCE = 1.0
"""Seconds in which the kernel carries a few bytes from one socket of this machine to another."""


def received_meanwhile(wire: SocketWire, size: int) -> bytes:
    """Return the bytes that the kernel has for the far end, while the event loop stands still."""
    if not select.select([wire.sock], [], [], PATIENCE)[0]:
        return b""
    return wire.sock.recv(size)


@clause("write.immediately", networks=KERNEL)
async def test_write(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    carrier(trial)  # an adapter's ends are not sockets
    assert isinstance(wire, SocketWire)
    writer.write(b"abc")
    expect(received_meanwhile(wire, 3), b"abc", "received before the loop ran, of write():")


@clause("write.immediately", networks=KERNEL)
async def test_writelines(trial: Trial) -> None:
    _, writer, wire = await trial.connect()
    carrier(trial)  # an adapter's ends are not sockets
    assert isinstance(wire, SocketWire)
    writer.writelines([b"abc"])
    expect(received_meanwhile(wire, 3), b"abc", "received before the loop ran, of writelines():")
