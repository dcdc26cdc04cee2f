"""Faults of TLS as openssl and curl see them: each by the error it provokes."""

import ssl
import subprocess
import threading

import pytest

from support.tls_peer import LIMIT_S, TEXT, curl, openssl, raw, run, toxic
from support.upstream import Upstream, read_exactly


# What each problem makes of curl (which needs the list of what was revoked) and of openssl.
CERTIFICATES = {
    "expired": ("certificate has expired", "error:num=10:certificate has expired"),
    "not_yet_valid": ("certificate is not yet valid", "error:num=9:certificate is not yet valid"),
    "wrong_host": ("no alternative certificate subject name matches", "error:num=62:hostname mismatch"),
    "self_signed": ("self-signed certificate", "error:num=18:self-signed certificate"),
    "unknown_ca": ("unable to get local issuer certificate", "error:num=20:unable to get local issuer certificate"),
    "revoked": ("certificate revoked", "error:num=23:certificate revoked"),
}


@pytest.mark.parametrize("problem", CERTIFICATES)
def test_certificate_faults(proxy, sabot, trusted, tmp_path, problem):
    by_curl, by_openssl = CERTIFICATES[problem]
    url = f"https://localhost:{proxy.port}/"
    with toxic(proxy, "tls_certificate", problem=problem) as name:
        check = ["-CAfile", trusted, "-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error"]
        crl = tmp_path / "crl.pem"
        revoked = problem == "revoked"
        if revoked:
            # Only who looks at the list notices; the first to ask has it made.
            assert curl("--cacert", trusted, url) == (0, "200 h2" if "http" in proxy.name else "200 h1.1")
            crl.write_text(sabot.get("/v1/ca/crl.pem"))
            shown = openssl(proxy, "-servername", "localhost", "-showcerts")[1]
            point = run("openssl", "x509", "-noout", "-ext", "crlDistributionPoints", stdin=shown)[1]
            assert f"URI:{sabot.url}/v1/ca/crl" in point, point
        code, said = curl("--cacert", trusted, *(["--crlfile", crl] if revoked else []), url)
        assert code == 60 and by_curl in said, (code, said)
        code, said = openssl(proxy, *check, *(["-crl_check", "-CRL", crl] if revoked else []))
        assert code != 0 and by_openssl in said, said
        assert proxy.applied(name) >= 2
    code, said = curl("--cacert", trusted, url)
    assert code == 0 and said.startswith("200"), said


@pytest.mark.parametrize(("only", "fails", "works"), [("1.2", "-tls1_3", "-tls1_2"), ("1.3", "-tls1_2", "-tls1_3")])
def test_one_version(proxy, only, fails, works):
    assert openssl(proxy, fails)[0] == 0
    with toxic(proxy, "tls_version", only=only):
        code, said = openssl(proxy, fails)
        assert code != 0 and "alert protocol version" in said, said
        code, said = openssl(proxy, works)
        assert code == 0 and f"Protocol  : TLSv{only}" in said or f"New, TLSv{only}" in said, said


def test_handshakes_wait_and_go_on(proxy, trusted):
    url = f"https://localhost:{proxy.port}/"
    took = ["-w", "%{time_appconnect}"]
    with toxic(proxy, "tls_delay", delay=200):
        code, said = run("curl", "-sS", "-o", "/dev/null", *took, "--cacert", str(trusted), url)
        assert code == 0 and 0.2 <= float(said) < 1, said
    name = proxy.add("tls_hang")
    code, said = run("curl", "-sS", "-o", "/dev/null", "--max-time", "0.5", "--cacert", str(trusted), url)
    assert code == 28 and proxy.applied(name) == 1, said
    asking = subprocess.Popen(["curl", "-sS", "-o", "/dev/null", "--cacert", str(trusted), url])
    while proxy.applied(name) < 2:
        pass
    proxy.remove(name)
    assert asking.wait(LIMIT_S) == 0
    # Who gave up is gone.
    deadline = threading.Event()
    while proxy.connections():
        deadline.wait(0.05)


@pytest.mark.parametrize(("alert", "said_of_it"), [("handshake_failure", "handshake failure"), ("protocol_version", "protocol version")])
def test_alerts(proxy, trusted, alert, said_of_it):
    with toxic(proxy, "tls_alert", alert=alert):
        code, said = curl("--cacert", trusted, f"https://localhost:{proxy.port}/")
        assert code == 35 and f"alert {said_of_it}" in said, said


def test_ends(sabot, trusted):
    """An end as it comes from a plain upstream, without close_notify, and cut off."""

    def serve(connection):
        connection.sendall(TEXT)

    def read(client):
        data = b""
        while part := client.recv(65536):
            data += part
        return data

    with Upstream(serve) as plain:
        proxy = sabot.proxy(plain.address, name="ends", tls={"terminate": {}})
        with raw(proxy, trusted) as client:
            assert read(client) == TEXT
        with toxic(proxy, "tls_no_close_notify"):
            with raw(proxy, trusted) as client, pytest.raises(ssl.SSLEOFError):
                assert read_exactly(client, len(TEXT)) == TEXT
                client.recv(1)
            code, said = openssl(proxy, "-quiet", stdin="")
            assert "unexpected eof while reading" in said, said
        with toxic(proxy, "tls_truncate", bytes=100) as name:
            with raw(proxy, trusted) as client, pytest.raises(ssl.SSLEOFError):
                assert read_exactly(client, 100) == TEXT[:100]
                client.recv(1)
            assert proxy.applied(name) == 1
            code, said = openssl(proxy, "-quiet", stdin="")
            assert "unexpected eof while reading" in said, said
        with raw(proxy, trusted) as client:
            assert read(client) == TEXT


def test_ends_of_http(sabot, upstream, trusted):
    proxy = sabot.proxy(upstream, name="ends-http", protocol="http", tls={"terminate": {}})
    for version in ["--http1.1", "--http2"]:
        with toxic(proxy, "tls_truncate", bytes=700):
            code, said = curl(version, "--cacert", trusted, f"https://localhost:{proxy.port}/")
            assert code in (18, 56, 92) and ("unexpected eof" in said or "closed" in said or "remaining" in said), said
    with toxic(proxy, "tls_no_close_notify"), raw(proxy, trusted) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with pytest.raises(ssl.SSLEOFError):
            while client.recv(65536):
                pass
