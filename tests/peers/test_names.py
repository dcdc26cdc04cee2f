"""An upstream that moves to another address is found without a restart."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from support.netns import isolated
from support.server import Server

PORT = 5432
LIMIT_S = 60


def test_a_name_is_resolved_at_each_dial(tmp_path):
    # The process namespace has mounts of its own: the hosts file is only its.
    hosts = tmp_path / "hosts"
    hosts.write_text("")
    mounted = ["sh", "-c", 'mount --bind "$1" /etc/hosts && exec "$2" "$3" "$1"', "sh"]
    command = isolated([*mounted, str(hosts), sys.executable, __file__])
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr


def say(address, word):
    """A server that says its word to whoever connects."""
    server = socket.create_server((address, PORT))

    def serve():
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(word)

    threading.Thread(target=serve, daemon=True).start()


def heard(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        return client.recv(100)


def moves(hosts):
    say("127.0.0.1", b"old")
    say("127.0.0.2", b"new")
    hosts.write_text("127.0.0.1 moving.test\n")
    with Server() as server:
        proxy = server.call("POST", "/proxies", {"name": "p", "listen": "127.0.0.1:0", "upstream": f"moving.test:{PORT}"})
        port = int(proxy["listen"].rsplit(":", 1)[1])
        assert heard(port) == b"old"
        hosts.write_text("127.0.0.2 moving.test\n")
        assert heard(port) == b"new"


if __name__ == "__main__":
    moves(Path(sys.argv[1]))
