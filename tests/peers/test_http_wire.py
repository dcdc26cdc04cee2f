"""Requests that two readers may read differently, with a real nginx as the second reader.

Each hides a request in what is, or may be taken for, the body of another, and has an honest one
behind it. nginx's log is the judge: it must never have read the hidden one, nor more than one request
for the suspect. What the proxy's own tests try already is not tried again.
"""

import re

import pytest

from support import wire
from support.nginx import nginx
from support.server import Server
from support.upstream import connect
from support.wire import DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, block, frame, request

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
AFTER = b"GET /echo/after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SIZE = b"Content-Length: %d" % len(HIDDEN)
CHUNK = b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"

# nginx has read one request, and then the honest one; one, and then the connection ended; or none.
PASSED, LAST, NONE = 1, 2, 3


def post(headers, body=HIDDEN, line=b"POST /seen HTTP/1.1"):
    return line + b"\r\nHost: a\r\n" + headers + b"\r\n\r\n" + body


def chunked(body):
    return post(b"Transfer-Encoding: chunked", body)


def get(target, host=b"Host: a\r\n"):
    return b"GET " + target + b" HTTP/1.1\r\n" + host + b"\r\n"


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"
CASES = {
    # Lengths and codings.
    "the same length twice": (post(SIZE + b"\r\n" + SIZE), PASSED),
    "the same length in a list": (post(SIZE + b", %d" % len(HIDDEN)), NONE),
    "a length with zeros": (post(SIZE.replace(b": ", b": 000")), PASSED),
    "a length, believed by one": (post(b"Content-Length: 37\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + HIDDEN), LAST),
    "a coding, believed by one": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNK), LAST),
    "a coding behind a bare line feed": (post(b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4", CHUNK), LAST),
    "chunked twice": (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNK), NONE),
    "chunked twice in a list": (post(b"Transfer-Encoding: chunked, chunked", CHUNK), NONE),
    "a coding that we do not undo": (post(b"Transfer-Encoding: gzip, chunked", CHUNK), NONE),
    "an unknown coding": (post(b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", CHUNK), NONE),
    "identity and a length": (post(b"Transfer-Encoding: identity\r\n" + SIZE), NONE),
    "no coding and a length": (post(b"Transfer-Encoding: \r\n" + SIZE), NONE),
    "an empty element": (post(b"Transfer-Encoding: , chunked", CHUNK), PASSED),
    "capitals and tabs": (post(b"TRANSFER-encoding:\tCHUNKED\t", CHUNK), PASSED),
    "a space of another kind": (post(b"Transfer-Encoding: \xa0chunked", CHUNK), NONE),
    "a form feed": (post(b"Transfer-Encoding: \x0cchunked", CHUNK), NONE),
    "a length named as of the hop": (post(b"Connection: Content-Length\r\n" + SIZE), PASSED),
    "a coding named as of the hop": (post(b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", CHUNK), PASSED),
    "a host named as of the hop": (post(b"Connection: Host\r\n" + SIZE), PASSED),
    "a header without a colon": (post(b"Content-Length\r\n" + SIZE), NONE),
    # Methods and versions with a body that one may not expect.
    "a GET with a body": (post(SIZE, line=b"GET /seen HTTP/1.1"), PASSED),
    "a GET with chunks": (post(b"Transfer-Encoding: chunked", CHUNK, b"GET /seen HTTP/1.1"), PASSED),
    "a HEAD with a body": (post(SIZE, line=b"HEAD /seen HTTP/1.1"), PASSED),
    "HTTP/1.0 kept alive": (post(SIZE + b"\r\nConnection: keep-alive", line=b"POST /seen HTTP/1.0"), PASSED),
    "a body that was not asked for": (post(SIZE + b"\r\nExpect: 100-continue", line=b"POST /refused HTTP/1.1"), PASSED),
    "an unknown expectation": (post(SIZE + b"\r\nExpect: 200-ok"), PASSED),
    "a change to WebSocket": (post(SIZE + b"\r\nConnection: Upgrade\r\nUpgrade: websocket"), PASSED),
    "a change to HTTP/2 with a body": (post(SIZE + b"\r\n" + H2C), PASSED),
    "a change to HTTP/2 that is none": (post(H2C, line=b"GET /seen HTTP/1.1"), NONE),
    # Targets and hosts.
    "another host in the target": (get(b"http://other.example:81/seen"), PASSED),
    "another host in the target and two": (get(b"http://b/seen", b"Host: a\r\nHost: a\r\n"), NONE),
    "line ends in the target": (get(b"/seen%0d%0a%0d%0aGET%20/hidden"), PASSED),
    "a CR in the target": (get(b"/seen\rX"), NONE),
    "tabs for spaces": (b"GET\t/seen\tHTTP/1.1\r\nHost: a\r\n\r\n", NONE),
    "no host": (get(b"/seen", b""), NONE),
    "a host that is none": (get(b"/seen", b"Host: a/b c\r\n"), PASSED),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", PASSED),
    "a line of the preface": (b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", PASSED),
    "a CR too many": (b"POST /seen HTTP/1.1\r\r\nHost: a\r\n\r\n" + HIDDEN, NONE),
    "lower case": (b"GET /seen http/1.1\r\nHost: a\r\n\r\n" + HIDDEN, NONE),
    "empty lines first": (b"\r\n\r\n" + post(SIZE), PASSED),
    # Chunks.
    "an extension": (chunked(CHUNK.replace(b"\r", b";a=b\r", 1)), PASSED),
    "an extension that is quoted": (chunked(CHUNK.replace(b"\r", b';a="b;c"\r', 1)), PASSED),
    "an extension with a CR": (chunked(b"5;a\rb\r\nabcde\r\n0\r\n\r\n"), NONE),
    "an extension with a line feed": (chunked(b"5;a\nabcde\r\n0\r\n\r\n" + HIDDEN), NONE),
    "an extension without end": (chunked(b"5;" + b"a" * 20_000 + b"\r\nabcde\r\n0\r\n\r\n"), NONE),
    "zeros": (chunked(b"0" * 40 + b"5\r\nabcde\r\n000\r\n\r\n"), PASSED),
    "a space behind": (chunked(b"5 \r\nabcde\r\n0\r\n\r\n"), PASSED),
    "a space before": (chunked(b" 5\r\nabcde\r\n0\r\n\r\n"), NONE),
    "a sign": (chunked(b"+5\r\nabcde\r\n0\r\n\r\n"), NONE),
    "an underscore": (chunked(b"5_0\r\nabcde\r\n0\r\n\r\n"), NONE),
    "a size of 65 bits": (chunked(b"10000000000000005\r\nabcde\r\n0\r\n\r\n"), NONE),
    "a size of 64 bits": (chunked(b"FFFFFFFFFFFFFFFB\r\nabcde\r\n0\r\n\r\n"), LAST),
    "bare line feeds": (chunked(b"5\nabcde\n0\n\n" + HIDDEN), NONE),
    "bare CRs": (chunked(b"5\rabcde\r0\r\r" + HIDDEN), NONE),
    "more than was said": (chunked(b"5\r\nabcdeXX0\r\n\r\n" + HIDDEN), LAST),
    "a last line feed": (chunked(b"5\r\nabcde\r\n0\r\n\n" + HIDDEN), PASSED),
    "trailers that frame": (chunked(b"0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"), PASSED),
    "a trailer that is none": (chunked(b"0\r\nX y\r\n\r\n" + HIDDEN), NONE),
    "a trailer that is folded": (chunked(b"0\r\nX: a\r\n b\r\n\r\n" + HIDDEN), NONE),
    "trailers without end": (chunked(b"0\r\n" + b"X: y\r\n" * 5000 + b"\r\n"), NONE),
}  # fmt: skip


@pytest.fixture(scope="module")
def upstream():
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream):
    with Server() as server:
        yield server.proxy(upstream.upstream, protocol="http")


def test_the_judge_sees_two_where_two_were_sent(upstream, proxy):
    before = len(upstream.asked())
    wire.hear(proxy.address, post(SIZE, b"").replace(SIZE, b"Content-Length: 0") + HIDDEN + AFTER)
    assert upstream.asked()[before:] == ["POST /seen 404", "GET /hidden 404", "GET /echo/after 200"]


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_hidden(upstream, proxy, name):
    sent, outcome = CASES[name]
    before = len(upstream.asked())
    heard = wire.hear(proxy.address, sent + AFTER)
    statuses = re.findall(rb"HTTP/1\.[01] (\d+)", heard)
    seen = upstream.asked()[before:]
    after = [line for line in seen if "/echo/after" in line]
    suspect = [line for line in seen if line not in after]
    assert len(suspect) <= 1 and not any(line.startswith("GET /hidden") for line in seen), seen
    # Where both are answered each side counts the same messages: the connection is in step.
    answers, honest = (2, 1) if outcome == PASSED else (1, 0)
    assert (len(statuses), len(after)) == (answers, honest), (heard, seen)
    if outcome == NONE:
        assert not seen and statuses[0] in (b"400", b"501", b"101"), (heard, seen)


def over2(fields, body=None, trailers=None):
    first = frame(HEADERS, END_HEADERS | (END_STREAM if body is None else 0), 1, fields)
    if body is not None:
        first += frame(DATA, 0 if trailers else END_STREAM, 1, body)
    if trailers:
        first += frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers)
    honest = frame(HEADERS, END_HEADERS | END_STREAM, 3, request(b"/echo/after", b"GET"))
    return wire.PREFACE + frame(SETTINGS, 0, 0) + first + honest


def more(*fields):
    return request(more=fields)


# What becomes text in HTTP/1.1 (RFC 9113, section 10.3).
CASES_2 = {
    "a coding": over2(more((b"transfer-encoding", b"chunked")), b"0\r\n\r\n" + HIDDEN),
    "a length of nothing": over2(more((b"content-length", b"0")), HIDDEN),
    "a length that is short": over2(more((b"content-length", b"5")), HIDDEN),
    "two lengths": over2(more((b"content-length", b"5"), (b"content-length", b"33")), HIDDEN),
    "a line end in a value": over2(more((b"x", b"y\r\nTransfer-Encoding: chunked")), b"0\r\n\r\n" + HIDDEN),
    "a line end in a crumb": over2(more((b"cookie", b"a=1"), (b"cookie", b"b\r\n\r\n" + HIDDEN))),
    "a line end in a name": over2(more((b"x: y\r\ntransfer-encoding", b"chunked")), b"0\r\n\r\n" + HIDDEN),
    "a colon in a name": over2(more((b"transfer-encoding:", b"chunked")), b"0\r\n\r\n" + HIDDEN),
    "a name in capitals": over2(more((b"Transfer-Encoding", b"chunked")), b"0\r\n\r\n" + HIDDEN),
    "a change of protocol": over2(more((b"connection", b"upgrade"), (b"upgrade", b"websocket"))),
    "a line end in the path": over2(request(b"/seen HTTP/1.1\r\nHost: a\r\n\r\nGET /hidden")),
    "a space in the path": over2(request(b"/seen HTTP/1.1")),
    "a line end in the method": over2(request(method=b"GET /hidden HTTP/1.1\r\nX:")),
    "a line end in the host": over2(request(authority=b"a\r\n\r\n" + HIDDEN)),
    "two paths": over2(more((b":path", b"/hidden"))),
    "two hosts": over2(more((b"host", b"b"), (b"host", b"c"))),
    "another host": over2(more((b"host", b"b"))),
    "trailers that frame": over2(request(), b"x", block((b"transfer-encoding", b"chunked"))),
    "trailers with a path": over2(request(), b"x", block((b":path", b"/hidden"))),
}


@pytest.mark.parametrize("name", CASES_2)
def test_nothing_is_hidden_in_http_2(upstream, proxy, name):
    before = len(upstream.asked())
    with connect(proxy.address) as client:
        client.sendall(CASES_2[name])
        heard = b""
        # Until both streams have their answers, or the connection ends.
        while part := client.recv(65536):
            heard += part
            kinds = [(kind, stream) for kind, _, stream, _ in wire.frames(heard)]
            ends = {stream for kind, stream in kinds if kind in (HEADERS, RST_STREAM)}
            if ends >= {1, 3} or GOAWAY in [kind for kind, _ in kinds]:
                break
    seen = upstream.asked()[before:]
    suspect = [line for line in seen if "/echo/after" not in line]
    assert len(suspect) <= 1 and not any("hidden" in line for line in seen), seen
