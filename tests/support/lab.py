"""The lab by its command line, and its processes as the kernel sees them."""

import http.client
import json
import os
import select
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from support.server import BINARY

# Far longer than anything takes.
LIMIT_S = 60


def sabot(*arguments, check=True, **environment):
    """Runs a command to its end; answers what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SABOT_")}
    run = subprocess.run(
        [BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=2 * LIMIT_S, env=kept | environment
    )
    assert not check or run.returncode == 0, f"{arguments}: {run.stdout}{run.stderr}"
    return run


class Lab:
    """A lab that is up."""

    def __init__(self, directory):
        self.directory = directory
        self.state = json.loads((directory / "lab.json").read_text())
        lines = sabot("lab", "env", "--state-dir", directory).stdout.splitlines()
        self.env = dict(line.split("=", 1) for line in lines)
        self.tokens = {}
        self.processes = descendants(self.state["pid"])

    def do(self, verb, *arguments, check=True):
        return sabot("lab", verb, "--state-dir", self.directory, *arguments, check=check)

    def pid(self, process):
        return next(each["pid"] for each in self.state["processes"] if each["name"] == process)

    def find(self, identity, tenant="t1"):
        return self.ask("GET", f"/orders/{identity}", tenant)

    def place(self, key, amount_cents=500, tenant="t1"):
        body = {"item": "shoe", "amount_cents": amount_cents}
        return self.ask("POST", "/orders", tenant, {"idempotency-key": key}, body)

    def ask(self, method, path, tenant, headers=None, body=None):
        if tenant not in self.tokens:
            status, answer = call("POST", f"{self.env['LAB_API']}/tokens", {"tenant": tenant})
            assert status == 200, answer
            self.tokens[tenant] = f"Bearer {answer['token']}"
        headers = {"authorization": self.tokens[tenant]} | (headers or {})
        return call(method, f"{self.env['LAB_API']}{path}", body, headers)

    @contextmanager
    def toxic(self, proxy, kind, attribute, *more):
        url = {"SABOT_URL": self.env["SABOT_URL"]}
        sabot("toxic", "add", "-n", "fault", "-t", kind, "-a", attribute, *more, proxy, **url)
        try:
            yield
        finally:
            sabot("toxic", "remove", "-n", "fault", proxy, **url)

    def applied(self, proxy):
        """How often the fault has acted, by Sabot's own count."""
        return call("GET", f"{self.env['SABOT_URL']}/v1/proxies/{proxy}/toxics/fault")[1]["applied"]


@contextmanager
def lab(directory, *arguments):
    """A detached lab for as long as the `with` lasts, whatever comes of it."""
    sabot("lab", "up", "--detach", "--state-dir", directory, *arguments)
    try:
        yield Lab(directory)
    finally:
        sabot("lab", "down", "--state-dir", directory)


def call(method, url, body=None, headers=None, timeout=LIMIT_S):
    """One request on a connection of its own: its status, and its answer decoded."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, parts.path or "/", body and json.dumps(body), headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    is_json = "json" in answer.headers.get("Content-Type", "")
    return answer.status, json.loads(text) if is_json else text


def descendants(pid):
    """A process and all below it, each with a handle that is of nobody else later."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, waiting = {}, [pid]
    while waiting:
        each = waiting.pop()
        try:
            found[each] = os.pidfd_open(each)
        except OSError:
            continue
        waiting += parents.get(each, [])
    return found


def left(processes, limit_s=LIMIT_S):
    """Which of them still run when the limit is over; waits until none does."""
    deadline = time.monotonic() + limit_s
    running = []
    for pid, handle in processes.items():
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
            running.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return running


def until(what, so, limit_s=LIMIT_S):
    """Asks until it is so; answers what was said."""
    deadline = time.monotonic() + limit_s
    while not (said := so()):
        assert time.monotonic() < deadline, f"not in time: {what}"
    return said
