"""TLS as openssl and curl see it: every certificate fault by the error it provokes, versions, ALPN,
client certificates, names, ends and upstreams."""

import contextlib
import http.server
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from support.server import BINARY, Refused, Server
from support.upstream import Upstream, connect, echo, read_exactly

LIMIT_S = 20
TEXT = b"hello under TLS\n" * 100


def run(*command, stdin="", **options):
    """A program's exit code and all that it says."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=LIMIT_S, errors="replace", **options)
    return done.returncode, done.stdout + done.stderr


def curl(*arguments):
    return run("curl", "-sS", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code} h%{http_version}", *map(str, arguments))


def openssl(proxy, *arguments, stdin="Q\n"):
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{proxy.port}", *map(str, arguments), stdin=stdin)


class Web(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the same text."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(TEXT)))
        self.end_headers()
        self.wfile.write(TEXT)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def upstream():
    with web() as address:
        yield address


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return tmp_path_factory.mktemp("ca")


@pytest.fixture(scope="module")
def sabot(ca):
    with Server("--ca-dir", str(ca)) as server:
        # Made when somebody asks.
        (ca / "export.pem").write_text(server.get("/v1/ca"))
        yield server


@pytest.fixture(scope="module")
def trusted(sabot, ca):
    assert (ca / "export.pem").read_text() == (ca / "ca.pem").read_text()
    return ca / "ca.pem"


@pytest.fixture(scope="module", params=["tcp", "http"])
def proxy(request, sabot, upstream):
    return sabot.proxy(upstream, name=f"terminates-{request.param}", protocol=request.param, tls={"terminate": {}})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Makes certificates by openssl: `files(name, sans)`, signed by the CA `own.pem`."""
    place = tmp_path_factory.mktemp("files")

    def key(name):
        run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(place / f"{name}.key"))

    def make(name, sans="", usage="serverAuth", signer="own"):
        key(name)
        extension = place / f"{name}.ext"
        extension.write_text(f"extendedKeyUsage={usage}\nbasicConstraints=CA:FALSE\n" + (f"subjectAltName={sans}\n" if sans else ""))
        run("openssl", "req", "-new", "-key", str(place / f"{name}.key"), "-subj", f"/CN={name}", "-out", str(place / f"{name}.csr"))
        code, said = run(
            "openssl", "x509", "-req", "-in", str(place / f"{name}.csr"), "-CA", str(place / f"{signer}.pem"),
            "-CAkey", str(place / f"{signer}.key"), "-CAcreateserial", "-days", "2", "-extfile", str(extension),
            "-out", str(place / f"{name}.pem"),
        )
        assert code == 0, said
        return {"cert": str(place / f"{name}.pem"), "key": str(place / f"{name}.key")}

    for signer in ["own", "other"]:
        key(signer)
        run(
            "openssl", "req", "-x509", "-new", "-key", str(place / f"{signer}.key"), "-subj", f"/CN={signer} CA", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-out", str(place / f"{signer}.pem"),
        )
    make.own, make.other = str(place / "own.pem"), str(place / "other.pem")
    make.place = place
    return make


@contextlib.contextmanager
def toxic(proxy, kind, **attributes):
    name = proxy.add(kind, **attributes)
    try:
        yield name
    finally:
        proxy.remove(name)


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


@pytest.mark.parametrize(("only", "fails", "works"), [("1.2", "-tls1_3", "-tls1_2"), ("1.3", "-tls1_2", "-tls1_3")])
def test_one_version(proxy, only, fails, works):
    assert openssl(proxy, fails)[0] == 0
    with toxic(proxy, "tls_version", only=only):
        code, said = openssl(proxy, fails)
        assert code != 0 and "alert protocol version" in said, said
        code, said = openssl(proxy, works)
        assert code == 0 and f"Protocol  : TLSv{only}" in said or f"New, TLSv{only}" in said, said


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


