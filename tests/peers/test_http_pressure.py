"""Clients that mean ill, or mean something else: an HTTP proxy goes on, in bounded memory."""

import ssl
import subprocess
from contextlib import ExitStack

import pytest

from support import wire
from support.nginx import HTTP1, HTTP2, curl, nginx
from support.server import Server
from support.upstream import connect, wait_until
from support.wire import CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, frame, request

MIB = 1 << 20
# curl's exit code.
TLS_FAILED = 35


@pytest.fixture(scope="module")
def upstream():
    with nginx() as running:
        yield running


@pytest.fixture
def proxy(upstream, server):
    return server.proxy(upstream.upstream, protocol="http")


def memory(proxy):
    """What the process has in memory, in bytes."""
    with open(f"/proc/{proxy.server.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def malformed(proxy):
    lines = proxy.server.get("/metrics").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("sabot_http_malformed_total{"))


def is_well(proxy):
    return all(curl("/text.txt", proxy.port, version=version, limit_s=5).status == 200 for version in (HTTP1, HTTP2))


def test_heads_that_drip(proxy):
    assert is_well(proxy)
    count, before = 800, memory(proxy)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(proxy.address)) for _ in range(count)]
        for drop in [b"GET / HTTP/1.1\r\n", b"Host: a\r\nX: ", *[b"y" * 20] * 20]:
            for client in clients:
                client.sendall(drop)
        wait_until(lambda: len(proxy.connections()) >= count)
        assert is_well(proxy), "others are served meanwhile"
        assert memory(proxy) - before < count * 48 * 1024
    wait_until(lambda: proxy.connections() == [])


def test_heads_without_end(proxy):
    assert is_well(proxy)
    before, line = memory(proxy), b"X: " + b"y" * 1000 + b"\r\n"
    for _ in range(20):
        heard = wire.hear(proxy.address, b"GET / HTTP/1.1\r\nHost: a\r\n" + line * 2000)
        # It may have been reset while it was still sending.
        assert heard == b"" or heard.startswith(b"HTTP/1.1 431 "), heard
    wait_until(lambda: malformed(proxy) == 20)
    assert is_well(proxy)
    assert memory(proxy) - before < 20 * MIB


def last_frame(address, sent):
    """The last frame of an HTTP/2 server that has had enough."""
    heard = list(wire.frames(wire.hear(address, wire.PREFACE + frame(SETTINGS, 0, 0) + sent)))
    return heard[-1] if heard else None


def test_field_blocks_without_end(proxy):
    """What is not decoded yet is not kept without end either."""
    assert is_well(proxy)
    before, part = memory(proxy), b"\0\1x" + b"\x7f\x81\x7d" + b"y" * 16_128
    for _ in range(10):
        sent = frame(HEADERS, END_STREAM, 1, request()) + frame(CONTINUATION, 0, 1, part) * 1000
        last = last_frame(proxy.address, sent)
        assert last is None or last[0] == GOAWAY, last
    assert is_well(proxy) and memory(proxy) - before < 20 * MIB


def test_a_field_block_that_is_too_large(proxy):
    part = b"".join(b"\0\4x%03d\x7f\x81\x7d" % number + b"y" * 16_128 for number in range(8))
    blocks = request() + part
    pieces = [blocks[at : at + 16_384] for at in range(0, len(blocks), 16_384)]
    sent = frame(HEADERS, END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        sent += frame(CONTINUATION, 0, 1, piece)
    sent += frame(CONTINUATION, END_HEADERS, 1, pieces[-1])
    with connect(proxy.address) as client:
        client.sendall(wire.PREFACE + frame(SETTINGS, 0, 0) + sent)
        heard = b""
        while not (answers := [it for it in wire.frames(heard) if it[0] in (HEADERS, RST_STREAM, GOAWAY)]):
            heard += client.recv(65536)
    if answers[0][0] == HEADERS:
        assert b"431" in answers[0][3], answers
    assert is_well(proxy)


def test_streams_that_are_reset_at_once(proxy):
    """Each costs the client two frames (CVE-2023-44487)."""
    assert is_well(proxy)
    before = memory(proxy)
    one = request(method=b"GET")
    cancel = (8).to_bytes(4, "big")
    sent = b"".join(
        frame(HEADERS, END_HEADERS | END_STREAM, stream, one) + frame(RST_STREAM, 0, stream, cancel)
        for stream in range(1, 20_001, 2)
    )
    last = last_frame(proxy.address, sent)
    assert last is None or last[0] == GOAWAY, last
    assert is_well(proxy) and memory(proxy) - before < 20 * MIB
    wait_until(lambda: proxy.connections() == [])


def test_answers_that_nobody_reads(proxy):
    """Acknowledgements of pings must not pile up."""
    assert is_well(proxy)
    before = memory(proxy)
    with connect(proxy.address, timeout=0.3) as client:
        client.sendall(wire.PREFACE + frame(SETTINGS, 0, 0))
        with pytest.raises((TimeoutError, ConnectionError)):
            while True:
                client.sendall(frame(PING, 0, 0, b"12345678") * 4000)
        assert is_well(proxy) and memory(proxy) - before < 20 * MIB


def test_a_client_that_speaks_tls(proxy):
    context = ssl.create_default_context()
    for number in range(1, 4):
        with connect(proxy.address) as client, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(client, server_hostname="test.example")
        wait_until(lambda: malformed(proxy) == number)
    asked = subprocess.run(["curl", "-sqk", f"https://127.0.0.1:{proxy.port}/"], timeout=20)
    assert asked.returncode == TLS_FAILED
    assert is_well(proxy)


@pytest.mark.parametrize(
    "garbage",
    [b"\0" * 100, b"\xff" * 100, b"SSH-2.0-OpenSSH_9.2\r\n", b"*1\r\n$4\r\nPING\r\n", b"USER x\r\n", b"{}\n"],
    ids=["zeros", "ones", "ssh", "redis", "ftp", "json"],
)
def test_a_client_that_speaks_something_else(proxy, garbage):
    heard = wire.hear(proxy.address, garbage)
    assert heard == b"" or heard.startswith(b"HTTP/1.1 400 "), heard
    wait_until(lambda: malformed(proxy) == 1)
    assert is_well(proxy)
