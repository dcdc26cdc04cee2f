"""A proxy that terminates TLS: its chains, versions, ALPN, client certificates, names, and what passes."""

import os
import re
import socket
import ssl

import pytest

from support.tls_peer import curl, openssl, raw, run, toxic
from support.upstream import Upstream, connect, echo, read_exactly


def test_a_minted_chain_is_right(proxy, trusted, tmp_path):
    code, said = openssl(
        proxy, "-CAfile", trusted, "-servername", "Pay.Example", "-verify_hostname", "pay.example", "-verify_return_error", "-showcerts"
    )
    assert code == 0 and "Verify return code: 0 (ok)" in said, said
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(re.search(r"-----BEGIN.*?-----END CERTIFICATE-----\n", said, re.S)[0])
    strict = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(trusted), str(leaf)]
    assert run(*strict)[0] == 0, run(*strict)
    # Without a name, for the addresses that it may have used.
    assert curl("--cacert", trusted, f"https://127.0.0.1:{proxy.port}/")[0] == 0


def test_versions_by_setting(sabot, upstream):
    proxy = sabot.proxy(upstream, name="v13", tls={"terminate": {"min_version": 1.3}})
    assert openssl(proxy, "-tls1_2")[0] != 0 and openssl(proxy, "-tls1_3")[0] == 0
    proxy = sabot.proxy(upstream, name="v12", tls={"terminate": {"max_version": "1.2"}})
    assert openssl(proxy, "-tls1_3")[0] != 0 and openssl(proxy, "-tls1_2")[0] == 0


def test_alpn(sabot, upstream, trusted):
    proxy = sabot.proxy(upstream, name="alpn", protocol="http", tls={"terminate": {}})
    url = f"https://localhost:{proxy.port}/"
    assert curl("--http2", "--cacert", trusted, url) == (0, "200 h2")
    assert curl("--http1.1", "--cacert", trusted, url) == (0, "200 h1.1")
    assert "ALPN protocol: h2" in openssl(proxy, "-alpn", "h2,http/1.1")[1]
    code, said = openssl(proxy, "-alpn", "spdy/3")
    assert code != 0 and "no application protocol" in said, said
    proxy = sabot.proxy(upstream, name="alpn-1", protocol="http", tls={"terminate": {"alpn": ["http/1.1"]}})
    assert curl("--http2", "--cacert", trusted, f"https://localhost:{proxy.port}/") == (0, "200 h1.1")
    proxy = sabot.proxy(upstream, name="alpn-tcp", tls={"terminate": {"alpn": ["postgresql"]}})
    assert "ALPN protocol: postgresql" in openssl(proxy, "-alpn", "postgresql")[1]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_client_certificates(sabot, upstream, trusted, files, version):
    good, bad = files("client", usage="clientAuth"), files("stranger", usage="clientAuth", signer="other")
    ask = ["--cacert", trusted, f"--tlsv{version}", "--tls-max", version]
    with_ = lambda pair: ["--cert", pair["cert"], "--key", pair["key"]]
    for protocol in ["tcp", "http"]:
        name = f"mtls-{protocol}-{version}"
        proxy = sabot.proxy(upstream, name=name, protocol=protocol, tls={"terminate": {"client_ca": files.own}})
        url = f"https://localhost:{proxy.port}/"
        code, said = curl(*ask, *with_(good), url)
        assert code == 0 and said.startswith("200"), said
        for wrong, alert in [([], "(certificate required|handshake failure)"), (with_(bad), "(unknown ca|decrypt error)")]:
            code, said = curl(*ask, *wrong, url)
            assert code != 0 and re.search(f"alert {alert}", said), said
        optional = {"terminate": {"client_ca": files.own, "client_auth": "optional"}}
        proxy = sabot.proxy(upstream, name=f"{name}-optional", protocol=protocol, tls=optional)
        url = f"https://localhost:{proxy.port}/"
        assert curl(*ask, url)[0] == 0 and curl(*ask, *with_(good), url)[0] == 0
        assert curl(*ask, *with_(bad), url)[0] != 0
    failed = [line for line in sabot.get("/metrics").splitlines() if "connections_failed" in line and f"mtls-http-{version}" in line]
    assert any('reason="client_tls"' in line for line in failed), failed


def test_the_name_chooses_the_certificate(sabot, upstream, files):
    certificates = [files("first", "DNS:first.example"), files("wild", "DNS:*.wild.example"), files("ip", "IP:127.0.0.1")]
    proxy = sabot.proxy(upstream, name="sni", tls={"terminate": {"certificates": certificates}})
    for asked, shown in [("first.example", "first"), ("a.wild.example", "wild"), ("WILD.example", "first"), (None, "first")]:
        said = openssl(proxy, *(["-servername", asked] if asked else ["-noservername"]))[1]
        assert f"subject=CN = {shown}\n" in said, (asked, said)


