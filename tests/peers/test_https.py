"""HTTP under TLS as real clients speak it: gRPC, WebSocket, and a goodbye over HTTP/2."""

import asyncio
import os
import re
import socket
import ssl
import struct
import subprocess

import grpc
import pytest
from grpc import StatusCode
from support import wire
from support.grpc_peer import MESSAGE, Client, serving
from support.nginx import nginx
from support.server import Server
from support.upstream import connect as connect_tcp
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PATIENCE_S = 10


@pytest.fixture(scope="module")
def sabot(tmp_path_factory):
    with Server("--ca-dir", str(tmp_path_factory.mktemp("ca"))) as server:
        yield server


@pytest.fixture(scope="module")
def roots(sabot):
    return sabot.get("/v1/ca")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files of a server's own certificate and its key."""
    place = tmp_path_factory.mktemp("server")
    cert, key = place / "cert.pem", place / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    extensions = ["-addext", "subjectAltName=DNS:orders.example", "-addext", "basicConstraints=critical,CA:FALSE"]
    files = ["-subj", "/CN=orders.example", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *extensions, *files], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module", params=["terminated", "encrypted again"])
def calls(request, sabot, certificate):
    """A proxy that terminates TLS, in front of a gRPC server with or without TLS of its own."""
    tls = {"terminate": {}}
    credentials = None
    if request.param == "encrypted again":
        cert, key = certificate
        credentials = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
        tls["originate"] = {"ca": str(cert), "server_name": "orders.example"}
    with serving(credentials) as address:
        proxy = sabot.proxy(address, name=f"grpc {request.param}", protocol="http", tls=tls)
        yield proxy


@pytest.fixture
def client(calls, roots):
    with Client(f"127.0.0.1:{calls.port}", roots.encode()) as client:
        yield client


def test_calls_pass(client):
    answer, trailers = client.call()
    assert answer == MESSAGE and trailers["x-served-by"] == "orders"
    assert client.call(message=bytes(3_000_000))[0] == bytes(3_000_000)
    messages, status = client.list(1000)
    assert (len(messages), status) == (1000, StatusCode.OK)
    assert client.fails(message=b"fail") == (StatusCode.FAILED_PRECONDITION, "50 % of nothing: ünknown")


@pytest.mark.parametrize("status", ["NOT_FOUND", "UNAVAILABLE", "DATA_LOSS"])
def test_an_abort_is_that_status(calls, client, status):
    with calls.toxic("http_abort", grpc_status=status, grpc_message="kaputt", match={"grpc_method": "Echo"}) as toxic:
        assert client.fails() == (StatusCode[status], "kaputt")
        assert client.call("Other")[0] == MESSAGE
        assert calls.applied(toxic) == 1
    assert client.call()[0] == MESSAGE


def test_a_stream_breaks_off(calls, client):
    with calls.toxic("http_stream", then="reset", after=1):
        messages, status = client.list(10_000)
        assert status == StatusCode.INTERNAL and len(messages) < 10_000
    assert client.list(3)[1] == StatusCode.OK


def test_another_host_is_asked_and_the_name_under_tls_stays(sabot, roots, certificate):
    cert, key = certificate
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())])
    tls = {"terminate": {}, "originate": {"ca": str(cert), "server_name": "orders.example"}}
    with serving(credentials) as address:
        fields = {"protocol": "http", "tls": tls, "host_rewrite": "inner.example:7", "x_forwarded_for": True}
        proxy = sabot.proxy(address, name="another host", **fields)
        with Client(f"127.0.0.1:{proxy.port}", roots.encode()) as client:
            assert client.call()[0] == MESSAGE


