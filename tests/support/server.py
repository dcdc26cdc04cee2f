"""A running `sabot serve`, and calls of its API.

Knows how to start the real binary on a free port and how to talk JSON to it. Knows nothing of what
a test expects: a call that fails raises `Refused` with the status and the body.
"""

import http.client
import json
import os
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("SABOT", str(ROOT / "target" / "debug" / "sabot"))
SEED = 20_24


class Refused(Exception):
    """An answer that is not a success."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Server:
    """`sabot serve` on a free port of the loopback; use it in a `with`."""

    def __init__(self, *arguments, port=0, seed=SEED):
        command = [BINARY, "serve", "--host", "127.0.0.1", "--port", str(port), "--log-format", "json"]
        command += ["--seed", str(seed)] if seed is not None else []
        self.log = []
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "LOG_LEVEL": "info"},
            text=True,
        )
        # The log says where it listens: no port is guessed, nothing polled.
        self.address = self._read_log(until="listening")
        if not self.address:
            raise RuntimeError(f"sabot serve ended with {self.process.wait()}: {self.log}")
        threading.Thread(target=self._read_log, daemon=True).start()
        self.host, port = self.address.rsplit(":", 1)
        self.port = int(port)
        self.url = f"http://{self.address}"

    def _read_log(self, until=None):
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            if until and f'"{until}"' in line:
                entry = json.loads(line)
                return entry.get("fields", entry)["address"]
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def stop(self, how=signal.SIGKILL):
        """Ends the server; answers its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=20)

    def call(self, method, path, body=None, headers=None, timeout=5):
        """One request on a connection of its own; the decoded answer, or its text."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            raw = json.dumps(body) if body is not None and not isinstance(body, (str, bytes)) else body
            connection.request(method, path, raw, headers or {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = "json" in answer.headers.get("Content-Type", "")
        finally:
            connection.close()
        decoded = json.loads(text) if is_json and text else text
        if answer.status >= 400:
            raise Refused(answer.status, decoded)
        return decoded

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None):
        return self.call("POST", path, body)

    def patch(self, path, body):
        return self.call("PATCH", path, body)

    def delete(self, path):
        return self.call("DELETE", path)

    def proxy(self, upstream, name="p", **fields):
        """A new proxy in front of `upstream` on a free port of the loopback."""
        spec = {"name": name, "listen": "127.0.0.1:0", "upstream": upstream, **fields}
        return Proxy(self, self.post("/v1/proxies", spec))


class Proxy:
    """A proxy of a running server."""

    def __init__(self, server, view):
        self.server = server
        self.name = view["name"]
        self.listen = view["listen"]
        host, port = view["listen"].rsplit(":", 1)
        self.address = (host, int(port))
        self.path = f"/v1/proxies/{quote(self.name, safe='')}"
        self.classic = f"/proxies/{quote(self.name, safe='')}"

    @property
    def port(self):
        return self.address[1]

    def view(self):
        return self.server.get(self.path)

    def add(self, kind, stream="downstream", toxicity=1.0, when=None, **attributes):
        """Adds a toxic by Sabot's own route; answers its name."""
        spec = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        spec |= {"when": when} if when else {}
        return self.server.post(f"{self.path}/toxics", spec)["name"]

    def update(self, toxic, **attributes):
        return self.server.patch(f"{self.path}/toxics/{quote(toxic, safe='')}", {"attributes": attributes})

    def remove(self, toxic):
        self.server.delete(f"{self.path}/toxics/{quote(toxic, safe='')}")

    @contextmanager
    def toxic(self, kind, **attributes):
        """A toxic for as long as the `with` lasts, whatever comes of it; answers its name."""
        name = self.add(kind, **attributes)
        try:
            yield name
        finally:
            self.remove(name)

    def applied(self, toxic):
        """How often a toxic has acted, by the server's own count."""
        return self.server.get(f"{self.path}/toxics/{quote(toxic, safe='')}")["applied"]

    def connections(self):
        return self.server.get(f"{self.path}/connections")["connections"]