def test_a_given_certificate_can_be_spoilt_too(sabot, upstream, files, trusted):
    pair = files("given", "DNS:given.example")
    proxy = sabot.proxy(upstream, name="given", tls={"terminate": {"certificates": [pair]}})
    with toxic(proxy, "tls_certificate", problem="expired"):
        said = openssl(proxy, "-servername", "given.example", "-CAfile", trusted, "-verify_hostname", "given.example")[1]
    assert "certificate has expired" in said and "mismatch" not in said and "local issuer" not in said, said


def test_half_close_and_reset_pass(sabot, trusted):
    """A client's close_notify is the upstream's FIN, and its answer still comes; a reset is a reset."""
    ends = []

    def serve(connection):
        data = b""
        try:
            while part := connection.recv(65536):
                data += part
            ends.append("fin")
            connection.sendall(data[::-1])
        except ConnectionResetError:
            ends.append("reset")

    with Upstream(serve) as plain:
        proxy = sabot.proxy(plain.address, name="half", tls={"terminate": {}})
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ssl.create_default_context(cafile=trusted).wrap_bio(incoming, outgoing, server_hostname="localhost")

        def step(client, call):
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    client.sendall(outgoing.read())
                    part = client.recv(65536)
                    incoming.write(part) if part else incoming.write_eof()

        with connect(proxy.address) as client:
            step(client, tls.do_handshake)
            tls.write(b"abc")
            client.sendall(outgoing.read())
            with pytest.raises(ssl.SSLWantReadError):
                tls.unwrap()
            client.sendall(outgoing.read())
            received = b""
            while part := client.recv(65536):
                received += part
            # A record with the answer, then close_notify, then the FIN.
            assert ends == ["fin"] and received[0] == 23, (ends, received)
        with raw(proxy, trusted) as client:
            client.sendall(b"x")
            while not proxy.connections() or not proxy.connections()[0]["bytes_upstream"]:
                pass
            sabot.delete(f"{proxy.path}/connections/{proxy.connections()[0]['id']}")
            # Python's ssl calls a reset an end.
            with socket.socket(fileno=os.dup(client.fileno())) as bare, pytest.raises(ConnectionResetError):
                while bare.recv(65536):
                    pass
        while len(ends) < 2:
            pass
        assert ends[1] == "reset"


def test_a_change_of_protocol_under_tls(sabot, trusted):
    """After 101 bytes pass both ways, over TLS as without it."""

    def serve(connection):
        while not (head := connection.recv(65536)).endswith(b"\r\n\r\n"):
            pass
        assert b"upgrade: echo" in head.lower()
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        echo(connection)

    with Upstream(serve) as plain:
        proxy = sabot.proxy(plain.address, name="upgrade", protocol="http", tls={"terminate": {}})
        with raw(proxy, trusted) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            assert head.startswith(b"HTTP/1.1 101"), head
            # By turns: an SSLSocket is not for two threads at once.
            for data in [os.urandom(30_000) for _ in range(10)]:
                client.sendall(data)
                assert read_exactly(client, len(data)) == data


def test_faults_of_requests_and_of_the_stream_under_tls(sabot, upstream, trusted):
    proxy = sabot.proxy(upstream, name="under", protocol="http", tls={"terminate": {}})
    url = f"https://localhost:{proxy.port}/"
    for version in ["--http1.1", "--http2"]:
        ask = [version, "--cacert", trusted]
        with toxic(proxy, "http_abort", status=503):
            assert curl(*ask, url)[1].startswith("503")
        for kind, attributes in [("latency", {"latency": 60}), ("slicer", {"average_size": 64, "delay": "100us"})]:
            with toxic(proxy, kind, **attributes) as name:
                code, said = curl(*ask, url)
                assert code == 0 and said.startswith("200"), said
                # A curl that waits for long tries a second connection.
                assert proxy.applied(name) >= 1
        with toxic(proxy, "corrupt", probability=0.05):
            assert curl(*ask, url)[0] in (35, 56, 92, 16), "a record that was changed on its way is refused"
        with toxic(proxy, "reset_peer"):
            assert curl(*ask, url)[0] in (7, 35, 56)
        assert curl(*ask, url)[0] == 0
    plain = sabot.proxy(upstream, name="under-tcp", tls={"terminate": {}})
    with toxic(plain, "latency", latency=60), toxic(plain, "limit_data", bytes=2000):
        assert curl("--cacert", trusted, f"https://localhost:{plain.port}/")[0] != 0
    assert curl("--cacert", trusted, f"https://localhost:{plain.port}/")[0] == 0
