"""A real nginx, asked by curl through every kind of HTTP fault, over HTTP/1.1 and HTTP/2.

Each kind has its row: what it is given, what is asked, and what curl must see. A kind without a row
fails. After each toxic's removal nginx must be there again as if nobody were in between.
"""

from dataclasses import dataclass, field

import pytest

from support.nginx import BIG, EVENTS, HTTP1, HTTP2, JSON, TEXT, curl, nginx
from support.server import Server

# Kinds that speak of more than one request and its answer: test_websocket.py. What http_goaway
# says is seen in test_http_clients.py.
ELSEWHERE = {"websocket"}

# curl's exit codes that we mean: the transfer ended early, no answer in time, the connection was
# reset, the HTTP/2 stream was.
PARTIAL, TIMED_OUT, RESET, STREAM = 18, 28, 56, 92
# For what curl must give up.
HANG_S = 0.5


@dataclass
class Row:
    """One fault and what curl sees of it."""

    kind: str
    attributes: dict
    path: str = "/text.txt"
    arguments: list = field(default_factory=list)
    # Of several requests in a row the last is looked at.
    requests: int = 1
    status: int = 200
    # curl's exit code over HTTP/1.1 and HTTP/2.
    exits: tuple = (0, 0)
    body: object = TEXT
    headers: dict = field(default_factory=dict)
    at_least_ms: float = 0
    # How often nginx sees one of the requests.
    upstream: int | None = None

    def check(self, answer, two):
        assert answer.exit == self.exits[two], answer
        # curl forgets what it has read along with the reset of its stream.
        if answer.exit == STREAM and answer.status == 0:
            return
        assert answer.status == self.status, answer
        assert answer.ms >= self.at_least_ms, answer
        wanted = self.body(answer.body) if callable(self.body) else answer.body == self.body
        assert wanted, answer
        for name, value in self.headers.items():
            assert answer.header(name) == ([] if value is None else [value]), answer


def a_prefix(data, least):
    """A body that was cut: what is there is right."""
    return lambda body: data.startswith(body) and least <= len(body) < len(data)


def differing(body):
    return body != TEXT and len(body) == len(TEXT)


