#!/usr/bin/env python3
"""A small open-model load on the lab, to see a cascade with; the runner is the real one.

    tests/lab/load.py URL [--rate 300] [--seconds 10]

Arrivals are evenly spaced and start whether or not earlier ones are answered; latency counts from the
intended start. Four fifths are reads, one fifth writes. Prints JSON for each kind.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LIMIT_S = 10
TENANTS = 8
ORDERS = 1000


@dataclass
class Kind:
    """What became of the requests of one kind."""

    latencies_ms: list = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)

    def summary(self):
        ordered = sorted(self.latencies_ms)
        at = lambda share: round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        good = sum(count for status, count in self.statuses.items() if status.startswith("2"))
        return {
            "requests": len(ordered),
            "good": round(good / len(ordered), 5),
            "p50_ms": at(0.5),
            "p99_ms": at(0.99),
            "statuses": dict(sorted(self.statuses.items())),
        }


class Client:
    """Requests over connections that are kept; a connection carries one at a time."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.idle = []

    async def ask(self, method, path, headers=(), body=b""):
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
        try:
            lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}:{self.port}", f"content-length: {len(body)}", *headers]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            head = await reader.readuntil(b"\r\n\r\n")
            status = head.split(b" ", 2)[1].decode()
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
            answer = await reader.readexactly(int(fields[b"content-length"]))
        except BaseException:
            writer.close()
            raise
        self.idle.append((reader, writer))
        return status, answer


async def one(client, kind, due, arguments):
    try:
        status, _ = await asyncio.wait_for(client.ask(*arguments), LIMIT_S)
    except asyncio.TimeoutError:
        status = "timeout"
    except (OSError, asyncio.IncompleteReadError):
        status = "broken"
    kind.latencies_ms.append((time.monotonic() - due) * 1000)
    kind.statuses[status] += 1


async def run(url, rate, seconds):
    client = Client(url)
    tokens = {}
    for tenant in (f"t{number + 1}" for number in range(TENANTS)):
        _, answer = await client.ask("POST", "/tokens", (), json.dumps({"tenant": tenant}).encode())
        tokens[tenant] = f"authorization: Bearer {json.loads(answer)['token']}"
    reads, writes, tasks = Kind(), Kind(), []
    run_id = time.time_ns()
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0, due - time.monotonic()))
        tenant = f"t{number % TENANTS + 1}"
        if number % 5 == 4:
            body = json.dumps({"item": "shoe", "amount_cents": 100 + number % 900}).encode()
            headers = (tokens[tenant], f"idempotency-key: {run_id}-{number}")
            arguments, kind = ("POST", "/orders", headers, body), writes
        else:
            path = f"/orders/{tenant}-{number * 7919 % ORDERS + 1}"
            arguments, kind = ("GET", path, (tokens[tenant],)), reads
        tasks.append(asyncio.create_task(one(client, kind, due, arguments)))
    await asyncio.gather(*tasks)
    return {"reads": reads.summary(), "writes": writes.summary()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=300)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options.url, options.rate, options.seconds))))
