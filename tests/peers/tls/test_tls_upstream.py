"""An upstream under TLS."""

import socket
import ssl

import pytest

from support.tls_peer import TEXT, curl, raw, run, web
from support.upstream import Upstream, read_exactly


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
