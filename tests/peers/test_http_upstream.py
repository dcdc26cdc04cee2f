"""nginx through an idle HTTP proxy: nothing of what it says, or is told, changes on the way."""

import hashlib
import random
import subprocess
import threading

import pytest

from support.nginx import EVENTS, HTTP1, HTTP2, TEXT, curl, nginx
from support.server import Server
from support.upstream import Upstream, wait_until

BOTH = pytest.mark.parametrize("version", [HTTP1, HTTP2], ids=["http1", "http2"])
LARGE = 100_000_000


@pytest.fixture(scope="module")
def upstream():
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(server, upstream):
    return server.proxy(upstream.upstream, protocol="http")


def header(*lines):
    return [part for line in lines for part in ("-H", line)]


# What is asked, and what about the answer shows that it was the one meant.
REQUESTS = {
    "plain": ("/text.txt", [], lambda it: it.body == TEXT),
    "head": ("/text.txt", ["-I"], lambda it: it.body == b"" and it.header("content-length") == ["900"]),
    "chunked": ("/chunked", [], lambda it: it.body == TEXT.replace(b"line", b"ROW")),
    "gzip": ("/text.txt", header("accept-encoding: gzip"), lambda it: it.body[:2] == b"\x1f\x8b"),
    "gzip decoded": ("/text.txt", ["--compressed"], lambda it: it.body == TEXT),
    "not modified": ("/text.txt", header("if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT"), lambda it: it.status == 304),
    "range": ("/text.txt", ["-r", "5-14"], lambda it: it.status == 206 and it.body == TEXT[5:15]),
    "end": ("/text.txt", ["-r", "-9"], lambda it: it.header("content-range") == ["bytes 891-899/900"]),
    "bad range": ("/text.txt", ["-r", "9999-"], lambda it: it.status == 416),
    "missing": ("/none", [], lambda it: it.status == 404),
    "redirect": ("/put", [], lambda it: it.status == 301),
    "refused": ("/refused", ["-d", "x=1"], lambda it: it.status == 413),
    "options": ("/text.txt", ["-X", "OPTIONS"], lambda it: it.status == 405),
    "events": ("/events.sse", [], lambda it: it.body == b"".join(EVENTS)),
    "odd path": ("/echo/a%2Fb/./../c;x?y=1&&z=%20+&y", header("x-probe: ü \t,"), lambda it: b"a%2Fb/./../c;x?y=1&&z=%20+&y" in it.body),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", REQUESTS)
def test_an_answer_is_that_of_nginx(upstream, proxy, version, name):
    path, arguments, meant = REQUESTS[name]
    if name == "redirect":
        # Its place is made of the address that was asked.
        arguments = header("host: test.example")
    direct = curl(path, socket=upstream.socket, arguments=arguments)
    through = curl(path, proxy.port, version=version, arguments=arguments)
    assert meant(direct), direct
    assert through.meaning() == direct.meaning()


@BOTH
def test_several_ranges(proxy, version):
    answer = curl("/text.txt", proxy.port, version=version, arguments=["-r", "0-3,9-12"])
    assert answer.status == 206 and answer.body.count(b"Content-Range: bytes ") == 2, answer
    assert answer.body.count(b"\r\n\r\nline\r\n") == 2, answer


@BOTH
def test_large_bodies_are_the_same_bytes(upstream, proxy, version):
    data = random.Random(3).randbytes(LARGE)
    wanted = hashlib.sha256(data).hexdigest()
    # Of a length that is announced, and of one that is not.
    source = upstream.directory / "source"
    source.write_bytes(data)
    for arguments, stdin in [(["-T", str(source)], b""), (["-T", "-"], data)]:
        put = curl("/put/large", proxy.port, version=version, arguments=arguments, stdin=stdin, limit_s=60)
        assert put.status in (201, 204), put
        stored = (upstream.directory / "files" / "put" / "large").read_bytes()
        assert hashlib.sha256(stored).hexdigest() == wanted
    answer = curl("/put/large", proxy.port, version=version, limit_s=60)
    assert (answer.status, hashlib.sha256(answer.body).hexdigest()) == (200, wanted)


def test_a_body_waits_until_nginx_asks_for_it(proxy, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(TEXT * 100)
    expecting = [*header("expect: 100-continue"), "--expect100-timeout", "15", "-v", "-T", str(body)]
    put = curl("/put/expected", proxy.port, arguments=expecting)
    assert put.status == 201 and put.ms < 10_000 and "100 Continue" in put.error, put
    # And a body that nginx does not want is not sent.
    refused = curl("/refused", proxy.port, arguments=expecting)
    assert refused.status == 413 and refused.ms < 10_000 and "100 Continue" not in refused.error, refused
    assert "We are completely uploaded" not in refused.error, refused


@BOTH
def test_events_come_one_by_one(server, version):
    go = threading.Semaphore(0)

    def stream(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for event in EVENTS:
            assert go.acquire(timeout=20)
            connection.sendall(event)

    with Upstream(stream) as live:
        proxy = server.proxy(live.address, name=f"live{len(version[0])}", protocol="http")
        command = ["curl", "-sSqN", *version, f"http://127.0.0.1:{proxy.port}/"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            for event in EVENTS:
                # The next is not there yet: what is read has not waited for it.
                go.release()
                assert client.stdout.read(len(event)) == event
            assert client.wait(20) == 0


ANSWER = (
    b"HTTP/1.1 200 Fine By Me\r\nX-Zeta: 1\r\nSet-Cookie: b=2; Path=/\r\nset-cookie: a=1\r\nX-Empty: \r\n"
    b"Vary: Accept\r\nVary: Cookie\r\nWarning: 199 - \"a, b\"\r\nX-Latin: \xe9\r\nLink: </a>; rel=x, </b>\r\n"
    b"Content-Length: 2\r\nX-Alpha: 2\r\n\r\nok"
)  # fmt: skip
ASKED = header(
    "Host: Test.Example:8080", "X-Zeta: 1", "X-List: b", "x-list: a, c", "Cookie: b=2; a=1", "x-empty;",
    "Accept: text/html;q=0.5, */*", "Accept: a/b", "X-Latin: é", "Forwarded: for=1", "X-Forwarded-For: 9.9.9.9",
    "Via: 1.0 elsewhere", "Date: yesterday", "Referer: /a b", "Authorization: Basic eA==", "X-Alpha: 2",
)  # fmt: skip


def recorder(heads):
    """Keeps the heads of requests as they come, and answers each with ANSWER."""

    def serve(connection):
        pending = b""
        while data := connection.recv(65536):
            pending += data
            while b"\r\n\r\n" in pending:
                head, pending = pending.split(b"\r\n\r\n", 1)
                heads.append(head)
                connection.sendall(ANSWER)

    return Upstream(serve)


def raw(port, version):
    """The head of the answer as curl got it, byte for byte."""
    command = ["curl", "-sSq", "-i", *version, "-A", "x", *ASKED, f"http://127.0.0.1:{port}/a/%7e?x&&y=%2F"]
    return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout


def test_no_byte_of_a_head_changes(server):
    heads = []
    with recorder(heads) as upstream:
        proxy = server.proxy(upstream.address, name="recorded", protocol="http")
        direct, through = raw(upstream.port, HTTP1), raw(proxy.port, HTTP1)
        assert direct == through == ANSWER
        # A space behind the colon says nothing.
        assert heads[0].replace(b"x-empty:\r", b"x-empty: \r") == heads[1]
        assert raw(proxy.port, HTTP2).startswith(b"HTTP/2 200")
        wait_until(lambda: len(heads) == 3)

    def lines(head):
        first, *rest = head.split(b"\r\n")
        pairs = [(name.lower(), value.strip()) for name, value in (line.split(b":", 1) for line in rest)]
        # The host has a place of its own in HTTP/2.
        return first, [pair for pair in pairs if pair[0] == b"host"], [pair for pair in pairs if pair[0] != b"host"]

    assert lines(heads[2]) == lines(heads[0])
