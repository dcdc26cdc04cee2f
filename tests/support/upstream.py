"""Small servers to put behind a proxy, and what a client of them needs.

Every server listens on a free port, serves each connection on a thread of its own with a function
that the test gives, and keeps what went wrong there for the test to see.
"""

import socket
import struct
import threading
import time


class Upstream:
    """Serves each connection with `handle(socket)`; use it in a `with`."""

    def __init__(self, handle, backlog=128):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.listener.settimeout(None)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.handle = handle
        self.accepted = threading.Semaphore(0)
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # Shutting it down, not only closing it, wakes the thread that waits in accept.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted.release()
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        try:
            self.handle(connection)
        except OSError:
            pass
        finally:
            connection.close()


def echo(connection):
    """Sends back what comes in, until the other side is done."""
    while data := connection.recv(65536):
        connection.sendall(data)


def silent(connection):
    """Reads nothing back out and never answers."""
    while connection.recv(65536):
        pass


def connect(address, timeout=10):
    """A client's socket, without Nagle's delays."""
    client = socket.create_connection(address, timeout=timeout)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def read_exactly(client, count):
    """`count` bytes, or fewer if the stream ends before."""
    parts, missing = [], count
    while missing and (part := client.recv(min(missing, 1 << 20))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def read_all(client):
    """Everything until the stream's orderly end."""
    parts = []
    while part := client.recv(1 << 20):
        parts.append(part)
    return b"".join(parts)


def round_trip(client, data=b"ping"):
    """Sends `data` through an echo; answers how long it took, in milliseconds."""
    began = time.monotonic()
    client.sendall(data)
    assert read_exactly(client, len(data)) == data
    return (time.monotonic() - began) * 1000


def reset(client):
    """Closes with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def has_ended(client):
    """Whether the connection is over, in good order or by a reset; waits for it."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def was_reset(client):
    """Whether the connection ends by an RST; waits for its end and drops what comes before."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


def wait_until(condition, limit_s=10):
    """Waits for what a server will say soon; each look asks it again."""
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends, "it did not come true"
        # What it waits for may need this core.
        time.sleep(0.01)


def elapsed_ms(action):
    """What `action` answers, and how long it took in milliseconds."""
    began = time.monotonic()
    answer = action()
    return answer, (time.monotonic() - began) * 1000
