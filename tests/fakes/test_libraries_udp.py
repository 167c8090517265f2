"""Unmodified libraries on simulated UDP, each with a fault."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import trustme
from here import network_here

import fakes

HARD = {"latency": 0.02, "loss_rate": 0.2, "duplicate_rate": 0.1, "reorder_rate": 0.1}


def run_at(server: str, main: Coroutine[Any, Any, Any], seed: int = 0, **link: float) -> Any:
    """Run where a host is 10.1.0.1, over such a link."""
    network = fakes.Network(link=fakes.Link(**link))  # type: ignore[arg-type]
    network.host(server, "10.1.0.1")
    return fakes.run(main, network=network, seed=seed)


# --- dnspython ------------------------------------------------------------------------------------


async def lookup() -> list[str]:
    message = pytest.importorskip("dns.message")
    rrset = pytest.importorskip("dns.rrset")
    asyncresolver = pytest.importorskip("dns.asyncresolver")

    class NameServer(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            query = message.from_wire(data)
            answer = message.make_response(query)
            name = query.question[0].name
            answer.answer.append(rrset.from_text(name, 60, "IN", "A", "192.0.2.7"))
            self.transport.sendto(answer.to_wire(), addr)

    loop = asyncio.get_running_loop()
    with network_here().host("ns"):
        transport, _ = await loop.create_datagram_endpoint(NameServer, ("10.1.0.1", 53))
    resolver = asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["10.1.0.1"]
    try:
        return [str(found) for found in await resolver.resolve("a.example", lifetime=30)]
    finally:
        transport.close()
        await asyncio.sleep(1)


def test_dnspython_resolves() -> None:
    assert run_at("ns", lookup()) == ["192.0.2.7"]


def test_dnspython_asks_again_for_what_is_lost() -> None:
    async def main() -> tuple[list[str], float]:
        link = network_here().link("localhost", "ns")
        link.partition()
        asyncio.get_running_loop().call_later(3, link.heal)
        return await lookup(), asyncio.get_running_loop().time()

    found, time = run_at("ns", main())
    assert found == ["192.0.2.7"]
    assert time > 3


# --- aioquic --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Path:
    folder = tmp_path_factory.mktemp("quic")
    certificate = authority.issue_cert("web")
    certificate.private_key_pem.write_to_path(str(folder / "key"))
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(folder / "chain"), append=True)
    authority.cert_pem.write_to_path(str(folder / "authority"))
    return folder


async def over_quic(certificates: Path, data: bytes) -> bytes:
    quic = pytest.importorskip("aioquic.asyncio")
    configuration = pytest.importorskip("aioquic.quic.configuration").QuicConfiguration
    here = configuration(is_client=True, alpn_protocols=["shout"])
    here.load_verify_locations(str(certificates / "authority"))
    there = configuration(is_client=False, alpn_protocols=["shout"])
    there.load_cert_chain(str(certificates / "chain"), str(certificates / "key"))
    tasks: set[asyncio.Task[None]] = set()

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.write_eof()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(shout(reader, writer)))

    with network_here().host("web"):
        server = await quic.serve("10.1.0.1", 443, configuration=there, stream_handler=accept)
    async with quic.connect("web", 443, configuration=here) as client:
        reader, writer = await client.create_stream()
        writer.write(data)
        writer.write_eof()
        answer: bytes = await reader.read()
    server.close()
    await asyncio.sleep(60)
    return answer


def test_aioquic(certificates: Path) -> None:
    assert run_at("web", over_quic(certificates, b"quic")) == b"QUIC"


@pytest.mark.parametrize("seed", range(1, 6))
def test_aioquic_over_a_bad_link(certificates: Path, seed: int) -> None:
    data = b"a long text " * 5000
    assert run_at("web", over_quic(certificates, data), seed, **HARD) == data.upper()


def test_aioquic_has_nobody_to_talk_to(certificates: Path) -> None:
    with pytest.raises(ConnectionError):
        run_at("web", over_quic(certificates, b"x"), loss_rate=1)


# --- aiocoap --------------------------------------------------------------------------------------


async def temperature(server: str | None, client: str | None, count: int = 1) -> list[bytes]:
    """Ask a server for the temperature, over transports of aiocoap's, or over its default ones."""
    aiocoap = pytest.importorskip("aiocoap")
    resource = pytest.importorskip("aiocoap.resource")

    class Temperature(resource.Resource):  # type: ignore[misc,name-defined]  # imported just now
        async def render_get(self, request: Any) -> Any:
            return aiocoap.Message(payload=b"22 C")

    site = resource.Site()
    site.add_resource(["temperature"], Temperature())
    with network_here().host("sensor"):
        serving = await aiocoap.Context.create_server_context(
            site, bind=("10.1.0.1", 5683), transports=server and [server]
        )
    asking = await aiocoap.Context.create_client_context(transports=client and [client])
    answers = []
    try:
        for _ in range(count):
            message = aiocoap.Message(code=aiocoap.GET, uri="coap://10.1.0.1/temperature")
            answers.append((await asking.request(message).response).payload)
    finally:
        await asking.shutdown()
        await serving.shutdown()
    return answers


