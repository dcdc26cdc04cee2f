#!/usr/bin/env python3
"""A real Redis behind Sabot, a few faults, and what redis-benchmark makes of them.

    scripts/demo.py --sabot target/release/sabot

Starts redis-server and `sabot serve` on free ports, in a temporary directory, and ends both whatever
happens, Ctrl-C included. Changes nothing else on the machine. Takes about a quarter of a minute.
"""

import argparse
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

CLIENTS = 20
BULK_BYTES = 100_000
SEED = 42


PR_SET_PDEATHSIG = 1


def end_with_parent():
    """For a child just forked: whatever becomes of the demo, also between the fork and the moment at
    which it knows its child, the child does not outlive it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Demo:
    """The two servers, and what is measured through them."""

    def __init__(self, sabot, stack):
        self.stack = stack
        self.directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="sabot-demo-"))
        self.redis = self.start_redis()
        self.api = self.start_sabot(sabot)
        spec = {"name": "redis", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{self.redis}"}
        self.proxy = int(self.call("POST", "/v1/proxies", spec)["listen"].rsplit(":", 1)[1])

    def start(self, *command, **more):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent, **more)
        self.stack.callback(lambda: (process.kill(), process.wait()))
        return process

    def start_redis(self):
        port = free_port()
        # Its log says when it is ready.
        process = self.start(
            "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", self.directory,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_for(process, process.stdout, "Ready to accept connections", "redis-server")
        return port

    def start_sabot(self, sabot):
        process = self.start(
            sabot, "serve", "--host", "127.0.0.1", "--port", "0", "--seed", str(SEED), "--log-format", "json",
            stderr=subprocess.PIPE, text=True, env={**os.environ, "LOG_LEVEL": "info"},
        )  # fmt: skip
        line = wait_for(process, process.stderr, '"listening"', "sabot serve")
        return json.loads(line)["address"]

    def fill(self):
        """Stores a value that takes a while to fetch."""
        command = ["redis-cli", "-p", str(self.redis), "-x", "set", "bulk"]
        subprocess.run(command, input="x" * BULK_BYTES, text=True, stdout=subprocess.DEVNULL, check=True)

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://{self.api}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def toxic(self, kind, toxicity=1.0, stream="downstream", **attributes):
        spec = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        self.call("POST", "/v1/proxies/redis/toxics", spec)

    def heal(self):
        self.call("POST", "/v1/reset")

    def benchmark(self, port, requests, *more):
        """Runs redis-benchmark; answers what it printed."""
        command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-n", str(requests), *more]
        # Nothing here takes that long; a defect must not make the demo hang.
        try:
            run = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=15, preexec_fn=end_with_parent
            )
        except subprocess.TimeoutExpired as late:
            sys.exit(f"{' '.join(command)} was not done after {late.timeout:.0f} s")
        return run.stdout + run.stderr

    def get(self, port, requests, clients=CLIENTS):
        """GETs: thousands of requests a second, and the median in ms."""
        text = self.benchmark(port, requests, "-c", str(clients), "-t", "get")
        return number(r"throughput summary: ([\d.]+)", text) / 1000, median(text)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(process, lines, sign, name):
    """The line of a server's log that shows it is ready."""
    seen = []
    for line in lines:
        seen.append(line)
        if sign in line:
            return line
    sys.exit(f"{name} did not start:\n{''.join(seen)}")


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        sys.exit(f"redis-benchmark printed something else than was expected:\n{text[-2000:]}")
    return float(found[1])


def median(text):
    """The p50 of the closing summary, whose columns are avg, min, p50, …"""
    return number(r"avg\s+min\s+p50.*\n\s+[\d.]+\s+[\d.]+\s+([\d.]+)", text)


def share_above(text, limit_ms):
    """Share of the requests that took longer, by the cumulative distribution."""
    rows = re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds \(cumulative", text.split("Cumulative distribution")[-1])
    within = [float(percent) for percent, ms in rows if float(ms) <= limit_ms]
    return 100 - (within[-1] if within else 0)


def row(what, asked, measured):
    print(f"  {what:<34}{asked:>22}{measured:>22}", flush=True)


def show(demo):
    row("", "asked", "measured")
    rate, p50 = demo.get(demo.redis, 60_000)
    row("redis, direct", "–", f"{rate:.0f} k/s, p50 {p50:.2f} ms")
    rate, p50 = demo.get(demo.proxy, 60_000)
    row("through the idle proxy", "nothing", f"{rate:.0f} k/s, p50 {p50:.2f} ms")

    # One client: with more, a proxy that has time between requests would look faster with the toxic.
    _, idle = demo.get(demo.proxy, 2_000, clients=1)
    demo.toxic("latency", latency=5)
    _, late = demo.get(demo.proxy, 300, clients=1)
    row("latency", "+ 5 ms", f"+ {late - idle:.2f} ms at p50")
    demo.heal()

    # A connection for each request: toxicity is drawn once per connection.
    demo.toxic("latency", toxicity=0.3, latency=50)
    text = demo.benchmark(demo.proxy, 4_000, "-c", str(CLIENTS), "-t", "get", "-k", "0")
    row("latency, toxicity 0.3", "30 % of connections", f"{share_above(text, 25):.1f} % of 4000")
    demo.heal()

    # Pipelined, so that the link and not the client sets the pace.
    demo.toxic("bandwidth", rate="10MB/s")
    text = demo.benchmark(demo.proxy, 300, "-c", "1", "-P", "10", "GET", "bulk")
    answer = BULK_BYTES + len(f"${BULK_BYTES}\r\n\r\n")
    speed = number(r"throughput summary: ([\d.]+)", text) * answer / 1e6
    row("bandwidth", "10 MB/s", f"{speed:.2f} MB/s")
    demo.heal()

    # The latency makes sure that clients wait for an answer when the reset comes: redis-benchmark
    # takes one that meets it while writing for the end of that client, and waits for ever for the rest.
    demo.toxic("latency", latency=20)
    demo.toxic("reset_peer", timeout=500)
    began = time.monotonic()
    text = demo.benchmark(demo.proxy, 10_000_000, "-c", str(CLIENTS), "-t", "get")
    took = (time.monotonic() - began) * 1000
    row("reset_peer", "reset after 500 ms", f"reset after {took:.0f} ms" if "reset by peer" in text else "no reset")
    demo.heal()

    rate, p50 = demo.get(demo.proxy, 60_000)
    row("all removed", "nothing", f"{rate:.0f} k/s, p50 {p50:.2f} ms")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sabot", required=True, type=Path, help="the binary to show")
    sabot = options.parse_args().sabot.resolve()
    for needed in ["redis-server", "redis-benchmark", str(sabot)]:
        shutil.which(needed) or sys.exit(f"{needed} is missing: `make demo` installs and builds what it needs")
    # Whatever asks it to end, the servers end with it. A shell that started it in the background made
    # it deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for how in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, lambda *_: sys.exit(1))
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            demo = Demo(str(sabot), stack)
            print(f"\nredis-server on port {demo.redis}, Sabot in front on port {demo.proxy}, its API on {demo.api}\n")
            demo.fill()
            show(demo)
        print(f"\ndone in {time.monotonic() - began:.0f} s; both servers are stopped\n")
    except KeyboardInterrupt:
        sys.exit("\nstopped, and both servers with it")


if __name__ == "__main__":
    main()
