"""TLS on top of another network: the far end runs it over memory buffers, record by record."""

import asyncio
import atexit
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar, Unpack
from unittest import mock

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from conformance.networks.base import ClientOptions, Listener, Network, ServerOptions
from conformance.networks.kernel import TcpNetwork
from conformance.networks.wire import CHUNK, Wire

if TYPE_CHECKING:
    from conformance.subject.event_loop import Loop
    from conformance.subject.implementation import Implementation, Pair

T = TypeVar("T")

HOST_NAME = "streams.test"  # the name that the certificates are for
OTHER_HOST_NAME = "other.test"  # a name for which they are not valid
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # when the certificates that have expired did so
FOR_SERVERS = ExtendedKeyUsageOID.SERVER_AUTH  # the purpose of a certificate
FOR_CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH
FAR_AHEAD = datetime(2900, 1, 1, tzinfo=UTC)  # when those begin that are not valid yet


@cache
def authority() -> trustme.CA:
    """Return the certificate authority of this process, made for it."""
    return trustme.CA()


@cache
def stranger() -> trustme.CA:
    """Return a certificate authority that no context here trusts."""
    return trustme.CA()


def server_context(
    issuer: trustme.CA | None = None,
    *,
    name: str = HOST_NAME,
    expired: bool = False,
    not_yet: bool = False,
    purpose: x509.ObjectIdentifier | None = None,
) -> ssl.SSLContext:
    """Return a context for the serving side, with a certificate.

    Args:
        issuer: the authority that signs the certificate; by default the one that clients trust.
        name: the name that it is for.
        expired: whether its time is over.
        not_yet: whether its time is to come.
        purpose: what alone it is for; by default for anything.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return show_certificate(
        context, issuer, name=name, expired=expired, not_yet=not_yet, purpose=purpose
    )


def show_certificate(
    context: ssl.SSLContext,
    issuer: trustme.CA | None = None,
    *,
    name: str = HOST_NAME,
    expired: bool = False,
    not_yet: bool = False,
    purpose: x509.ObjectIdentifier | None = None,
) -> ssl.SSLContext:
    """Let `context` show a certificate, a client's to servers that ask for one, and return it.

    The arguments are those of `server_context()`.
    """
    context.load_cert_chain(_certificate(issuer or authority(), name, expired, not_yet, purpose))
    return context


def show_own_signature(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let `context` show a certificate that is signed with its own key, and return it."""
    context.load_cert_chain(_own_signature())
    return context