def test_aiocoap() -> None:
    assert run_at("sensor", temperature("simplesocketserver", "simple6")) == [b"22 C"]


def test_aiocoap_over_a_bad_link() -> None:
    asking = temperature("simplesocketserver", "simple6", 20)
    assert run_at("sensor", asking, seed=3, **HARD) == [b"22 C"] * 20


def test_aiocoap_has_nobody_to_talk_to() -> None:
    error = pytest.importorskip("aiocoap.error")
    with pytest.raises(error.NetworkError):
        run_at("sensor", temperature("simplesocketserver", "simple6"), loss_rate=1)


def test_aiocoap_as_it_comes() -> None:
    """Over its own sockets, with recvmsg() and the queue of errors."""
    assert run_at("sensor", temperature(None, None)) == [b"22 C"]
    assert run_at("sensor", temperature(None, None, 20), seed=3, **HARD) == [b"22 C"] * 20


def test_aiocoap_learns_that_nobody_is_there() -> None:
    aiocoap = pytest.importorskip("aiocoap")
    error = pytest.importorskip("aiocoap.error")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        client = await aiocoap.Context.create_client_context()
        start = loop.time()
        message = aiocoap.Message(code=aiocoap.GET, uri="coap://10.1.0.1/temperature")
        with pytest.raises(error.NetworkError):
            await client.request(message).response
        took = loop.time() - start
        await client.shutdown()
        return took

    assert run_at("sensor", main()) < 1


# --- aioice ---------------------------------------------------------------------------------------


def test_aioice_connects_and_notices_a_partition(
    run_twice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks the C library for the machine's addresses, which are not those of the simulation."""
    ice = pytest.importorskip("aioice.ice")

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return [network_here().current_host().addresses[0]]

    monkeypatch.setattr(ice, "get_host_addresses", addresses)

    async def main() -> tuple[bytes, float]:
        here, there = ice.Connection(ice_controlling=True), ice.Connection(ice_controlling=False)
        await here.gather_candidates()
        with network_here().host("peer"):
            await there.gather_candidates()
        for one, other in ((here, there), (there, here)):
            for candidate in [*other.local_candidates, None]:
                await one.add_remote_candidate(candidate)
            one.remote_username, one.remote_password = other.local_username, other.local_password
        await asyncio.gather(here.connect(), there.connect())
        await here.send(b"hello")
        received = await there.recv()
        network_here().link("localhost", "peer").partition()
        start = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionError, match="Connection lost"):
            await there.recv()
        noticed = asyncio.get_running_loop().time() - start
        await asyncio.gather(here.close(), there.close())
        return received, noticed

    received, noticed = run_twice(main, "peer")
    assert received == b"hello"
    assert 20 < noticed < 60  # six unanswered requests for consent, of about five seconds each


def test_zeroconf_asks_for_multicast_and_is_refused_by_name() -> None:
    zeroconf = pytest.importorskip("zeroconf.asyncio")

    async def main() -> None:
        zeroconf.AsyncZeroconf()

    with pytest.raises(fakes.NotSimulated, match="the socket option IP_ADD_MEMBERSHIP"):
        fakes.run(main())


# --- kademlia -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:'asyncio.iscoroutinefunction' is deprecated")  # in rpcudp
def test_kademlia_finds_what_a_node_that_is_gone_has_stored(run_twice: Callable[..., Any]) -> None:
    network_module = pytest.importorskip("kademlia.network")

    async def main() -> list[Any]:
        loop, network = asyncio.get_running_loop(), network_here()
        hosts = [network.host(name) for name in ("first", "second", "third")]
        nodes = [network_module.Server() for _ in hosts]
        for host, node in zip(hosts, nodes, strict=True):
            with host:
                await node.listen(8468)
                await node.bootstrap([(hosts[0].addresses[0], 8468)])
        _, second, third = nodes
        with hosts[1]:
            await second.set("key", "value")
        hosts[1].drop()
        with hosts[2]:
            found = await third.get("key")
        hosts[0].drop()
        started = loop.time()
        with hosts[2]:
            missed = await third.get("another")
        took = loop.time() - started
        for node in nodes:
            node.stop()
        return [found, missed, round(took)]

    assert run_twice(main) == ["value", None, 5]  # rpcudp waits for five seconds


