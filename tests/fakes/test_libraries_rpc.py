"""Unmodified libraries for calls and events: gRPC, Socket.IO, OPC UA, Modbus, a TestClient."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest
from here import link_to, network_here

import fakes

RunTwice = Callable[..., Any]


def codec() -> Any:
    """Return what has grpclib send bytes as they are."""
    base = pytest.importorskip("grpclib.encoding.base")

    class Bytes(base.CodecBase):  # type: ignore[misc,name-defined]  # imported just now
        __content_subtype__ = "bytes"

        def encode(self, message: Any, message_type: Any) -> Any:
            return message

        def decode(self, data: Any, message_type: Any) -> Any:
            return data

    return Bytes()


def test_grpclib_deadline_and_reset(run_twice: RunTwice) -> None:
    """A deadline is sent as what is left of it by `time.monotonic()`."""
    client = pytest.importorskip("grpclib.client")
    server_module = pytest.importorskip("grpclib.server")
    const = pytest.importorskip("grpclib.const")
    lost = pytest.importorskip("grpclib.exceptions").StreamTerminatedError

    class Shout:
        async def shout(self, stream: Any) -> None:
            message = await stream.recv_message()
            await asyncio.sleep(100 if message == b"slow" else 0)
            await stream.send_message(message.upper())

        def __mapping__(self) -> Any:
            unary = const.Cardinality.UNARY_UNARY
            return {"/Shout/Shout": const.Handler(self.shout, unary, bytes, bytes)}

    async def main() -> float:
        loop = asyncio.get_running_loop()
        server = server_module.Server([Shout()], codec=codec())
        with network_here().host("api"):
            await server.start(None, 50051)
        async with client.Channel("api", 50051, codec=codec()) as channel:
            shout = client.UnaryUnaryMethod(channel, "/Shout/Shout", bytes, bytes)
            assert await shout(b"hello") == b"HELLO"
            start = loop.time()
            with pytest.raises(asyncio.TimeoutError):
                await shout(b"slow", timeout=5)
            waited = loop.time() - start
            loop.call_later(1, link_to("api").reset)
            with pytest.raises(lost, match="Connection lost"):
                await shout(b"slow")
            assert await shout(b"again") == b"AGAIN"
        server.close()
        await server.wait_closed()
        return waited

    assert run_twice(main, "api") == pytest.approx(5)


def test_grpclib_server_gives_up_at_a_deadline(run_twice: RunTwice) -> None:
    """It counts what is left by `time.monotonic()`; it gets whole seconds, rounded down."""
    client = pytest.importorskip("grpclib.client")
    server_module = pytest.importorskip("grpclib.server")
    const = pytest.importorskip("grpclib.const")

    exceptions = pytest.importorskip("grpclib.exceptions")

    async def main() -> list[float]:
        left: list[float] = []

        class Work:
            async def work(self, stream: Any) -> None:
                await stream.recv_message()
                try:
                    await asyncio.sleep(30)
                    left.append(stream.deadline.time_remaining())
                    await asyncio.sleep(3600)
                finally:
                    left.append(stream.deadline.time_remaining())

            def __mapping__(self) -> Any:
                unary = const.Cardinality.UNARY_UNARY
                return {"/Work/Work": const.Handler(self.work, unary, bytes, bytes)}

        server = server_module.Server([Work()], codec=codec())
        with network_here().host("api"):
            await server.start(None, 50051)
        async with client.Channel("api", 50051, codec=codec()) as channel:
            work = client.UnaryUnaryMethod(channel, "/Work/Work", bytes, bytes)
            with pytest.raises(exceptions.GRPCError, match="DEADLINE_EXCEEDED"):
                await work(b"go", timeout=50)
        server.close()
        await server.wait_closed()
        return left

    assert run_twice(main, "api") == [pytest.approx(19, abs=0.1), pytest.approx(0, abs=0.1)]


def test_socketio_comes_back_after_a_partition(run_twice: RunTwice) -> None:
    socketio = pytest.importorskip("socketio")
    web = pytest.importorskip("aiohttp.web")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        sio = socketio.AsyncServer(async_mode="aiohttp", ping_interval=25, ping_timeout=20)
        sio.on("say", lambda sid, text: text.upper())
        app = web.Application()
        sio.attach(app)
        runner = web.AppRunner(app)
        await runner.setup()
        with network_here().host("chat"):
            await web.TCPSite(runner, None, 80).start()
        events: list[Any] = []
        client = socketio.AsyncClient()
        client.on("connect", lambda: events.append(("connected", round(loop.time()))))
        client.on("disconnect", lambda reason: events.append((reason, round(loop.time()))))
        await client.connect("http://chat:80", transports=["websocket"])
        assert await client.call("say", "hello") == "HELLO"
        link_to("chat").partition()
        loop.call_later(200, link_to("chat").heal)
        await asyncio.sleep(400)
        assert await client.call("say", "again") == "AGAIN"
        await client.disconnect()
        await runner.cleanup()
        gc.collect()  # connections that it has left open ask for the loop when they are collected
        return events

    connected, lost, again, ended = run_twice(main, "chat")
    assert connected == ("connected", 0)
    assert lost == ("transport error", 45)  # a ping's interval, and its timeout
    assert again[0] == "connected"
    assert 200 <= again[1] < 260
    assert ended[0] == "client disconnect"


@pytest.mark.pythons("newest", why="it takes seconds to import")
def test_asyncua_gives_up_a_read_across_a_partition(
    caplog: pytest.LogCaptureFixture, run_twice: RunTwice
) -> None:
    asyncua = pytest.importorskip("asyncua")
    caplog.set_level(logging.CRITICAL)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        server = asyncua.Server()
        await server.init()
        server.set_endpoint("opc.tcp://plc:4840/")
        server.set_security_policy([asyncua.ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace("urn:plant")
        variable = await server.nodes.objects.add_variable(space, "temperature", 20.5)
        with network_here().host("plc"):
            await server.start()
        async with asyncua.Client("opc.tcp://plc:4840/", timeout=10) as client:
            node = client.get_node(variable.nodeid)
            assert await node.read_value() == 20.5
            link_to("plc").partition()
            start = loop.time()
            with pytest.raises(asyncio.TimeoutError):
                await node.read_value()
            waited = loop.time() - start
            link_to("plc").heal()
        await server.stop()
        return waited

    assert run_twice(main, "plc") == 10.0


def test_pymodbus_asks_three_times_more(run_twice: RunTwice) -> None:
    pymodbus = pytest.importorskip("pymodbus")
    clients = pytest.importorskip("pymodbus.client")
    servers = pytest.importorskip("pymodbus.server")
    simulator = pytest.importorskip("pymodbus.simulator")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        registers = simulator.SimData(0, values=[17] * 10, datatype=simulator.DataType.REGISTERS)
        device = simulator.SimDevice(1, simdata=[registers])
        server = servers.ModbusTcpServer(device, address=("plc", 502))
        with network_here().host("plc"):
            await server.serve_forever(background=True)
        client = clients.AsyncModbusTcpClient("plc", port=502, timeout=3, retries=3)
        await client.connect()
        assert (await client.read_holding_registers(0, count=2)).registers == [17, 17]
        link_to("plc").partition()
        loop.call_later(60, link_to("plc").heal)
        start = loop.time()
        with pytest.raises(pymodbus.ModbusException, match="No response received after 3 retries"):
            await client.read_holding_registers(0, count=2)
        waited = loop.time() - start
        await asyncio.sleep(100)
        assert (await client.read_holding_registers(0, count=2)).registers == [17, 17]
        client.close()
        await server.shutdown()
        return waited

    assert run_twice(main, "plc") == 12.0


@pytest.mark.filterwarnings("ignore:Using `httpx` with `starlette.testclient`")
def test_starlette_test_client_on_a_simulated_loop() -> None:
    """It runs the application on a loop in a thread of its own, and waits for that."""
    testclient = pytest.importorskip("starlette.testclient")
    applications = pytest.importorskip("starlette.applications")
    text = pytest.importorskip("starlette.responses").PlainTextResponse
    routing = pytest.importorskip("starlette.routing")

    async def an_hour_later(request: Any) -> Any:
        await asyncio.sleep(3600)
        return text(str(asyncio.get_running_loop().time()))

    async def upstream(request: Any) -> Any:
        link_to("localhost").refuse()
        try:
            await asyncio.open_connection("localhost", 80)
        except OSError as exc:
            return text(str(exc))

    async def shout(socket: Any) -> None:
        await socket.accept()
        await socket.send_text((await socket.receive_text()).upper())

    routes = [routing.Route("/hour", an_hour_later), routing.Route("/up", upstream)]
    app = applications.Starlette(routes=[*routes, routing.WebSocketRoute("/ws", shout)])
    options = {"loop_factory": fakes.Loop}
    with testclient.TestClient(app, backend_options=options) as client:
        assert client.get("/hour").text == "3600.0"
        assert "Connect call failed" in client.get("/up").text
        with client.websocket_connect("/ws") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "HELLO"


def test_tornado_gives_up_and_asks_again(run_twice: RunTwice) -> None:
    httpclient = pytest.importorskip("tornado.httpclient")
    web = pytest.importorskip("tornado.web")

    class Hello(web.RequestHandler):  # type: ignore[misc,name-defined]  # imported just now
        async def get(self) -> None:
            await asyncio.sleep(float(self.get_argument("wait", "0")))
            self.write("hello")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        with network_here().host("web"):
            server = web.Application([("/", Hello)]).listen(80)
        client = httpclient.AsyncHTTPClient(force_instance=True)
        seen = [(await client.fetch("http://web/")).body]
        start = loop.time()
        with pytest.raises(httpclient.HTTPClientError, match="Timeout during request"):
            await client.fetch("http://web/?wait=100", request_timeout=20)
        seen.append(loop.time() - start)
        loop.call_later(1, link_to("web").reset)
        with pytest.raises(ConnectionResetError):
            await client.fetch("http://web/?wait=10")
        seen.append((await client.fetch("http://web/")).body)
        server.stop()
        await server.close_all_connections()
        return seen

    first, waited, again = run_twice(main, "web")
    assert (first, again) == (b"hello", b"hello")
    assert waited == pytest.approx(20)


def test_pyserial_asyncio_is_refused_by_name() -> None:
    """It has no socket but a device; and it first looks at that in a callback."""
    serial = pytest.importorskip("serial_asyncio")
    controller, device = os.openpty()

    async def main() -> None:
        reader, _ = await serial.open_serial_connection(url=os.ttyname(device))
        await reader.read(1)

    try:
        with pytest.raises(fakes.NotSimulated, match=r"\d+, a real device or terminal, is not"):
            fakes.run(main())
    finally:
        os.close(controller)
        os.close(device)
