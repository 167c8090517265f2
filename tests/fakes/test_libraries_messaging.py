"""Unmodified libraries for messages: NATS, MQTT; each reconnects after a partition."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from here import link_to, network_here

import fakes

RunTwice = Callable[..., Any]


class Nats:
    """As much of a NATS server as this test asks for."""

    def __init__(self) -> None:
        self.subscribers: dict[bytes, tuple[asyncio.StreamWriter, bytes]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.10","proto":1,"max_payload":1048576}\r\n')
        with contextlib.suppress(ConnectionError):
            while words := (await reader.readline()).split():
                match words:
                    case [b"PING"]:
                        writer.write(b"PONG\r\n")
                    case [b"SUB", subject, number]:
                        self.subscribers[subject] = writer, number
                    case [b"PUB", subject, size]:
                        data = await reader.readexactly(int(size) + 2)
                        to, number = self.subscribers[subject]
                        to.write(b"MSG %b %b %b\r\n%b" % (subject, number, size, data))
        writer.close()


def test_nats_py_reconnects_and_goes_on(run_twice: RunTwice) -> None:
    nats = pytest.importorskip("nats")

    async def main() -> tuple[list[bytes], list[Any]]:
        loop = asyncio.get_running_loop()
        got: list[bytes] = []
        events: list[Any] = []

        async def receive(message: Any) -> None:
            got.append(message.data)

        async def lost() -> None:
            events.append(("lost", round(loop.time())))

        async def back() -> None:
            events.append(("back", round(loop.time())))

        async def ignore(exc: Exception) -> None: ...

        with network_here().host("bus"):
            server = await asyncio.start_server(Nats().serve, None, 4222)
        client = await nats.connect(
            "nats://bus:4222",
            ping_interval=20,
            max_outstanding_pings=2,
            error_cb=ignore,
            disconnected_cb=lost,
            reconnected_cb=back,
        )
        await client.subscribe("news", cb=receive)
        await client.publish("news", b"one")
        await asyncio.sleep(1)
        link_to("bus").partition()
        loop.call_later(100, link_to("bus").heal)
        await asyncio.sleep(200)
        await client.publish("news", b"two")
        await asyncio.sleep(1)
        await client.close()
        server.close()
        await asyncio.sleep(1)
        return got, events

    got, events = run_twice(main, "bus")
    assert got == [b"one", b"two"]
    assert [event for event, _ in events] == ["lost", "back", "lost"]
    assert events[0][1] == 60  # the third ping finds two without an answer
    assert 101 <= events[1][1] <= 110


@contextlib.asynccontextmanager
async def mqtt_broker() -> AsyncIterator[None]:
    broker_module = pytest.importorskip("amqtt.broker")
    plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    with network_here().host("broker"):
        broker = broker_module.Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": "broker:1883"}},
                "plugins": {plugin: {"allow_anonymous": True}},
            }
        )
        await broker.start()
    yield
    await broker.shutdown()


def test_amqtt_delivers_what_was_published_into_a_partition(run_twice: RunTwice) -> None:
    amqtt = pytest.importorskip("amqtt.client")

    async def main() -> list[bytes]:
        async with mqtt_broker():
            client = amqtt.MQTTClient("me", {"keep_alive": 60, "auto_reconnect": False})
            await client.connect("mqtt://broker:1883/")
            await client.subscribe([("news", 1)])
            await client.publish("news", b"one", qos=1)
            got = [(await client.deliver_message()).data]
            link_to("broker").partition()
            asyncio.get_running_loop().call_later(3, link_to("broker").heal)
            await client.publish("news", b"two", qos=1)  # TCP sends it again until it is through
            got.append((await client.deliver_message()).data)
            assert asyncio.get_running_loop().time() > 3
            await client.disconnect()
        return got

    assert run_twice(main, "broker") == [b"one", b"two"]


def test_gmqtt_reconnects_after_a_reset(run_twice: RunTwice) -> None:
    gmqtt = pytest.importorskip("gmqtt")

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        events: list[Any] = []
        got: asyncio.Queue[bytes] = asyncio.Queue()
        client = gmqtt.Client("me")

        def connected(client: Any, *args: Any) -> None:
            events.append(("connected", round(loop.time())))
            client.subscribe("news", qos=1)

        client.on_connect = connected
        client.on_disconnect = lambda *args, **kwargs: events.append(("lost", round(loop.time())))
        client.on_message = lambda client, topic, payload, qos, properties: got.put_nowait(payload)
        async with mqtt_broker():
            await client.connect("broker", 1883, version=gmqtt.constants.MQTTv311, keepalive=10)
            loop.call_later(30, link_to("broker").reset)
            await asyncio.sleep(60)
            client.publish("news", b"hello", qos=1)
            assert await got.get() == b"hello"
            await client.disconnect()
        return events

    events = run_twice(main, "broker")
    assert [event for event, _ in events] == ["connected", "lost", "connected", "lost"]
    assert events[1][1] == 30
    assert events[2][1] < 45


def test_aiomqtt_connects_in_a_thread_and_is_refused() -> None:
    """paho's socket blocks while it connects: the sentence says who has called what."""
    aiomqtt = pytest.importorskip("aiomqtt")

    async def main() -> str:
        with pytest.raises(fakes.NotSimulated) as refused:
            await aiomqtt.Client("broker").__aenter__()
        return str(refused.value)

    sentence = fakes.run(main())
    assert sentence.startswith("getaddrinfo() for 'broker' would leave the simulated network")
    assert "called by Client._create_socket_connection()" in sentence


