"""Peers of TLS: a web server that speaks it, openssl and curl as clients."""

import contextlib
import http.server
import ssl
import subprocess
import threading

from support.upstream import connect

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


@contextlib.contextmanager
def toxic(proxy, kind, **attributes):
    name = proxy.add(kind, **attributes)
    try:
        yield name
    finally:
        proxy.remove(name)


def raw(proxy, trusted):
    """A client that tells an orderly end from a truncated one."""
    context = ssl.create_default_context(cafile=trusted)
    return context.wrap_socket(connect(proxy.address), server_hostname="localhost", suppress_ragged_eofs=False)
