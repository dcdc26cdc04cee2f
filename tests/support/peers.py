"""A real Redis and a real PostgreSQL, each in a temporary directory, on Unix sockets alone.

So no port is taken, and the proxy's Unix upstreams are used for real besides.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.upstream import elapsed_ms

# What every command sends and gets back: enough for a rate or a limit to be felt.
BULK = "".join(f"{number:07} " for number in range(8192))

# How long a client may take to get where it is to hang.
UNREACHED_S = 20


@dataclass
class Answer:
    """What became of one command."""

    kind: str  # "intact", "broken" (an error, or another answer), "hung" (none at all)
    ms: float
    text: str


@dataclass
class Peer:
    """A running server, and how its own client asks it."""

    name: str
    upstream: str

    def echo(self, port):
        """A command that sends BULK and prints it back."""
        if self.name == "redis":
            return ["redis-cli", "-h", "127.0.0.1", "-p", str(port), "-x", "ECHO"]
        return ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d", "postgres", "-XqAt"]

    def ask(self, port, limit_s, reached=lambda: True):
        """Runs the command on a connection of its own; gives up `limit_s` after it has `reached` what it is to."""
        sent = BULK if self.name == "redis" else f"select '{BULK}';"
        began = time.monotonic()
        environment = {**os.environ, "PGCONNECT_TIMEOUT": "20", "PGSSLMODE": "disable"}
        with tempfile.TemporaryFile() as stdin:
            stdin.write(sent.encode())
            stdin.seek(0)
            pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            run = subprocess.Popen(self.echo(port), env=environment, **pipes)
        until = None
        try:
            while True:
                if until is None and reached():
                    until = time.monotonic() + limit_s
                try:
                    stdout, stderr = run.communicate(timeout=0.05)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() > (until or began + UNREACHED_S):
                        return Answer("hung", (time.monotonic() - began) * 1000, "")
        finally:
            run.kill()
            run.wait()
        ms = (time.monotonic() - began) * 1000
        intact = run.returncode == 0 and stdout.decode(errors="replace").strip("\n") == BULK
        text = (stderr + stdout).decode(errors="replace")[:300]
        return Answer("intact" if intact else "broken", ms, text)

    def farewell(self, client):
        """How long the server's end of the stream takes to come after the client's, in ms."""
        client.shutdown(socket.SHUT_WR)
        ended, ms = elapsed_ms(lambda: client.recv(1) == b"")
        assert ended
        return ms


@contextmanager
def running(command, ready, **more):
    """A server in the foreground, from the moment its log says that it is ready."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", **more) as process:
        try:
            log = []
            for line in process.stdout:
                log.append(line)
                if ready in line:
                    break
            else:
                raise RuntimeError("".join(log))
            # What is never read would block it in the end.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


@contextmanager
def redis():
    with tempfile.TemporaryDirectory(prefix="sabot-redis-") as directory:
        path = f"{directory}/redis.sock"
        command = ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory]
        with running(command, "ready to accept connections at"):
            yield Peer("redis", f"unix:{path}")


@contextmanager
def postgres():
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    # It refuses to run as root.
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="sabot-postgres-") as directory:
        if as_user:
            shutil.chown(directory, "postgres", "postgres")
        data = f"{directory}/data"
        initdb = [*as_user, programs / "initdb", "-N", "-A", "trust", "-U", "postgres", "-D", data]
        subprocess.run(initdb, check=True, capture_output=True, cwd=directory)
        command = [*as_user, programs / "postgres", "-D", data, "-k", directory, "-h", "", "-F"]
        with running(command, "ready to accept connections", cwd=directory):
            yield Peer("postgres", f"unix:{directory}/.s.PGSQL.5432")