ENVOY = ["-H", "x-envoy-fault-abort-request: 418", "-H", "x-envoy-fault-delay-request: 120"]
ROWS = [
    Row("envoy_fault", {}, arguments=ENVOY, status=418, body=b"fault filter abort\n", at_least_ms=120, upstream=0),
    Row("header", {"headers": {"x-probe": "yes"}}, headers={"x-probe": "yes"}),
    Row(
        "header",
        {"mode": "request", "headers": {"x-probe": "yes"}},
        path="/echo",
        body=b"GET /echo probe=yes\n",
    ),
    Row(
        "http_abort",
        {"status": 503, "body": "no", "headers": {"retry-after": "7"}},
        status=503,
        body=b"no",
        headers={"retry-after": "7", "server": None, "content-length": "2"},
        upstream=0,
    ),
    Row("http_body", {"merge": {"amount": 7}}, path="/data.json", body=b'{"amount":7,"currency":"EUR"}'),
    Row("http_body", {"replace": "new"}, body=b"new", headers={"content-length": "3"}, upstream=1),
    Row("http_body", {"corrupt": 0.05}, body=differing),
    Row("http_concurrency", {"limit": 0}, status=503, body=b"too many requests are in flight\n", upstream=0),
    Row("http_delay", {"delay": 150}, at_least_ms=150),
    Row("http_delay", {"delay": 150, "at": "response"}, at_least_ms=150),
    Row("http_delay", {"delay": 150, "at": "chunks"}, at_least_ms=150),
    Row("http_duplicate", {"copies": 2}, upstream=3),
    Row("http_goaway", {}),
    Row("http_goaway", {"code": "ENHANCE_YOUR_CALM"}),
    Row("http_hang", {}, status=0, exits=(TIMED_OUT, TIMED_OUT), body=b"", upstream=0),
    Row("http_hang", {"at": "head"}, exits=(TIMED_OUT, TIMED_OUT), body=b"", upstream=1),
    Row("http_hang", {"at": "body", "after": 100}, exits=(TIMED_OUT, TIMED_OUT), body=TEXT[:100]),
    Row("http_headers", {"set": {"etag": "x"}, "remove": ["last-modified"]}, headers={"etag": "x", "last-modified": None}),
    Row("http_rate_limit", {"rate": 1, "per": "1h"}, requests=2, status=429, body=lambda body: b"\n" in body, upstream=0),
    Row("http_reset", {}, status=0, exits=(RESET, STREAM), body=b"", upstream=0),
    Row("http_reset", {"at": "head"}, exits=(RESET, STREAM), body=b"", upstream=1),
    Row("http_reset", {"at": "body", "after": 100}, exits=(RESET, STREAM), body=TEXT[:100], upstream=1),
    Row("http_rewrite", {"path": "/data.json"}, body=JSON, headers={"content-type": "application/json"}),
    Row("http_stale", {}, path="/once", requests=2, body=lambda body: len(body) == 33, headers={"age": "0"}, upstream=0),
    Row("http_status", {"status": 418}, status=418, upstream=1),
    Row("http_stream", {"then": "close", "after": 3}, path="/events.sse", exits=(PARTIAL, STREAM), body=b"".join(EVENTS[:3])),
    Row("http_stream", {"then": "stall", "after": 3}, path="/events.sse", exits=(TIMED_OUT, TIMED_OUT), body=b"".join(EVENTS[:3])),
    Row("http_stream", {"delay": 20}, path="/events.sse", body=b"".join(EVENTS), at_least_ms=200),
    Row("http_stream", {"drop": 1}, path="/events.sse", body=b""),
    Row("http_throttle", {"rate": "256KB/s"}, path="/big.bin", body=BIG, at_least_ms=230),
    Row("http_truncate", {"bytes": 1000}, path="/big.bin", exits=(PARTIAL, STREAM), body=BIG[:1000]),
    Row("modify_body", {"body": "other", "content_type": "text/x"}, body=b"other", headers={"content-type": "text/x"}, upstream=1),
    Row("status_code", {"status_code": 418}, status=418, upstream=1),
]  # fmt: skip


def name_of(row):
    return "-".join([row.kind, *(str(value) for value in row.attributes.values() if isinstance(value, str))])


@pytest.fixture(scope="module")
def upstream():
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream):
    with Server() as server:
        yield server.proxy(upstream.upstream, protocol="http")


def test_every_kind_has_a_row():
    with Server() as server:
        kinds = {kind["kind"] for kind in server.get("/v1/kinds")["kinds"] if kind["phase"] == "http"}
    assert kinds - ELSEWHERE == {row.kind for row in ROWS}, "every HTTP kind has its row, and only kinds have"


@pytest.mark.parametrize("version", [HTTP1, HTTP2], ids=["http1", "http2"])
@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_through(upstream, proxy, row, version):
    direct = curl(row.path, socket=upstream.socket, arguments=row.arguments)
    with proxy.toxic(row.kind, **row.attributes) as toxic:
        for _ in range(row.requests):
            before = len(upstream.asked())
            limit_s = HANG_S if TIMED_OUT in row.exits else 20
            answer = curl(row.path, proxy.port, version=version, arguments=row.arguments, limit_s=limit_s)
        row.check(answer, two=version is HTTP2)
        if row.upstream is not None:
            assert len(upstream.asked()) - before == row.upstream
        assert proxy.applied(toxic) == max(1, row.requests - 1)
    again = curl(row.path, proxy.port, version=version, arguments=row.arguments)
    assert again.version == ("2" if version is HTTP2 else "1.1")
    if row.path != "/once":
        assert again.meaning() == direct.meaning()