def show_strange_authority(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let `context` show a certificate by `stranger()`, and that of `stranger()`; return it."""
    context.load_cert_chain(_strange_authority())
    return context


_files = ExitStack()
atexit.register(_files.close)


@cache
def _certificate(
    issuer: trustme.CA,
    name: str,
    expired: bool,
    not_yet: bool,
    purpose: x509.ObjectIdentifier | None,
) -> str:
    """Return the file of a certificate and its key.

    It stays until the process ends: an implementation may read it at each use, not only when a
    context loads it.
    """
    certificate = issuer.issue_cert(
        name,
        not_before=FAR_AHEAD if not_yet else None,
        not_after=LONG_AGO if expired else None,
    )
    if purpose is None:
        return _files.enter_context(certificate.private_key_and_cert_chain_pem.tempfile())
    path = _files.enter_context(certificate.private_key_pem.tempfile())
    _for_purpose(certificate, issuer, purpose).write_to_path(path, append=True)
    return path


def _for_purpose(
    certificate: trustme.LeafCert, issuer: trustme.CA, purpose: x509.ObjectIdentifier
) -> trustme.Blob:
    """Return the certificate signed again, for that purpose alone: trustme's are for any."""
    old = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
    new = x509.CertificateBuilder(
        *(old.issuer, old.subject, old.public_key(), old.serial_number),
        *(old.not_valid_before_utc, old.not_valid_after_utc),
    )
    for each in old.extensions:
        is_purpose = isinstance(each.value, x509.ExtendedKeyUsage)
        value = x509.ExtendedKeyUsage([purpose]) if is_purpose else each.value
        new = new.add_extension(value, each.critical)
    key = load_pem_private_key(issuer.private_key_pem.bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return trustme.Blob(new.sign(key, SHA256()).public_bytes(Encoding.PEM))


@cache
def _own_signature() -> str:
    """Return the file of a key, and of a certificate that is signed with it."""
    path = _files.enter_context(stranger().private_key_pem.tempfile())
    stranger().cert_pem.write_to_path(path, append=True)
    return path


@cache
def _strange_authority() -> str:
    """Return the file of a certificate by `stranger()` and its key, and of its authority's."""
    certificate = stranger().issue_cert(HOST_NAME)
    path = _files.enter_context(certificate.private_key_and_cert_chain_pem.tempfile())
    stranger().cert_pem.write_to_path(path, append=True)
    return path


def ask_for_certificate(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a server's `context` ask for a certificate of `authority()`, and return it."""
    context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(context)
    return context


@contextmanager
def trusted_by_the_system() -> Iterator[None]:
    """Let `authority()` be one of the system's, which `ssl=True` trusts."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "authority.pem")
        authority().cert_pem.write_to_path(path)
        with mock.patch.dict(os.environ, SSL_CERT_FILE=path):
            yield


def client_context() -> ssl.SSLContext:
    """Return a context for the connecting side: trusts `authority()`, checks the host's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


# A far end's own settings are never changed, so one context of each kind serves all far ends. The
# implementation gets a new one each time, because it may keep or change it.
_serving_far_end = cache(server_context)
_connecting_far_end = cache(client_context)


class TlsWire(Wire):
    """The far end of a TLS connection, over a wire that carries its records.

    Args:
        carrier: the wire below.
        context: its TLS settings.
        server_side: whether the far end is the TLS server.
        server_hostname: the name that the far end, as client, expects of the implementation.
    """

    def __init__(
        self,
        carrier: Wire,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        self.carrier = carrier
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server_side, server_hostname=server_hostname
        )

    async def _drive(self, operation: Callable[[], T]) -> T:
        """Return the result of `operation`, and carry records both ways while it needs them."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                await self._flush()
                records = await self.carrier.receive_some()
                if records:
                    self.incoming.write(records)
                else:
                    self.incoming.write_eof()
            except BaseException:
                with suppress(OSError):  # the alert that says why, if it can still be sent
                    await self._flush()
                raise
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if self.outgoing.pending:
            await self.carrier.send(self.outgoing.read())

    async def handshake(self, first: bytes = b"", *, leave: bool = False) -> None:
        """Do the TLS handshake.

        Args:
            first: the first data to send, in one piece with the end of the handshake.
            leave: whether to send `close_notify`, in the same piece.

        Raises:
            ssl.SSLError: it failed.
            ConnectionError: the implementation ended the connection.
        """

        def shake() -> None:
            self.tls.do_handshake()
            if first:
                self.tls.write(first)
            if leave:
                with suppress(ssl.SSLWantReadError):
                    self.tls.unwrap()

        await self._drive(shake)

    async def send(self, data: bytes) -> None:
        """Send `data`, in records of at most 16 KiB; see `Wire.send()`."""
        rest = memoryview(data)
        while rest:
            sent = await self._drive(partial(self.tls.write, rest))
            rest = rest[sent:]

    async def receive_some(self) -> bytes:
        """Return the next bytes; see `Wire.receive_some()`.

        The end is `b""` when the implementation has sent `close_notify`; a connection that ends
        without it counts as reset, because TLS cannot tell it from a truncation.
        """
        try:
            return await self._drive(lambda: self.tls.read(CHUNK))
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLEOFError as error:
            raise ConnectionResetError("the TLS stream was cut off") from error

    def decrypted(self, piece: bytes) -> bytes:
        """Return the content of the records that end in `piece`, which the carrier received."""
        self.incoming.write(piece)
        clear = bytearray()
        with suppress(ssl.SSLWantReadError):
            while part := self.tls.read(CHUNK):
                clear += part
        return bytes(clear)

    async def send_eof(self) -> None:
        """Send `close_notify`: nothing more will be sent."""
        with suppress(ssl.SSLWantReadError):  # the implementation's own may come later, or never
            self.tls.unwrap()
        await self._flush()

    async def cut_off(self) -> None:
        """End the connection below without `close_notify`."""
        await self.carrier.close()

    async def reset(self) -> None:
        """Reset the connection below."""
        await self.carrier.reset()

    async def close(self) -> None:
        """Send `close_notify`, if the connection still carries it, and close."""
        with suppress(OSError, ssl.SSLError):  # closed already, from either side
            await self.send_eof()
        await self.carrier.close()

    async def arrived(self) -> None:
        """Wait until the implementation's end of the network holds all that was sent."""
        await self.carrier.arrived()


class TlsListener(Listener):
    """A far end that waits for TLS connections."""

    def __init__(self, carrier: Listener) -> None:
        self.carrier = carrier

    async def accept(self) -> TlsWire:
        """Return the far end of the next connection, its handshake done."""
        wire = TlsWire(await self.carrier.accept(), _serving_far_end(), server_side=True)
        await wire.handshake()
        return wire

    def close(self) -> None:
        """Stop listening."""
        self.carrier.close()


class TlsNetwork(Network):
    """TLS over another network.

    Args:
        carrier: the network that carries the records.
    """

    tls = True
    hosts = True

    def __init__(self, carrier: Network) -> None:
        self.carrier = carrier
        self.unread_capacity = carrier.unread_capacity

    @property
    def virtual_time(self) -> bool:
        """Whether time on the carrier's loop is simulated."""
        return self.carrier.virtual_time

    def new_loop(self, loop: "Loop") -> asyncio.AbstractEventLoop:
        """Return a new event loop on which the carrier can be used."""
        return self.carrier.new_loop(loop)

    async def listen(self) -> TlsListener:
        """Return a far end that listens."""
        return TlsListener(await self.carrier.listen())

    async def open(
        self, streams: "Implementation", listener: Listener, **options: Unpack[ClientOptions]
    ) -> "Pair":
        """Let the implementation connect with `ssl=` and `server_hostname=`."""
        assert isinstance(listener, TlsListener)
        secured = ClientOptions(ssl=client_context(), server_hostname=HOST_NAME) | options
        return await self.carrier.open(streams, listener.carrier, **secured)

    async def serve(
        self, streams: "Implementation", callback: object, **options: Unpack[ServerOptions]
    ) -> asyncio.Server:
        """Let the implementation serve with `ssl=`."""
        secured = ServerOptions(ssl=server_context()) | options
        return await self.carrier.serve(streams, callback, **secured)

    async def dial(self, server: asyncio.Server) -> TlsWire:
        """Connect a far end to the implementation's `server` and do the handshake."""
        wire = TlsWire(
            await self.carrier.dial(server),
            _connecting_far_end(),
            server_side=False,
            server_hostname=HOST_NAME,
        )
        await wire.handshake()
        return wire

    def start_trace(self) -> None:
        """Record the carrier's segments."""
        self.carrier.start_trace()

    def trace(self) -> str:
        """Return the carrier's segments, as text."""
        return self.carrier.trace()

    def close(self) -> None:
        """Release the carrier's resources."""
        self.carrier.close()


class TlsOverTcp(TlsNetwork):
    """TLS over the kernel's TCP."""

    name = "tls"

    def __init__(self) -> None:
        super().__init__(TcpNetwork())
