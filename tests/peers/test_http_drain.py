"""What the clients of a server see that is told to stop: idle connections end, answers under way arrive."""

import http.client
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.server import Server

# Longer than the tests wait for anything.
DRAIN = ("--drain", "300s")


class Slow(BaseHTTPRequestHandler):
    """Answers when it is told to, but for `/quick`."""

    protocol_version = "HTTP/1.1"
    asked = threading.Semaphore(0)
    answer = threading.Semaphore(0)

    def do_GET(self):
        if self.path != "/quick":
            self.asked.release()
            self.answer.acquire(timeout=20)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_):
        pass


@pytest.fixture
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("toxic", [None, "http_headers"])
def test_idle_clients_do_not_hold_up_the_end(upstream, toxic):
    with Server(*DRAIN) as server:
        proxy = server.proxy(upstream, protocol="http")
        if toxic:
            proxy.add(toxic, set={"x-seen": "yes"})
        clients = [http.client.HTTPConnection(*proxy.address, timeout=20) for _ in range(3)]
        for client in clients:
            client.request("GET", "/quick")
            assert client.getresponse().read() == b"done"
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 5
        assert all(client.sock.recv(1) == b"" for client in clients)


def is_refused(address):
    try:
        socket.create_connection(address, timeout=20).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # It was in the queue of a listener that went.
        pass
    return False


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_an_answer_under_way_arrives(upstream, version):
    with Server(*DRAIN) as server:
        proxy = server.proxy(upstream, protocol="http")
        command = ["curl", "-sS", "-i", version, "--max-time", "20", f"http://127.0.0.1:{proxy.port}/slow"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as curl:
            assert Slow.asked.acquire(timeout=20)
            ended = []
            stopping = threading.Thread(target=lambda: ended.append(server.stop(signal.SIGTERM)))
            stopping.start()
            while not is_refused(proxy.address):
                pass
            Slow.answer.release()
            said, _ = curl.communicate(timeout=20)
        stopping.join(20)
    assert ended == [0] and curl.returncode == 0, said
    assert " 200" in said and said.endswith("done")
    assert ("connection: close" in said.lower()) == (version == "--http1.1"), said
