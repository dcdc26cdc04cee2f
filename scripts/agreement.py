#!/usr/bin/env python3
"""Whether `sabot load` measures what an independent client measures.

    scripts/agreement.py [--sabot BINARY] [--rate 300] [--seconds 20]

A server answers each request after a delay that its number decides (log-normal: median 50 ms, p99 about 380 ms),
and 3 % of them with 503. `sabot load` and a plain client of a few lines send the same numbers at the same
times, side by side. Printed are p50, p99 and the error rate of both, and what the server was asked to do. The
exit code is 1 if the two differ by more than 2 %. Not one of the tests: on a busy machine anything may happen.
"""

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MEDIAN_S, SIGMA, ERRORS, LIMIT = 0.05, 0.87, 0.03, 0.02


def share(number, salt):
    """A number of (0, 1) that depends on these two alone, evenly spread over consecutive numbers."""
    return (number * (math.sqrt(5) - 1) / 2 + salt) % 1 or 0.5


def answer(number):
    """What the server does with a request: after how many seconds, and with which status."""
    z = statistics.NormalDist().inv_cdf(share(number, 0.1))
    return MEDIAN_S * math.exp(SIGMA * z), 503 if share(number * number, 0.7) < ERRORS else 200


class Server(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request of a connection after another."""

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        if b"\r\n\r\n" in self.buffer:
            number = int(self.buffer.split(b" ", 2)[1].rsplit(b"/", 1)[1])
            self.buffer = b""
            delay, status = answer(number)
            asyncio.get_running_loop().call_later(delay, self.reply, status)

    def reply(self, status):
        self.transport.write(b"HTTP/1.1 %d x\r\ncontent-length: 0\r\n\r\n" % status)


async def request(port, pool, number, intended, seen):
    """Sends one request, on a connection that is free or a new one; its time counts from `intended`."""
    reader, writer = pool.pop() if pool else await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number)
    head = await reader.readuntil(b"\r\n\r\n")
    seen.append((time.perf_counter() - intended, int(head.split(b" ", 2)[1])))
    pool.append((reader, writer))


async def client(port, rate, count):
    """The independent client: an open model, evenly spaced."""
    pool, seen, tasks = [], [], []
    began = time.perf_counter() + 0.1
    for number in range(count):
        intended = began + number / rate
        if (wait := intended - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(request(port, pool, number, intended, seen)))
    await asyncio.gather(*tasks)
    return seen


def figures(seen):
    good = sorted(took for took, status in seen if status == 200)
    at = lambda q: good[max(0, math.ceil(q * len(good)) - 1)] * 1e3
    return {"p50 ms": at(0.5), "p99 ms": at(0.99), "errors %": 100 * (1 - len(good) / len(seen))}


def of_sabot(told):
    total = told["total"]
    return {"p50 ms": total["latency_ms"]["p50"], "p99 ms": total["latency_ms"]["p99"], "errors %": 100 * total["error_rate"]}


def serve():
    async def run():
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sabot", default=str(ROOT / "target/release/sabot"))
    options.add_argument("--rate", type=int, default=300)
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = options.parse_args()
    if options.serve:
        return serve()
    count = options.rate * options.seconds
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        plan = {
            "target": f"http://127.0.0.1:{port}",
            "rate": options.rate,
            "duration": f"{options.seconds}s",
            "arrivals": "uniform",
            "connections": 1000,
            "endpoints": [{"path": "/{{seq}}"}],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(plan, file), file.flush()
            command = [options.sabot, "load", file.name, "-o", "json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sabot:
                plain = figures(asyncio.run(client(port, options.rate, count)))
                told = of_sabot(json.loads(sabot.communicate(timeout=120)[0]))
    finally:
        server.kill(), server.wait()
    asked = figures([answer(number) for number in range(count)])
    worst = 0
    print(f"{'':<10}{'asked':>10}{'sabot':>10}{'plain':>10}{'apart':>9}")
    for name in asked:
        apart = abs(told[name] - plain[name]) / plain[name]
        worst = max(worst, apart)
        print(f"{name:<10}{asked[name]:>10.2f}{told[name]:>10.2f}{plain[name]:>10.2f}{apart:>9.2%}")
    return worst > LIMIT


if __name__ == "__main__":
    sys.exit(main())