# --- pysnmp ---------------------------------------------------------------------------------------


def test_pysnmp_tries_again_and_gives_up() -> None:
    """It numbers its requests on from run to run, so traces are not compared."""
    snmp = pytest.importorskip("pysnmp.hlapi.v3arch.asyncio")
    udp = pytest.importorskip("pysnmp.carrier.asyncio.dgram.udp")
    config = pytest.importorskip("pysnmp.entity.config")
    cmdrsp = pytest.importorskip("pysnmp.entity.rfc3413.cmdrsp")
    context = pytest.importorskip("pysnmp.entity.rfc3413.context")

    async def main() -> list[Any]:
        loop, network = asyncio.get_running_loop(), network_here()
        with network.host("router"):
            agent = snmp.SnmpEngine()
            transport = udp.UdpTransport().open_server_mode(("10.1.0.1", 161))
            config.add_transport(agent, udp.DOMAIN_NAME, transport)
            config.add_v1_system(agent, "area", "public")
            config.add_vacm_user(agent, 2, "area", "noAuthNoPriv", (1, 3, 6), (1, 3, 6))
            cmdrsp.GetCommandResponder(agent, context.SnmpContext(agent))
        manager = snmp.SnmpEngine()

        async def get() -> str:
            error, _, _, found = await snmp.get_cmd(
                manager,
                snmp.CommunityData("public"),
                await snmp.UdpTransportTarget.create(("10.1.0.1", 161), timeout=3, retries=2),
                snmp.ContextData(),
                snmp.ObjectType(snmp.ObjectIdentity("1.3.6.1.2.1.1.2.0")),
            )
            return str(error or found[0][0])

        seen: list[Any] = [await get()]
        link = network.link("localhost", "router")
        link.partition()
        started = loop.time()
        seen += [await get(), round(loop.time() - started)]
        link.heal()
        seen.append(await get())
        for engine in (manager, agent):
            engine.close_dispatcher()
        return seen

    network = fakes.Network(link=fakes.Link(latency=0.02))
    network.host("router", "10.1.0.1")
    found, error, took, again = fakes.run(main(), network=network, seed=1, deterministic=True)
    assert found == again == "1.3.6.1.2.1.1.2.0"
    assert error == "No SNMP response received before timeout"
    assert took == 9  # three times three seconds


# --- bacpypes3 ------------------------------------------------------------------------------------


def test_bacpypes3_gives_up_on_a_device_that_does_not_answer(
    run_twice: Callable[..., Any],
) -> None:
    application = pytest.importorskip("bacpypes3.ipv4.app")
    device = pytest.importorskip("bacpypes3.local.device")
    pdu = pytest.importorskip("bacpypes3.pdu")
    apdu = pytest.importorskip("bacpypes3.apdu")

    def start(number: int, address: str) -> Any:
        about = device.DeviceObject(
            objectIdentifier=("device", number),
            objectName=f"device {number}",
            vendorIdentifier=999,
            maxApduLengthAccepted=1024,
            maxSegmentsAccepted=2,
            segmentationSupported="noSegmentation",
        )
        # Without a network mask it broadcasts nothing.
        return application.NormalApplication(about, pdu.IPv4Address(f"{address}/32"))

    async def main() -> list[Any]:
        loop, network = asyncio.get_running_loop(), network_here()
        there, here = network.host("heating"), network.host("localhost")
        with there:
            heating = start(2, there.addresses[0])
        client = start(1, here.addresses[0])
        await asyncio.sleep(1)
        question = (pdu.Address(there.addresses[0]), "device,2", "object-name")
        seen: list[Any] = [str(await client.read_property(*question))]
        network.link("localhost", "heating").partition()
        started = loop.time()
        with pytest.raises(apdu.AbortPDU, match="no-response"):
            await client.read_property(*question)
        seen.append(round(loop.time() - started))
        client.close()
        heating.close()
        return seen

    assert run_twice(main, "heating") == ["device 2", 12]  # four times three seconds
