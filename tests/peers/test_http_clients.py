"""Clients of HTTP that are not ours, nginx behind: nghttp2's, curl's upgrade and Node's."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from support.nginx import HTTP1, TEXT, curl, nginx
from support.server import Server
from support.upstream import wait_until

NODE = Path(__file__).with_name("http_client.js")
INTERNAL_ERROR = 2
# Asks over HTTP/1.1 for a change to HTTP/2.
UPGRADE = ["--http2"]


@pytest.fixture(scope="module")
def upstream():
    with nginx() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream):
    with Server() as server:
        yield server.proxy(upstream.upstream, protocol="http")


def run(*command, limit_s=30):
    """What a command prints; it must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def malformed(proxy):
    lines = proxy.server.get("/metrics").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("sabot_http_malformed_total{"))


@pytest.mark.parametrize("version", [["--h1"], []], ids=["http1", "http2"])
def test_h2load_succeeds_with_all(upstream, proxy, version):
    before, requests = len(upstream.asked()), 4000
    options = ["-n", requests, "-c", 16, "-m", 8 if not version else 1]
    shown = run("h2load", *version, *options, f"http://127.0.0.1:{proxy.port}/text.txt")
    assert f"{requests} succeeded, 0 failed, 0 errored, 0 timeout" in shown, shown
    assert f"status codes: {requests} 2xx" in shown, shown
    assert len(upstream.asked()) - before == requests
    wait_until(lambda: proxy.connections() == [])


def test_h2load_sees_the_share_of_an_abort(proxy):
    with proxy.toxic("http_abort", status=503, match={"path": "/text.txt"}) as toxic:
        shown = run("h2load", "-n", 500, "-c", 4, "-m", 8, f"http://127.0.0.1:{proxy.port}/text.txt")
        assert re.search(r"status codes: 0 2xx, 0 3xx, 0 4xx, 500 5xx", shown), shown
        assert proxy.applied(toxic) == 500


def nghttp(proxy, *arguments, paths=("/text.txt", "/echo")):
    shown = run("nghttp", "-nv", *arguments, *(f"http://127.0.0.1:{proxy.port}{path}" for path in paths))
    # By stream; nghttp colours nothing when it does not write to a terminal.
    return dict(re.findall(r"recv \(stream_id=(\d+)\) :status: (\d+)", shown)), shown


def test_goaway_is_seen_with_its_code(proxy):
    text = {"path": "/text.txt"}
    # nghttp leaves with its last answer: one that never comes has it stay for what is behind the first.
    with (
        proxy.toxic("http_hang", match={"path": "/echo"}),
        proxy.toxic("http_goaway", code="ENHANCE_YOUR_CALM", match=text) as toxic,
    ):
        statuses, shown = nghttp(proxy)
        assert list(statuses.values()) == ["200"], shown
        assert re.search(r"recv GOAWAY frame .*\n.*error_code=ENHANCE_YOUR_CALM\(0x0b\)", shown), shown
        answer = curl("/text.txt", proxy.port, version=HTTP1)
        assert (answer.body, answer.header("connection")) == (TEXT, ["close"])
        assert proxy.applied(toxic) == 2


@pytest.mark.parametrize("arguments", [[], ["-u"]], ids=["prior-knowledge", "upgrade"])
def test_nghttp(proxy, arguments):
    statuses, shown = nghttp(proxy, *arguments)
    assert sorted(statuses.values()) == ["200", "200"], shown
    # The request that asked for the change is the first of the connection.
    assert ("1" in statuses) == (arguments == ["-u"])
    with proxy.toxic("http_abort", status=418, match={"path": "/text.txt"}):
        assert sorted(nghttp(proxy, *arguments)[0].values()) == ["200", "418"]
    assert malformed(proxy) == 0


def test_an_upgrade_is_http_2_and_meets_the_faults(upstream, proxy):
    direct = curl("/text.txt", socket=upstream.socket)
    through = curl("/text.txt", proxy.port, version=UPGRADE)
    assert through.version == "2" and through.meaning() == direct.meaning()
    head = curl("/text.txt", proxy.port, version=UPGRADE, arguments=["-I"])
    assert (head.version, head.status, head.header("content-length")) == ("2", 200, ["900"])
    # What has a body stays what it is, and so does what asks for another change.
    put = curl("/put/upgrade", proxy.port, version=UPGRADE, arguments=["-T", "-"], stdin=b"body")
    assert (put.version, put.status) == ("1.1", 201)
    for name in ["upgrade: h2c", "connection: upgrade"]:
        half = curl("/text.txt", proxy.port, arguments=["-H", name])
        assert (half.version, half.status, half.body) == ("1.1", 200, TEXT)
    with proxy.toxic("http_reset", match={"path": "/text.txt"}) as toxic:
        broken = curl("/text.txt", proxy.port, version=UPGRADE)
        # The status is that of the change.
        assert (broken.exit, broken.status) == (92, 101), broken
        assert proxy.applied(toxic) == 1
    with proxy.toxic("latency", latency=100):
        late = curl("/text.txt", proxy.port, version=UPGRADE)
        assert (late.version, late.body) == ("2", TEXT) and late.ms >= 100, late


def node(proxy, count=40):
    return json.loads(run("node", NODE, proxy.port, "/text.txt", count))


def test_node_on_an_idle_proxy(proxy):
    seen, right = node(proxy), {"status": 200, "body": TEXT.decode()}
    assert seen["http1"] == [right] * 40
    assert seen["sockets"] <= 4, "the agent keeps its connections"
    assert seen["http2"] == [right] * 40
    assert seen["upload"] == {"status": 201, "back": 200008}


def test_node_sees_aborts_and_resets(proxy):
    with proxy.toxic("http_abort", status=503, body="no", match={"method": "GET", "path": "/text.txt"}) as toxic:
        seen, wrong = node(proxy, 20), {"status": 503, "body": "no"}
        assert seen["http1"] == [wrong] * 20 and seen["http2"] == [wrong] * 20
        assert seen["sockets"] <= 4 and proxy.applied(toxic) == 40
    # A stream that is reset with CANCEL is no error to Node, but for its missing answer.
    with proxy.toxic("http_reset", code="INTERNAL_ERROR", match={"path": "/text.txt"}):
        seen = node(proxy, 5)
        assert {answer["error"] for answer in seen["http1"]} == {"ECONNRESET"}
        assert [answer.get("reset") for answer in seen["http2"]] == [INTERNAL_ERROR] * 5, seen["http2"]


# With prior knowledge curl 7.88 fails at the second request, whichever the server.
@pytest.mark.parametrize("version", [HTTP1, UPGRADE], ids=["http1", "http2"])
def test_one_connection_outlives_a_fault(proxy, version):
    """What is aborted leaves its connection as good as new."""
    url = f"http://127.0.0.1:{proxy.port}/text.txt"
    with proxy.toxic("http_abort", status=503, when={"every": 2}):
        shown = run("curl", "-sq", *version, *["-o", "/dev/null", url] * 6, "-w", "%{http_code} %{num_connects}\n")
    assert [line.split()[1] for line in shown.splitlines()] == ["1", "0", "0", "0", "0", "0"]
    assert sorted(line.split()[0] for line in shown.splitlines()) == ["200"] * 3 + ["503"] * 3
