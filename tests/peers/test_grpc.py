"""A real gRPC client and server, with HTTP faults in between.

What a fault does is seen as its client sees it: as a status, a message, a deadline.
"""

import time

import grpc
import pytest
from grpc import StatusCode

from support.grpc_peer import MESSAGE, SERVICE, Client, serving
from support.server import Server


@pytest.fixture(scope="module")
def upstream():
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def proxy(upstream):
    with Server() as server:
        yield server.proxy(upstream, protocol="http")


@pytest.fixture
def client(proxy):
    with Client(f"127.0.0.1:{proxy.port}") as client:
        yield client


def is_well(client):
    """Whether all is as if nobody were in between."""
    answer, trailers = client.call()
    messages, status = client.list(3)
    whole = messages == [b"message 0", b"message 1", b"message 2"] and status == StatusCode.OK
    return answer == MESSAGE and trailers.get("x-served-by") == "orders" and whole


def test_idle(upstream, client):
    with Client(upstream) as direct:
        assert client.call() == direct.call()
        assert client.list(1000) == direct.list(1000)
        large = bytes(3_000_000)
        assert client.call(message=large) == direct.call(message=large)
        # An error keeps its status and message, whatever is in it.
        assert client.fails(message=b"fail") == direct.fails(message=b"fail")
        assert client.fails(method="None") == direct.fails(method="None")


@pytest.mark.parametrize("status", ["NOT_FOUND", 8, "unauthenticated", "16", "DATA_LOSS"])
def test_an_abort_is_that_status(proxy, client, status):
    message = "kaputt: 100 % ü\n"
    named = [code for code in StatusCode if str(status).upper() in (code.name, str(code.value[0]))]
    with proxy.toxic("http_abort", grpc_status=status, grpc_message=message) as toxic:
        assert client.fails() == (named[0], message)
        assert client.list(3) == ([], named[0])
        assert proxy.applied(toxic) == 2
    assert is_well(client)


@pytest.mark.parametrize(
    "status, code", [(503, StatusCode.UNAVAILABLE), (401, StatusCode.UNAUTHENTICATED), (404, StatusCode.UNIMPLEMENTED)]
)
def test_an_http_status_is_what_clients_make_of_it(proxy, client, status, code):
    with proxy.toxic("http_abort", status=status):
        assert client.fails()[0] == code
    assert is_well(client)


def test_a_delay_runs_into_the_deadline(proxy, client):
    with proxy.toxic("http_delay", delay="10s"):
        began = time.monotonic()
        assert client.fails(timeout=0.3)[0] == StatusCode.DEADLINE_EXCEEDED
        assert 0.3 <= time.monotonic() - began < 5
    with proxy.toxic("http_delay", delay=100):
        began = time.monotonic()
        assert client.call()[0] == MESSAGE
        assert time.monotonic() - began >= 0.1
    assert is_well(client)


# As gRPC over HTTP/2 maps the codes.
RESETS = {
    "NO_ERROR": StatusCode.INTERNAL,
    "INTERNAL_ERROR": StatusCode.INTERNAL,
    "REFUSED_STREAM": StatusCode.UNAVAILABLE,
    "CANCEL": StatusCode.CANCELLED,
    "ENHANCE_YOUR_CALM": StatusCode.RESOURCE_EXHAUSTED,
    "INADEQUATE_SECURITY": StatusCode.PERMISSION_DENIED,
}


@pytest.mark.parametrize("code", RESETS)
def test_a_reset_is_the_status_of_its_code(proxy, client, code):
    with proxy.toxic("http_reset", code=code) as toxic:
        assert client.fails()[0] == RESETS[code]
        assert proxy.applied(toxic) == 1
    assert is_well(client)


@pytest.mark.parametrize(
    "match, hit",
    [
        ({"grpc_method": "Echo"}, True),
        ({"grpc_service": SERVICE, "grpc_method": {"glob": "E*"}}, True),
        ({"grpc_service": SERVICE, "headers": {"x-tenant": "a"}, "grpc_method": "Echo"}, True),
        ({"grpc_service": "shop.Payments"}, False),
        ({"grpc_service": "Orders"}, False),
    ],
)
def test_a_match_hits_one_method_and_spares_the_other(proxy, client, match, hit):
    with proxy.toxic("http_abort", grpc_status="ABORTED", match=match) as toxic:
        if hit:
            assert client.fails()[0] == StatusCode.ABORTED
        else:
            assert client.call()[0] == MESSAGE
        assert client.call("Other")[0] == MESSAGE
        assert client.list(2)[1] == StatusCode.OK
        assert proxy.applied(toxic) == hit


@pytest.mark.parametrize("then, code", [("close", StatusCode.INTERNAL), ("reset", StatusCode.INTERNAL)])
def test_a_stream_breaks_off(proxy, client, then, code):
    with proxy.toxic("http_stream", then=then, after=1) as toxic:
        messages, status = client.list(10_000)
        assert status == code and len(messages) < 10_000
        assert messages == [b"message %d" % number for number in range(len(messages))]
        assert proxy.applied(toxic) == 1
    assert is_well(client)


def test_a_stream_that_is_cut_breaks_off(proxy, client):
    # A message of 10 bytes has 5 of gRPC's in front.
    with proxy.toxic("http_truncate", bytes=40):
        messages, status = client.list(1000)
        assert status == StatusCode.INTERNAL
        # gRPC may drop what came along with the reset.
        assert messages == [b"message 0", b"message 1"][: len(messages)]
    assert is_well(client)


def test_a_stream_that_stalls_waits_for_its_deadline(proxy, client):
    with proxy.toxic("http_hang", at="body", after=28):
        assert client.list(1000, timeout=0.3) == ([b"message 0", b"message 1"], StatusCode.DEADLINE_EXCEEDED)
    assert is_well(client)


def test_a_rate_limit_and_a_full_house_are_seen_as_such(proxy, client):
    with proxy.toxic("http_rate_limit", rate=1, per="1h"):
        assert client.call()[0] == MESSAGE
        assert client.fails()[0] == StatusCode.UNAVAILABLE
    with proxy.toxic("http_concurrency", limit=0):
        assert client.fails() == (StatusCode.UNAVAILABLE, "too many requests are in flight")


def test_a_server_that_is_gone_is_unavailable(proxy):
    gone = proxy.server.proxy("unix:/nonexistent/sabot.sock", name="gone", protocol="http")
    with Client(f"127.0.0.1:{gone.port}") as client:
        with pytest.raises(grpc.RpcError) as raised:
            client.call()
        assert raised.value.code() == StatusCode.UNAVAILABLE
