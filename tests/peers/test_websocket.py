"""A real WebSocket server and its client, through every way to disturb their messages."""

import asyncio
import contextlib
import time

import pytest
from support.server import Server
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 10
MESSAGES = 200


@contextlib.asynccontextmanager
async def chat(compression=None):
    """A server that sends back what it hears, a proxy in front of it, and what the server saw last."""
    closes = []

    async def echo(socket):
        try:
            async for message in socket:
                await socket.send(message)
        except ConnectionClosed:
            pass
        closes.append((socket.close_code, socket.close_reason))

    async with serve(echo, "127.0.0.1", 0, compression=compression) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        with Server() as server:
            proxy = server.post(
                "/v1/proxies",
                {"name": "p", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}", "protocol": "http"},
            )
            yield server, f"ws://{proxy['listen']}/chat", closes


def add(server, **attributes):
    server.post("/v1/proxies/p/toxics", {"name": "ws", "type": "websocket", "attributes": attributes})


def applied(server):
    return server.get("/v1/proxies/p")["toxics"][0]["applied"]


async def said(socket, message):
    await socket.send(message)
    return await asyncio.wait_for(socket.recv(), PATIENCE_S)


def run(body):
    asyncio.run(asyncio.wait_for(body(), 60))


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_pass_as_they_are(compression):
    async def body():
        async with chat(compression) as (server, url, _), connect(url, compression=compression) as socket:
            # Longer than a frame's short lengths, a read, and a socket's buffer.
            for message in ["", "hello", "ü" * 100, b"\0" * 70_000, "x" * 1_000_000]:
                assert await said(socket, message) == message
            assert await asyncio.wait_for(await socket.ping(), PATIENCE_S) is not None
            await socket.send(["in ", "three ", "fragments"])
            assert await asyncio.wait_for(socket.recv(), PATIENCE_S) == "in three fragments"

    run(body)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_delay_holds_messages_both_ways_and_not_one_after_the_other(compression):
    async def body():
        async with chat(compression) as (server, url, _):
            add(server, delay=50)
            async with connect(url, compression=compression) as socket:
                began = time.monotonic()
                for number in range(20):
                    await socket.send(str(number))
                heard = [await asyncio.wait_for(socket.recv(), PATIENCE_S) for _ in range(20)]
                took = time.monotonic() - began
                assert heard == [str(number) for number in range(20)]
                assert 0.1 <= took < 0.5, took
                assert applied(server) == 1
                server.delete("/v1/proxies/p/toxics/ws")
                began = time.monotonic()
                assert await said(socket, "quick") == "quick"
                assert time.monotonic() - began < 0.05

    run(body)


def test_a_share_is_dropped_and_fragments_with_it():
    async def body():
        async with chat() as (server, url, _):
            add(server, drop=0.3, side="request")
            async with connect(url) as socket:
                heard = []

                async def listen():
                    async for message in socket:
                        if message == "end":
                            return
                        heard.append(int(message.rstrip("!")))

                # Whoever does not listen is not answered either: the client's queue is short.
                listening = asyncio.create_task(listen())
                for number in range(MESSAGES):
                    await socket.send([str(number), "!"])
                # A ping is let through: when it is answered, all before it has met the toxic.
                await asyncio.wait_for(await socket.ping(), PATIENCE_S)
                server.delete("/v1/proxies/p/toxics/ws")
                await socket.send("end")
                await asyncio.wait_for(listening, PATIENCE_S)
                assert heard == sorted(set(heard))
                assert 0.55 * MESSAGES < len(heard) < 0.85 * MESSAGES

    run(body)


def test_a_message_comes_twice():
    async def body():
        async with chat() as (server, url, _):
            add(server, duplicate=1, side="response")
            async with connect(url) as socket:
                await socket.send(b"x" * 100_000)
                for _ in range(2):
                    assert await asyncio.wait_for(socket.recv(), PATIENCE_S) == b"x" * 100_000

    run(body)


def test_one_bit_is_flipped_and_the_frames_stay_good():
    async def body():
        async with chat() as (server, url, _):
            add(server, corrupt=1, side="request")
            async with connect(url) as socket:
                for length in [1, 125, 126, 65_535, 65_536]:
                    heard = await said(socket, bytes(length))
                    assert len(heard) == length
                    assert sum(byte.bit_count() for byte in heard) == 1

    run(body)


@pytest.mark.parametrize("side", ["request", "response", "both"])
def test_a_close_is_seen_by_both(side):
    async def body():
        async with chat() as (server, url, closes):
            add(server, close=1012, reason="restart", after=3, side=side)
            async with connect(url) as socket:
                heard = []
                with pytest.raises(ConnectionClosed):
                    for number in range(10):
                        heard.append(await said(socket, str(number)))
                assert socket.close_code == 1012
                assert heard == ["0", "1", "2"][: len(heard)] and len(heard) >= 2
            for _ in range(100):
                if closes:
                    break
                await asyncio.sleep(0.02)
            assert closes[0][0] == 1012

    run(body)
