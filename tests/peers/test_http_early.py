"""An answer that comes before the request's body was read: curl gets it, whatever it speaks."""

import http.client
import subprocess

import pytest

from support.server import Server

VERSIONS = {
    "HTTP/1.1": ("http", ["--http1.1"]),
    "h2c": ("http", ["--http2-prior-knowledge"]),
    "h2 over TLS": ("https", ["--http2", "--insecure"]),
}
# Also what is more than is read for the sake of the answer.
SIZES = [0, 1_000, 100_000, 3_000_000]
RUNS = 40


@pytest.fixture(scope="module")
def proxies(tmp_path_factory):
    """One proxy in the clear and one under TLS, whose every POST is answered 503; nobody is behind them."""
    with Server("--ca-dir", str(tmp_path_factory.mktemp("ca"))) as server:
        proxies = {
            "http": server.proxy("127.0.0.1:1", name="clear", protocol="http"),
            "https": server.proxy("127.0.0.1:1", name="secured", protocol="http", tls={"terminate": {}}),
        }
        for proxy in proxies.values():
            proxy.add("http_abort", status=503, body="no", match={"method": "POST", "path": "/charge"})
        yield proxies


def posts(proxy, scheme, arguments, body, first, last):
    """One curl with a POST for each number; what it says of each: status, connections made, body."""
    url = f"{scheme}://127.0.0.1:{proxy.port}/charge?[{first}-{last}]"
    command = ["curl", "-sS", "--max-time", "60", *arguments, "-H", "Expect:", "--data-binary", f"@{body}"]
    shown = "|%{http_code}|%{num_connects}\n"
    done = subprocess.run([*command, "-w", shown, url], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    return [tuple(line.split("|")) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_post_is_answered(proxies, tmp_path, version, size):
    scheme, arguments = VERSIONS[version]
    body = tmp_path / "body"
    body.write_bytes(bytes(size))
    for run in range(RUNS):
        assert posts(proxies[scheme], scheme, arguments, body, run, run) == [("no", "503", "1")]


def test_an_http_1_connection_goes_on(proxies):
    # curl leaves a connection on which it was answered too early, so another client.
    client = http.client.HTTPConnection(*proxies["http"].address, timeout=60)
    client.connect()
    first = client.sock
    for _ in range(RUNS):
        client.request("POST", "/charge", bytes(100_000))
        with client.getresponse() as answer:
            assert (answer.status, answer.read()) == (503, b"no")
        assert client.sock is first
    client.close()


def test_an_h2c_connection_goes_on(proxies, tmp_path):
    # curl 7.88 fails to use such a connection twice.
    body = tmp_path / "body"
    body.write_bytes(bytes(100_000))
    url = f"http://127.0.0.1:{proxies['http'].port}/charge"
    command = ["h2load", "-n", "400", "-c", "1", "-m", "8", "-d", str(body), url]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "0 errored, 0 timeout" in shown and "400 5xx" in shown, shown


def test_an_h2_connection_goes_on(proxies, tmp_path):
    scheme, arguments = VERSIONS["h2 over TLS"]
    body = tmp_path / "body"
    body.write_bytes(bytes(100_000))
    said = posts(proxies[scheme], scheme, arguments, body, 1, RUNS)
    assert said == [("no", "503", "1")] + [("no", "503", "0")] * (RUNS - 1)