def context(roots):
    return ssl.create_default_context(cadata=roots)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_websockets(sabot, roots, compression):
    async def echo(socket):
        try:
            async for message in socket:
                await socket.send(message)
        except ConnectionClosed:
            pass

    async def body():
        async with serve(echo, "127.0.0.1", 0, compression=compression) as upstream:
            port = upstream.sockets[0].getsockname()[1]
            name = f"chat {compression}"
            proxy = sabot.proxy(f"127.0.0.1:{port}", name=name, protocol="http", tls={"terminate": {}})
            url = f"wss://localhost:{proxy.port}/chat"

            def dial():
                return connect(url, ssl=context(roots), compression=compression, host="127.0.0.1", port=proxy.port)

            async with dial() as socket:
                for message in ["", "hello", "ü" * 100, b"\0" * 70_000, "x" * 1_000_000]:
                    await socket.send(message)
                    assert await asyncio.wait_for(socket.recv(), PATIENCE_S) == message
            with proxy.toxic("websocket", close=1012, reason="restart", after=2, match={"path": "/chat"}) as toxic:
                async with dial() as socket:
                    with pytest.raises(ConnectionClosed) as closed:
                        for number in range(10):
                            await socket.send(str(number))
                            await asyncio.wait_for(socket.recv(), PATIENCE_S)
                    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "restart")
                assert proxy.applied(toxic) == 1

    asyncio.run(asyncio.wait_for(body(), 60))


@pytest.mark.parametrize("by_client", [True, False])
def test_a_reset_passes_through_an_upgrade(sabot, roots, by_client):
    asks = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    agrees = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        proxy = sabot.proxy(upstream, name=f"resets {by_client}", protocol="http", tls={"terminate": {}})
        with context(roots).wrap_socket(connect_tcp(proxy.address), server_hostname="localhost") as client:
            client.sendall(asks)
            server, _ = listener.accept()
            with server:
                assert server.recv(4096).startswith(b"GET / ")
                server.sendall(agrees)
                assert client.recv(4096).startswith(b"HTTP/1.1 101")
                breaks, hears = (client, server) if by_client else (server, client)
                breaks.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                breaks.close()
                # Beneath TLS: Python takes a reset there for an end.
                with socket.socket(fileno=os.dup(hears.fileno())) as beneath, pytest.raises(ConnectionResetError):
                    beneath.settimeout(PATIENCE_S)
                    while beneath.recv(4096):
                        pass


@pytest.mark.parametrize("code, number", [("ENHANCE_YOUR_CALM", 11), ("NO_ERROR", 0)])
def test_a_goodbye_over_http_2(sabot, roots, code, number):
    with nginx() as upstream:
        proxy = sabot.proxy(upstream.upstream, name=f"goodbye {code}", protocol="http", tls={"terminate": {}})
        with proxy.toxic("http_goaway", code=code) as toxic:
            url = f"https://127.0.0.1:{proxy.port}/text.txt"
            said = subprocess.run(["nghttp", "-nv", url], capture_output=True, text=True, timeout=20)
            assert said.returncode == 0 and re.findall(r":status: (\d+)", said.stdout) == ["200"], said
            # nghttp leaves with its answer, and may not hear what comes behind it.
            seen = heard(proxy, roots)
            codes = [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in seen if kind == wire.GOAWAY]
            assert codes and set(codes) == {number}, seen
            assert any(kind == wire.DATA and flags & wire.END_STREAM for kind, flags, _, _ in seen), seen
            assert proxy.applied(toxic) == 2


def heard(proxy, roots):
    """All frames that come for one request, until the proxy ends the connection as TLS asks for."""
    tls = context(roots)
    tls.set_alpn_protocols(["h2"])
    fields = wire.request(b"/text.txt", b"GET", b"localhost")
    ask = wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, fields)
    with tls.wrap_socket(connect_tcp(proxy.address), server_hostname="localhost") as client:
        client.sendall(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0) + ask)
        data, answered = b"", 0
        while part := client.recv(65536):
            data += part
            pings = [payload for kind, flags, _, payload in wire.frames(data) if kind == wire.PING and not flags]
            for payload in pings[answered:]:
                client.sendall(wire.frame(wire.PING, wire.ACK, 0, payload))
            answered = len(pings)
    return list(wire.frames(data))