class Rabbit:
    """As much of an AMQP broker as this test asks for: one queue, at most one consumer."""

    def __init__(self) -> None:
        self.consumer: Callable[[Any], None] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self.answer(reader, writer)
        writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from pamqp import commands, frame, heartbeat

        def send(channel: int, what: Any) -> None:
            writer.write(frame.marshal(what, channel))

        await reader.readexactly(8)
        able: Any = {"capabilities": {"publisher_confirms": True, "basic.nack": True}}
        send(0, commands.Connection.Start(server_properties=able))
        answers: dict[str, Any] = {
            "Connection.StartOk": commands.Connection.Tune(heartbeat=10),
            "Connection.Open": commands.Connection.OpenOk(),
            "Channel.Open": commands.Channel.OpenOk(),
            "Confirm.Select": commands.Confirm.SelectOk(),
            "Basic.Qos": commands.Basic.QosOk(),
            "Queue.Declare": commands.Queue.DeclareOk("queue", 0, 0),
            "Channel.Close": commands.Channel.CloseOk(),
            "Connection.Close": commands.Connection.CloseOk(),
            "Heartbeat": heartbeat.Heartbeat(),
        }
        published: list[Any] = []
        count, tag = 0, ""
        while True:
            head = await reader.readexactly(7)
            rest = await reader.readexactly(int.from_bytes(head[3:]) + 1)
            what: Any
            _, channel, what = frame.unmarshal(head + rest)
            name = getattr(what, "name", "")
            if name in answers:
                send(channel, answers[name])
            elif name in ("Basic.Publish", "ContentHeader", "ContentBody"):
                published.append(what)
            if name == "Basic.Consume":
                self.consumer, tag = functools.partial(send, channel), what.consumer_tag
                send(channel, commands.Basic.ConsumeOk(tag))
            if name == "ContentBody" and self.consumer is not None:
                count += 1
                send(channel, commands.Basic.Ack(count))
                self.consumer(commands.Basic.Deliver(tag, count, False, "", "queue"))
                self.consumer(published[1])
                self.consumer(published[2])
                published.clear()


def test_aio_pika_robust_connection_comes_back(run_twice: RunTwice) -> None:
    aio_pika = pytest.importorskip("aio_pika")

    async def main() -> tuple[list[bytes], list[Any]]:
        loop = asyncio.get_running_loop()
        got: list[bytes] = []
        events: list[Any] = []

        async def receive(message: Any) -> None:
            got.append(message.body)

        with network_here().host("rabbit"):
            server = await asyncio.start_server(Rabbit().serve, None, 5672)
        client = await aio_pika.connect_robust(
            "amqp://me:me@rabbit/?heartbeat=10&reconnect_interval=5"
        )
        client.close_callbacks.add(lambda *args: events.append(("lost", round(loop.time()))))
        channel = await client.channel()
        queue = await channel.declare_queue("queue")
        await queue.consume(receive, no_ack=True)
        await channel.default_exchange.publish(aio_pika.Message(b"one"), "queue")
        link_to("rabbit").partition()
        loop.call_later(100, link_to("rabbit").heal)
        await asyncio.sleep(300)
        await channel.default_exchange.publish(aio_pika.Message(b"two"), "queue")
        await asyncio.sleep(1)
        await client.close()
        server.close()
        return got, events

    got, events = run_twice(main, "rabbit")
    assert got == [b"one", b"two"]
    assert events[0][0] == "lost"
    assert events[0][1] < 100
