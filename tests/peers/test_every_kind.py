"""A real Redis and a real PostgreSQL, asked by their own clients through every kind of toxic.

Each kind has its line in EXPECTED: what it is given, and what a user of the server must feel. A kind
without a line fails. After each toxic's removal all must be well again.
"""

import threading

import pytest

from support.peers import postgres, redis
from support.server import Server
from support.upstream import connect

# How long a command may take that is meant to succeed, and how long one is watched that is not.
PATIENCE_S = 20
HANG_S = 0.6


class Intact:
    """The answer is right, and took at least so long."""

    outcome, limit_s = "intact", PATIENCE_S

    def __init__(self, at_least_ms=0):
        self.at_least_ms = at_least_ms

    def met_by(self, answer):
        return answer.kind == self.outcome and answer.ms >= self.at_least_ms


class Broken(Intact):
    """The client gets an error, after at least so long."""

    outcome = "broken"


class Hung(Intact):
    """Nothing comes."""

    outcome, limit_s = "hung", HANG_S


class Wrong(Intact):
    """Another answer, an error, or none: whatever the client makes of a damaged stream."""

    limit_s = HANG_S

    def met_by(self, answer):
        return answer.kind != "intact"


class LateEnd(Intact):
    """The answer is right and not delayed; the end of the connection is."""


# 64 KiB go each way, so a rate, a limit and a pause are felt in either direction.
EXPECTED = {
    "accept_delay": ({"delay": 150}, Intact(150)),
    "bandwidth": ({"rate": "200KB/s"}, Intact(300)),
    "connect_delay": ({"delay": 150}, Intact(150)),
    "connect_timeout": ({"timeout": 150}, Broken(150)),
    "corrupt": ({"probability": 0.01}, Wrong()),
    "half_open": ({}, Hung()),
    "latency": ({"latency": 100}, Intact(100)),
    "limit_data": ({"bytes": 1000}, Broken()),
    "max_connections": ({"limit": 0}, Broken()),
    "no_upstream": ({}, Hung()),
    "noop": ({}, Intact()),
    "packet_loss": ({"loss_rate": 1}, Hung()),
    "refuse": ({}, Broken()),
    "reset_peer": ({"timeout": 0}, Broken()),
    "slicer": ({"average_size": 1024, "delay": "2ms"}, Intact(120)),
    "slow_close": ({"delay": 150}, LateEnd(150)),
    "slow_read": ({"bytes": 4096, "interval": 20}, Intact(250)),
    "stall": ({"duration": 150}, Intact(150)),
    "timeout": ({"timeout": 150}, Broken(150)),
}


@pytest.fixture(scope="module", params=[redis, postgres], ids=lambda start: start.__name__)
def peer(request):
    with request.param() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(peer):
    with Server() as server:
        yield server.proxy(peer.upstream)


def test_every_kind_is_expected_something():
    with Server() as server:
        # Those of HTTP and TLS have modules of their own.
        kinds = {kind["kind"] for kind in server.get("/v1/kinds")["kinds"] if kind["phase"] in ("connect", "stream")}
    assert kinds == set(EXPECTED), "every kind has its line in EXPECTED, and only kinds have"


@pytest.mark.parametrize("stream", ["downstream", "upstream"])
@pytest.mark.parametrize("kind", EXPECTED)
def test_through(peer, proxy, kind, stream):
    attributes, expected = EXPECTED[kind]
    toxic = proxy.add(kind, stream, **attributes)
    if isinstance(expected, LateEnd):
        with connect(proxy.address) as client:
            assert peer.farewell(client) >= expected.at_least_ms
        assert peer.ask(proxy.port, PATIENCE_S).kind == "intact"
    else:
        # On a busy machine a client takes a while to come.
        answer = peer.ask(proxy.port, expected.limit_s, lambda: kind == "noop" or proxy.applied(toxic))
        assert expected.met_by(answer), answer
    assert proxy.applied(toxic) > 0 or kind == "noop"
    proxy.remove(toxic)
    answer = peer.ask(proxy.port, PATIENCE_S)
    assert answer.kind == "intact", answer


def test_under_way(peer, proxy):
    """A toxic that holds a connection up lets go of it, and the client never learns of it."""
    toxic = proxy.add("bandwidth", rate=0)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(peer.ask(proxy.port, PATIENCE_S)))
    asking.start()
    while not proxy.applied(toxic):
        pass
    proxy.remove(toxic)
    asking.join()
    assert answers[0].kind == "intact", answers
