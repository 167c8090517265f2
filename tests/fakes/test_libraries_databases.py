"""Unmodified database drivers, against small servers of our own; each with a fault."""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from here import link_to, network_here

import fakes

RunTwice = Callable[..., Any]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]
GONE = (ConnectionError, asyncio.IncompleteReadError)


def run_with_database(program: Any) -> Any:
    network = fakes.Network(link=fakes.Link(latency=0.01))
    network.host("db")
    return fakes.run(program, network=network, seed=1)


async def serve_at(port: int, serve: Serve) -> asyncio.Server:
    async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*GONE):
            await serve(reader, writer)
        writer.close()

    with network_here().host("db"):
        return await asyncio.start_server(until_gone, None, port)


# --- asyncpg --------------------------------------------------------------------------------------


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


async def postgres(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every query is answered by one row with the number 7; one with `sleep` after 100 seconds."""
    size, _ = struct.unpack("!II", await reader.readexactly(8))
    await reader.readexactly(size - 8)
    about = message(b"S", b"server_version\x0016.0\0") + message(b"K", bytes(8))
    writer.write(message(b"R", bytes(4)) + about + message(b"Z", b"I"))
    row = message(b"T", struct.pack("!H2sIHIhih", 1, b"n\0", 0, 0, 23, 4, -1, 1))
    answers = {
        b"P": message(b"1"),
        b"D": message(b"t", bytes(2)) + row,
        b"B": message(b"2"),
        b"E": message(b"D", struct.pack("!HII", 1, 4, 7)) + message(b"C", b"SELECT 1\0"),
        b"S": message(b"Z", b"I"),
        b"C": message(b"3"),
        b"H": b"",
        b"Q": message(b"C", b"RESET\0") + message(b"Z", b"I"),
    }
    query = b""
    while (kind := await reader.read(1)) in answers:
        (size,) = struct.unpack("!I", await reader.readexactly(4))
        body = await reader.readexactly(size - 4)
        query = body if kind == b"P" else query
        if kind == b"E" and b"sleep" in query:
            await asyncio.sleep(100)
        writer.write(answers[kind])


def test_asyncpg_pool_replaces_a_connection_that_was_reset() -> None:
    """It numbers its statements on from run to run, so traces are not compared."""
    asyncpg = pytest.importorskip("asyncpg")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        server = await serve_at(5432, postgres)
        where = {"host": "db", "user": "me", "password": "", "database": "d", "ssl": False}
        async with asyncpg.create_pool(**where, min_size=1, max_size=2) as pool:
            assert await pool.fetchval("select 7") == 7
            loop.call_later(5, link_to("db").reset)
            with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                await pool.fetchval("select 7 from sleep")
            assert await pool.fetchval("select 7") == 7
        server.close()
        return loop.time()

    assert 5 < run_with_database(main()) < 6


# --- pymongo --------------------------------------------------------------------------------------


async def mongo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every collection has one document."""
    import bson

    about = {"isWritablePrimary": True, "maxWireVersion": 21, "minWireVersion": 0}
    found = {"cursor": {"id": 0, "ns": "d.c", "firstBatch": [{"_id": 1, "x": 2}]}}
    while True:
        size, number, _, kind = struct.unpack("<iiii", await reader.readexactly(16))
        body = await reader.readexactly(size - 16)
        # OP_QUERY names a collection and two numbers first, OP_MSG has flags and a kind.
        start = body.index(b"\0", 4) + 9 if kind == 2004 else 5
        (length,) = struct.unpack_from("<i", body, start)
        command = next(iter(bson.decode(body[start : start + length])))
        answer = bson.encode({"ok": 1, **(found if command == "find" else about)})
        head = struct.pack("<iqii", 8, 0, 0, 1) if kind == 2004 else bytes(5)
        reply = head + answer
        op = 1 if kind == 2004 else 2013
        writer.write(struct.pack("<iiii", 16 + len(reply), 0, number, op) + reply)


def test_pymongo_tries_a_read_again_that_was_reset(run_twice: RunTwice) -> None:
    """Its monitor measures with the clock, and its requests' numbers are the C library's chance."""
    pymongo = pytest.importorskip("pymongo")

    async def main() -> list[Any]:
        server = await serve_at(27017, mongo)
        url = "mongodb://db:27017/?directConnection=true"
        seen: list[Any] = []
        async with pymongo.AsyncMongoClient(url, socketTimeoutMS=2000) as client:
            seen.append(await client.d.c.find_one({"_id": 1}))
            link_to("db").reset()
            seen.append(await client.d.c.find_one({"_id": 1}))
            link_to("db").partition()
            with pytest.raises(pymongo.errors.NetworkTimeout):
                await client.d.c.find_one({"_id": 1})
            link_to("db").heal()
        server.close()
        return seen

    assert run_twice(main, "db") == [{"_id": 1, "x": 2}] * 2


def test_pymongo_selects_a_server_in_virtual_time(run_twice: RunTwice) -> None:
    """It gives up, by `time.monotonic()`, where none is there; and finds one that comes."""
    pymongo = pytest.importorskip("pymongo")

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        url = "mongodb://db:27017/?directConnection=true&serverSelectionTimeoutMS=20000"
        took = []
        async with pymongo.AsyncMongoClient(url) as client:
            with pytest.raises(pymongo.errors.ServerSelectionTimeoutError):
                await client.d.c.find_one({"_id": 1})
            took.append(loop.time())
            waiting = asyncio.ensure_future(client.d.c.find_one({"_id": 1}))
            await asyncio.sleep(7)
            server = await serve_at(27017, mongo)
            assert await waiting == {"_id": 1, "x": 2}
            took.append(loop.time() - took[0])
        server.close()
        return took

    gave_up, found = run_twice(main, "db")
    assert gave_up == pytest.approx(20, abs=0.5)
    assert 7 < found < 10


# --- aiosqlite ------------------------------------------------------------------------------------


def test_aiosqlite_beside_a_simulation(run_twice: RunTwice) -> None:
    """Its thread is never overtaken by virtual time, though each timeout is a millisecond."""
    aiosqlite = pytest.importorskip("aiosqlite")

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        async with aiosqlite.connect(":memory:") as database:
            await database.execute("create table seen (time real)")

            async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                async for line in reader:
                    async with asyncio.timeout(0.001):
                        await database.execute("insert into seen values (?)", (loop.time(),))
                        await database.commit()
                    writer.write(line)

            server = await serve_at(80, note)
            reader, writer = await asyncio.open_connection("db", 80)
            for _ in range(5):
                writer.write(b"now\n")
                await reader.readline()
                await asyncio.sleep(10)
            link_to("db").stall()
            loop.call_later(100, link_to("db").heal)
            writer.write(b"now\n")
            await reader.readline()
            writer.close()
            server.close()
            async with database.execute("select time from seen") as rows:
                return [round(time) async for (time,) in rows]

    assert run_twice(main, "db") == [0, 10, 20, 30, 40, 150]


# --- aiomysql -------------------------------------------------------------------------------------


async def mysql(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every query is answered by one row with the number 7; one with `sleep` after 100 seconds."""

    def send(number: int, body: bytes) -> None:
        writer.write(len(body).to_bytes(3, "little") + bytes([number]) + body)

    able = struct.pack("<HBHHB", 0xF7FF, 33, 2, 0x8008, 21)
    scramble = b"12345678\0", bytes(10) + b"123456789012\0mysql_native_password\0"
    send(0, b"\x0a8.0\0" + bytes(4) + scramble[0] + able + scramble[1])
    names = b"".join(bytes([len(name)]) + name for name in (b"def", b"", b"", b"", b"n", b""))
    column = names + struct.pack("<BHIBHBH", 12, 33, 11, 3, 0, 0, 0)
    end = b"\xfe\0\0\2\0"
    logged_in = False
    while True:
        size, number = struct.unpack("<3sB", await reader.readexactly(4))
        body = await reader.readexactly(int.from_bytes(size, "little"))
        if logged_in and body.startswith(b"\3select"):
            if b"sleep" in body:
                await asyncio.sleep(100)
            for index, part in enumerate((b"\1", column, end, b"\x017", end)):
                send(index + 1, part)
        else:
            send(number + 1, b"\0\0\0\2\0\0\0")
        logged_in = True


def test_aiomysql_pool_replaces_a_connection_that_was_reset(run_twice: RunTwice) -> None:
    aiomysql = pytest.importorskip("aiomysql")

    async def main() -> list[Any]:
        server = await serve_at(3306, mysql)
        pool = await aiomysql.create_pool(host="db", user="me", password="", autocommit=True)

        async def ask(query: str) -> Any:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(query)
                return await cursor.fetchone()

        answers = [await ask("select 7")]
        asyncio.get_running_loop().call_later(5, link_to("db").reset)
        with pytest.raises(aiomysql.OperationalError, match="Lost connection"):
            await ask("select sleep(100)")
        answers.append(await ask("select 7"))
        pool.close()
        await pool.wait_closed()
        server.close()
        return answers

    assert run_twice(main, "db") == [(7,), (7,)]


# --- aiomcache ------------------------------------------------------------------------------------


def test_aiomcache_connects_anew_after_a_reset(run_twice: RunTwice) -> None:
    aiomcache = pytest.importorskip("aiomcache")
    values: dict[bytes, bytes] = {}

    async def memcached(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := (await reader.readline()).split():
            match words:
                case [b"set", key, _, _, size]:
                    values[key] = (await reader.readexactly(int(size) + 2))[:-2]
                    writer.write(b"STORED\r\n")
                case [b"get", key]:
                    value = values[key]
                    writer.write(b"VALUE %b 0 %d\r\n%b\r\nEND\r\n" % (key, len(value), value))

    async def main() -> list[bytes]:
        server = await serve_at(11211, memcached)
        client = aiomcache.Client("db", 11211, pool_size=1)
        await client.set(b"key", b"value")
        got = [await client.get(b"key")]
        link_to("db").reset()
        with pytest.raises(ConnectionResetError):
            await client.get(b"key")
        got.append(await client.get(b"key"))
        await client.close()
        server.close()
        return got

    assert run_twice(main, "db") == [b"value"] * 2