def test_passthrough(sabot, files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = files("behind", "DNS:behind.example")
    context.load_cert_chain(pair["cert"], pair["key"])

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            echo(secure)

    with Upstream(serve) as behind:
        proxy = sabot.proxy(behind.address, name="through", tls={"passthrough": True})
        trust = ssl.create_default_context(cafile=files.own)
        with trust.wrap_socket(connect(proxy.address), server_hostname="behind.example") as client:
            client.sendall(b"ping")
            assert read_exactly(client, 4) == b"ping"
            assert [each["sni"] for each in proxy.connections()] == ["behind.example"]
            code, said = run(BINARY, "-h", sabot.url, "connections", "through")
            assert code == 0 and re.search(r"SNI\b", said) and "behind.example" in said, said
        for alert, number in [("unrecognized_name", 112), (80, 80)]:
            with toxic(proxy, "tls_alert", alert=alert):
                code, said = openssl(proxy, "-servername", "x")
                assert code != 0 and f"SSL alert number {number}" in said, said
        with pytest.raises(Refused) as refused:
            proxy.add("tls_certificate", problem="expired")
        assert "tls.terminate" in refused.value.body["error"]
    # What is no TLS passes as well.
    with Upstream(echo) as plain:
        proxy = sabot.proxy(plain.address, name="through-plain", tls={"passthrough": True})
        with connect(proxy.address) as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            assert read_exactly(client, 16) == b"GET / HTTP/1.1\r\n"


def test_a_client_hello_in_pieces_passes_through(sabot, files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = files("pieces", "DNS:pieces.example")
    context.load_cert_chain(pair["cert"], pair["key"])

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            echo(secure)

    with Upstream(serve) as behind:
        proxy = sabot.proxy(behind.address, name="pieces", tls={"passthrough": True})
        trust = ssl.create_default_context(cafile=files.own)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trust.wrap_bio(incoming, outgoing, server_hostname="pieces.example")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with connect(proxy.address) as client:
            for byte in outgoing.read():
                client.send(bytes([byte]))
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    client.sendall(outgoing.read())
                    incoming.write(client.recv(65536))
            client.sendall(outgoing.read())
            assert [each["sni"] for each in proxy.connections()] == ["pieces.example"]


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


def raw(proxy, trusted):
    """A client that tells an orderly end from a truncated one."""
    context = ssl.create_default_context(cafile=trusted)
    return context.wrap_socket(connect(proxy.address), server_hostname="localhost", suppress_ragged_eofs=False)


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
                assert proxy.applied(name) == 1
        with toxic(proxy, "corrupt", probability=0.05):
            assert curl(*ask, url)[0] in (35, 56, 92, 16), "a record that was changed on its way is refused"
        with toxic(proxy, "reset_peer"):
            assert curl(*ask, url)[0] in (7, 35, 56)
        assert curl(*ask, url)[0] == 0
    plain = sabot.proxy(upstream, name="under-tcp", tls={"terminate": {}})
    with toxic(plain, "latency", latency=60), toxic(plain, "limit_data", bytes=2000):
        assert curl("--cacert", trusted, f"https://localhost:{plain.port}/")[0] != 0
    assert curl("--cacert", trusted, f"https://localhost:{plain.port}/")[0] == 0


@pytest.mark.parametrize("protocol", ["tcp", "http"])
def test_an_upstream_under_tls(sabot, files, protocol):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair, client = files("upstream", "DNS:up.example"), files("sabot-client", usage="clientAuth")
    context.load_cert_chain(pair["cert"], pair["key"])
    context.load_verify_locations(files.own)
    context.verify_mode = ssl.CERT_REQUIRED
    with web(context) as address:
        works = [{"ca": files.own, "server_name": "up.example"}, {"insecure": True}]
        fails = [{"server_name": "up.example"}, {"ca": files.own}, {"ca": files.other, "server_name": "up.example"}]
        for index, originate in enumerate([*works, *fails]):
            tls = {"originate": {**originate, **client}}
            proxy = sabot.proxy(address, name=f"up-{protocol}-{index}", protocol=protocol, tls=tls)
            code, said = run("curl", "-sSi", f"http://127.0.0.1:{proxy.port}/")
            if index < len(works):
                assert code == 0 and said.endswith(TEXT.decode()), said
            elif protocol == "http":
                assert "502" in said and "x-sabot-error: upstream_tls" in said and "certificate" in said, said
            else:
                assert code in (52, 56), said
        # Without the certificate that this upstream asks for.
        tls = {"originate": works[0]}
        proxy = sabot.proxy(address, name=f"up-{protocol}-bare", protocol=protocol, tls=tls)
        code, said = run("curl", "-sSi", f"http://127.0.0.1:{proxy.port}/")
        assert code != 0 or "502" in said, said


@pytest.mark.parametrize("orderly", [True, False])
def test_an_end_of_the_upstream_is_the_end_of_the_client(sabot, trusted, files, orderly):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = files(f"ends-{orderly}", "DNS:up.example")
    context.load_cert_chain(pair["cert"], pair["key"])

    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(TEXT)
            if orderly:
                secure.unwrap()
            else:
                secure.shutdown(socket.SHUT_WR)
                socket.socket.recv(secure, 1)

    with Upstream(serve) as behind:
        tls = {"terminate": {}, "originate": {"ca": files.own, "server_name": "up.example"}}
        proxy = sabot.proxy(behind.address, name=f"end-{orderly}", tls=tls)
        with raw(proxy, trusted) as client:
            assert read_exactly(client, len(TEXT)) == TEXT
            if orderly:
                assert client.recv(1) == b""
            else:
                with pytest.raises(ssl.SSLEOFError):
                    client.recv(1)


def test_two_in_a_row_trust_the_same_ca(sabot, upstream, trusted):
    near = sabot.proxy(upstream, name="row-1", protocol="http", tls={"terminate": {}})
    tls = {"terminate": {}, "originate": {"server_name": "localhost"}}
    for protocol in ["tcp", "http"]:
        far = sabot.proxy(near.listen, name=f"row-2-{protocol}", protocol=protocol, tls=tls)
        code, said = curl("--http1.1", "--cacert", trusted, f"https://localhost:{far.port}/")
        assert code == 0 and said.startswith("200"), said


def test_what_cannot_be_is_refused_by_name(sabot, upstream, files, trusted):
    pair, other = files("fits"), files("fits-not")
    mixed = {"cert": pair["cert"], "key": other["key"]}
    no_pem = {"cert": str(files.place / "own.srl"), "key": pair["key"]}
    for tls, field, said in [
        ({"terminate": {"certificates": [mixed]}}, "tls.terminate.certificates[0].key", "does not fit"),
        ({"terminate": {"certificates": [{**pair, "cert": "/nowhere"}]}}, "tls.terminate.certificates[0].cert", "failed to read /nowhere"),
        ({"terminate": {"certificates": [no_pem]}}, "tls.terminate.certificates[0].cert", "holds no certificate"),
        ({"terminate": {"certificates": []}}, "tls.terminate.certificates", "is empty"),
        ({"terminate": {"client_ca": "/nowhere"}}, "tls.terminate.client_ca", "failed to read"),
        ({"terminate": {}, "passthrough": True}, "tls.passthrough", "excludes terminate"),
        ({"originat": {}}, "tls.originat", "did you mean `originate`"),
        ({"originate": {"ca": "/nowhere"}}, "tls.originate.ca", "failed to read"),
        ({"originate": {"server_name": "a b"}}, "tls.originate.server_name", "neither a host name"),
        ({}, "tls", "asks for nothing"),
    ]:
        with pytest.raises(Refused) as refused:
            sabot.proxy(upstream, name="refused", tls=tls)
        body = refused.value.body
        assert (refused.value.status, body["field"]) == (400, field) and said in body["error"], (tls, body)
    with pytest.raises(Refused) as refused:
        sabot.proxy("unix:/x", name="refused", tls={"originate": {}})
    assert refused.value.body["field"] == "tls.originate.server_name"
    with pytest.raises(Refused) as refused:
        sabot.proxy(upstream, name="refused", protocol="http", tls={"passthrough": True})
    assert refused.value.body["field"] == "tls.passthrough"
    plain = sabot.proxy(upstream, name="plain")
    for kind in ["tls_alert", "tls_certificate"]:
        with pytest.raises(Refused) as refused:
            plain.add(kind)
        assert refused.value.body["field"] == "type" and "tls.terminate" in refused.value.body["error"]
    assert "refused" not in sabot.get("/proxies") and "tls" not in sabot.get("/proxies")["plain"]


def test_the_command_line_and_a_restart(tmp_path, upstream, files):
    pair = files("cli", "DNS:cli.example")
    arguments = ["--state-dir", str(tmp_path / "state")]
    with Server(*arguments) as server:
        sabot = [BINARY, "-h", server.url]
        more = ["--tls-cert", pair["cert"], "--tls-key", pair["key"], "--tls", "terminate.min_version=1.2"]
        assert run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, *more, "given")[0] == 0
        assert run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, "--tls", "terminate", "--tls", "originate", "minted")[0] == 0
        assert run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, "--tls", "passthrough", "through")[0] == 0
        code, said = run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, "--tls", "terminat", "wrong")
        assert code != 0 and "none of terminate, originate, passthrough" in said, said
        before = {name: view["tls"] for name, view in server.get("/proxies").items()}
        assert before["given"] == {"terminate": {"certificates": [pair], "min_version": "1.2"}}
        assert before["minted"] == {"terminate": {}, "originate": {}} and before["through"] == {"passthrough": True}
        assert "terminate" in run(*sabot, "inspect", "minted")[1]
        server.stop(2)
    assert (tmp_path / "state" / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    with Server(*arguments) as server:
        assert {name: view["tls"] for name, view in server.get("/proxies").items()} == before


def test_the_api_under_tls(tmp_path):
    sabot = [BINARY, "serve", "--port", "0", "--port-file", str(tmp_path / "port"), "--ca-dir", str(tmp_path / "ca"), "--api-tls"]
    process = subprocess.Popen(sabot, stderr=subprocess.PIPE, text=True)
    try:
        while '://' not in (line := process.stderr.readline()):
            assert line, "the server ended"
        address = re.search(r"https://(\S+)", line)[1]
        url, ca = f"https://{address}", tmp_path / "ca" / "ca.pem"
        assert run(BINARY, "-h", url, "--ca", str(ca), "list")[0] == 0
        assert run(BINARY, "list", "-h", url, "--insecure")[0] == 0
        assert run("curl", "-sSf", "--cacert", str(ca), f"{url}/v1/version")[0] == 0
        code, said = run(BINARY, "-h", url, "list")
        assert code == 1 and "UnknownIssuer" in said and "--ca FILE" in said, said
        code, said = run(BINARY, "-h", f"http://{address}", "list")
        assert code == 1 and "https://" in said, said
        exported = run(BINARY, "-h", url, "--insecure", "ca", "export")[1]
        assert exported == ca.read_text()
    finally:
        process.kill()
        process.wait()
    code, said = run(BINARY, "serve", "--port", "0", "--api-tls-cert", "/nowhere", "--api-tls-key", "/nowhere")
    assert code == 1 and "failed to read /nowhere" in said, said
