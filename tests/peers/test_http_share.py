"""How many requests a fault takes, and that a seed decides which."""

import http.client
import math
import re
import subprocess
from contextlib import contextmanager

import pytest

from support.nginx import nginx
from support.server import SEED, Server

SHARE = 0.2
# The quantile of the normal distribution that the binomial one comes close to at such numbers.
Z_99 = 2.576


@pytest.fixture(scope="module")
def upstream():
    with nginx() as running:
        yield running


def is_likely(hits, of, share=SHARE):
    """Whether so many hits lie within the 99 % interval of a binomial distribution."""
    return abs(hits - of * share) <= Z_99 * math.sqrt(of * share * (1 - share))


@contextmanager
def aborting(upstream, seed=SEED, **attributes):
    """A server of its own, so that the first request is the first of its proxy."""
    with Server(seed=seed) as server:
        proxy = server.proxy(upstream.upstream, protocol="http")
        proxy.toxic_name = proxy.add("http_abort", toxicity=SHARE, status=503, **attributes)
        yield proxy


def test_the_share_of_a_hundred_thousand(upstream):
    requests = 100_000
    with aborting(upstream) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/text.txt"
        command = ["h2load", "-n", str(requests), "-c", "8", "-m", "32", url]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        hit = int(re.search(r"status codes: (\d+) 2xx, .* (\d+) 5xx", shown)[2])
        assert f"{requests} done" in shown and f"status codes: {requests - hit} 2xx" in shown, shown
        assert proxy.applied(proxy.toxic_name) == hit
        assert is_likely(hit, requests), hit


def decisions(upstream, seed, connections=1, requests=2000, headers=lambda number: {}, **attributes):
    """Which of so many requests, one after the other, are hit."""
    with aborting(upstream, seed, **attributes) as proxy:
        clients = [http.client.HTTPConnection(*proxy.address, timeout=20) for _ in range(connections)]
        statuses = []
        for number in range(requests):
            client = clients[number % connections]
            client.request("GET", "/text.txt", headers=headers(number))
            with client.getresponse() as answer:
                answer.read()
                statuses.append(answer.status)
        for client in clients:
            client.close()
        assert set(statuses) == {200, 503}
        return [status == 503 for status in statuses]


def test_a_seed_decides_which(upstream):
    first = decisions(upstream, seed=7)
    assert is_likely(sum(first), len(first))
    # The connection that a request comes on has no part in it.
    assert decisions(upstream, seed=7, connections=5) == first
    other = decisions(upstream, seed=8)
    assert is_likely(sum(other), len(other))
    # Two that know nothing of each other agree on 0.68 of the requests.
    agreed = sum(a == b for a, b in zip(first, other))
    assert is_likely(agreed, len(first), SHARE**2 + (1 - SHARE) ** 2), agreed


def test_a_sticky_share_is_one_of_users(upstream):
    users = 500

    def user(number):
        return {"x-user": f"user {number % users}"}

    hits = decisions(upstream, seed=7, headers=user, match={"sticky": "header:x-user"})
    assert hits[:users] * 4 == hits, "who is in stays in"
    assert is_likely(sum(hits[:users]), users)
