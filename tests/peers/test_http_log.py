"""The access log and the metrics of an HTTP proxy, as a user of the command line reads them."""

import json
import subprocess

import pytest

from support.nginx import HTTP1, HTTP2, curl, nginx
from support.server import BINARY, Server


@pytest.fixture(scope="module")
def proxy():
    with nginx() as upstream, Server() as server:
        yield server.proxy(upstream.upstream, protocol="http")


def follow(proxy, *arguments):
    command = [BINARY, "-h", proxy.server.url, "requests", "-c", "1", *arguments, proxy.name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def logged(proxy, *arguments, path, version=HTTP1):
    """What the log says of a request; it is sent until somebody is seen to listen."""
    with follow(proxy, *arguments) as log:
        while log.poll() is None:
            curl(path, proxy.port, version=version)
        return log.stdout.read()


@pytest.mark.parametrize("version", [HTTP1, HTTP2], ids=["http1", "http2"])
def test_a_request_is_a_line_of_json(proxy, version):
    line = json.loads(logged(proxy, "-o", "json", path="/text.txt?a=b", version=version))
    told = line["data"]
    assert line["type"] == "request"
    assert (told["method"], told["path"], told["status"]) == ("GET", "/text.txt?a=b", 200)
    assert told["protocol"] == ("HTTP/2" if version is HTTP2 else "HTTP/1.1")
    assert told["host"] == f"127.0.0.1:{proxy.port}" and told["client"].startswith("127.0.0.1:")
    assert 0 < told["upstream_ms"] <= told["duration_ms"]
    assert told["faults"] == []


def test_a_fault_is_named(proxy):
    with proxy.toxic("http_abort", status=503):
        line = logged(proxy, path="/text.txt")
    assert "503" in line and "GET" in line and "/text.txt" in line
    assert line.rstrip().endswith("http_abort"), line


def test_a_proxy_that_passes_bytes_has_no_requests(proxy):
    plain = proxy.server.proxy("127.0.0.1:1", name="bytes")
    with follow(plain) as log:
        said = log.stderr.read()
        assert log.wait() != 0
    assert "protocol" in said and "http" in said, said


def test_requests_are_counted(proxy):
    def count():
        lines = proxy.server.get("/metrics").splitlines()
        label = f'proxy="{proxy.name}"'
        of_proxy = [line.rsplit(" ", 1) for line in lines if label in line]
        return {name: float(value) for name, value in of_proxy}

    def total(counts, name, *labels):
        found = [value for key, value in counts.items() if key.startswith(name) and all(label in key for label in labels)]
        return sum(found)

    before = count()
    with proxy.toxic("http_abort", status=503, match={"path": "/data.json"}):
        for path in ["/text.txt", "/data.json", "/data.json"]:
            curl(path, proxy.port)
    after = count()

    def grown(name, *labels):
        return total(after, name, *labels) - total(before, name, *labels)

    assert grown("sabot_http_requests_total", 'method="GET"', 'status="2xx"') == 1
    assert grown("sabot_http_requests_total", 'method="GET"', 'status="5xx"') == 2
    assert grown("sabot_http_request_duration_seconds_count") == 3
    assert grown("sabot_http_upstream_duration_seconds_count") == 1
    assert grown("sabot_http_request_duration_seconds_bucket", 'le="30"') == 3
    assert total(after, "sabot_http_requests_in_flight") == 0
