"""TLS that is passed through, with the name read."""

import re
import ssl

import pytest

from support.server import BINARY, Refused
from support.tls_peer import openssl, run, toxic
from support.upstream import Upstream, connect, echo, read_exactly


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
