"""The numbered failures of Toxiproxy, each as a test end to end: the real binary, real sockets.

The numbers are those of "coming from Toxiproxy" in the docs. The layers hold the same in tests of
their own; here it is held for what a user runs.
"""

import socket
import statistics
import threading
import time

import pytest

from support.server import Refused, Server
from support.upstream import (
    Upstream,
    connect,
    echo,
    elapsed_ms,
    has_ended,
    read_all,
    read_exactly,
    round_trip,
    silent,
    wait_until,
    was_reset,
)

MEGABYTE = 1_000_000


@pytest.fixture
def upstream():
    with Upstream(echo) as running:
        yield running


@pytest.fixture
def proxy(server, upstream):
    return server.proxy(upstream.address)


def add(proxy, kind, stream="downstream", toxicity=1.0, name=None, **attributes):
    """Adds a toxic by Toxiproxy's route, as its clients would."""
    body = {"type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes}
    return proxy.server.post(f"{proxy.classic}/toxics", body | ({"name": name} if name else {}))


def works(proxy):
    with connect(proxy.address) as client:
        round_trip(client)


# 1. Some attributes let the server die.


def test_1_slicer_without_attributes_is_harmless(proxy):
    add(proxy, "slicer")
    works(proxy)


@pytest.mark.parametrize(
    ("kind", "attributes", "field"),
    [
        ("slicer", {"average_size": 10, "size_variation": 20}, "size_variation"),
        ("bandwidth", {"rate": -1}, "rate"),
    ],
)
def test_1_impossible_attributes_are_refused_with_their_field(proxy, kind, attributes, field):
    with pytest.raises(Refused) as refusal:
        add(proxy, kind, **attributes)
    assert refusal.value.status == 400
    assert field in refusal.value.body["error"]
    works(proxy)


# 2. Removing a toxic while clients do not read wedges the API, or loses bytes.


def test_2_removal_returns_at_once_and_loses_nothing(server):
    size = 24 * MEGABYTE
    content = bytes(range(256)) * (size // 256)

    def send(connection):
        connection.sendall(content)

    with Upstream(send) as upstream:
        proxy = server.proxy(upstream.address)
        add(proxy, "latency", latency=100)
        clients = [connect(proxy.address) for _ in range(4)]
        # They do not read. The toxic has something in its hands as soon as the server says so.
        wait_until(lambda: all(each["held_bytes"] > 0 for each in proxy.connections()) and len(proxy.connections()) == 4)
        _, removal = elapsed_ms(lambda: server.delete(f"{proxy.classic}/toxics/latency_downstream"))
        _, listing = elapsed_ms(lambda: server.get("/proxies"))
        assert removal < 1000 and listing < 1000
        for client in clients:
            assert read_exactly(client, size) == content
            client.close()


# 3. A half-close loses the answer.


@pytest.mark.parametrize("toxic", [None, "latency", "slow_close"])
def test_3_the_answer_comes_after_a_half_close(server, toxic):
    def answer_at_the_end(connection):
        request = read_all(connection)
        connection.sendall(request[::-1])

    with Upstream(answer_at_the_end) as upstream:
        proxy = server.proxy(upstream.address)
        if toxic:
            add(proxy, toxic, **({"latency": 30} if toxic == "latency" else {"delay": 30}))
        with connect(proxy.address) as client:
            client.sendall(b"abc")
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == b"cba"


# 4. `timeout` starts anew with every chunk.


def test_4_a_busy_connection_times_out(server):
    stop = threading.Event()
    with Upstream(silent) as upstream:
        proxy = server.proxy(upstream.address)
        add(proxy, "timeout", stream="upstream", timeout=300)
        with connect(proxy.address) as client:
            threading.Thread(target=talk, args=[client, stop], daemon=True).start()
            ended, took = elapsed_ms(lambda: has_ended(client))
            stop.set()
    assert ended and 290 <= took < 600


def talk(client, stop):
    """Sends a byte every few milliseconds."""
    try:
        while not stop.wait(0.005):
            client.sendall(b"x")
    except OSError:
        pass


# 5. Two stacked latencies decay.


def test_5_stacked_latencies_add_up_whatever_is_under_way(proxy):
    add(proxy, "latency", name="one", latency=150)
    add(proxy, "latency", name="two", latency=150)
    sent, took = [], []
    count = 60
    with connect(proxy.address) as client:

        def read():
            for index in range(count):
                read_exactly(client, 4)
                took.append((time.monotonic() - sent[index]) * 1000)

        reader = threading.Thread(target=read)
        reader.start()
        pause = threading.Event()
        for _ in range(count):
            sent.append(time.monotonic())
            client.sendall(b"ping")
            pause.wait(0.01)
        reader.join()
    assert len(took) == count
    assert min(took) >= 300
    assert statistics.median(took) < 320


# 6. The seed does nothing.


def fates(seed):
    """Which of forty connections a toxic of 50 % meets."""
    with Server(seed=seed) as server, Upstream(echo) as upstream:
        proxy = server.proxy(upstream.address)
        add(proxy, "reset_peer", toxicity=0.5)
        met = []
        for _ in range(40):
            # The reset may come as early as the connection itself.
            try:
                with connect(proxy.address) as client:
                    client.sendall(b"ping")
                    met.append(read_exactly(client, 4) != b"ping")
            except ConnectionResetError:
                met.append(True)
        return met


def test_6_the_same_seed_makes_the_same_decisions():
    first = fates(7)
    assert fates(7) == first
    assert 8 <= sum(first) <= 32
    assert fates(8) != first


# 7. `reset_peer` sends FIN, or nothing, or strikes where it was not drawn.


def test_7_an_open_silent_connection_is_reset_on_time(server):
    ends = []
    with Upstream(lambda connection: ends.append(was_reset(connection))) as upstream:
        proxy = server.proxy(upstream.address)
        with connect(proxy.address) as client:
            client.sendall(b"x")
            assert upstream.accepted.acquire(timeout=5)
            wait_until(lambda: proxy.connections()[0]["state"] == "open")
            add(proxy, "reset_peer", timeout=200)
            reset, took = elapsed_ms(lambda: was_reset(client))
        assert reset and 190 <= took < 500
        wait_until(lambda: ends)
    assert ends == [True]


def test_7_toxicity_zero_resets_nobody(proxy):
    add(proxy, "reset_peer", toxicity=0)
    for _ in range(20):
        works(proxy)


# 8. Toxicity is drawn anew whenever another toxic changes.


def test_8_a_drawn_toxic_stays_drawn(server, proxy):
    add(proxy, "latency", name="half", toxicity=0.5, latency=80)
    with_clients = [connect(proxy.address) for _ in range(16)]
    slow = lambda: [round_trip(client) >= 80 for client in with_clients]
    before = slow()
    assert 0 < sum(before) < 16
    for change in range(3):
        add(proxy, "noop", name=f"other-{change}")
        server.patch(f"{proxy.classic}/toxics/half", {"attributes": {"latency": 81 + change}})
        assert slow() == before
    for client in with_clients:
        client.close()


# 9. A dial that hangs stops everybody.


def test_9_a_black_holed_upstream_holds_up_nobody(server):
    # A listener whose queue is full answers no further SYN: the dial hangs as in a black hole.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        proxy = server.proxy(f"127.0.0.1:{address[1]}")
        clients, took = elapsed_ms(lambda: [connect(proxy.address) for _ in range(8)])
        assert took < 1000
        wait_until(lambda: sum(each["state"] == "dialing" for each in proxy.connections()) >= 6)
        _, took = elapsed_ms(lambda: server.post(proxy.classic, {"enabled": False}))
        assert took < 1000
        with pytest.raises(ConnectionRefusedError):
            connect(proxy.address)
        for each in clients + fillers:
            each.close()


# 10. Metrics of bytes appear only when a connection closes.


def received(server):
    text = server.get("/metrics")
    lines = [line for line in text.splitlines() if line.startswith("toxiproxy_proxy_received_bytes_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'direction="upstream"' in line)


def test_10_bytes_are_counted_while_the_connection_lives(server, proxy):
    with connect(proxy.address) as client:
        round_trip(client, b"x" * 1000)
        assert received(server) == 1000
        round_trip(client, b"x" * 500)
        assert received(server) == 1500


# 11. A rejected update applies half of itself; a failed populate leaves half behind.


def test_11_a_rejected_update_changes_nothing(server, proxy):
    add(proxy, "latency", latency=10)
    path = f"{proxy.classic}/toxics/latency_downstream"
    before = server.get(path)
    with pytest.raises(Refused):
        server.post(path, {"toxicity": 0.5, "attributes": {"latency": 99, "jitter": "much"}})
    assert server.get(path) == before


def test_11_a_failed_populate_leaves_nothing_behind(server, proxy):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        good = {"name": "good", "listen": "127.0.0.1:0", "upstream": "localhost:1"}
        for bad in [{"name": "bad", "listen": "x:y:z", "upstream": "localhost:1"}, {"name": "bad", "listen": f"127.0.0.1:{port}", "upstream": "localhost:1"}, {"name": "bad"}]:
            with pytest.raises(Refused):
                server.post("/populate", [good, {"name": "p", "listen": "127.0.0.1:0", "upstream": "localhost:2"}, bad])
            assert list(server.get("/proxies")) == ["p"]
    works(proxy)


# 12. Bandwidth overshoots, and comes in lumps.


def test_12_bandwidth_is_exact_and_even(server):
    with Upstream(lambda connection: connection.sendall(bytes(2 * MEGABYTE))) as upstream:
        proxy = server.proxy(upstream.address)
        add(proxy, "bandwidth", rate=500)
        arrivals = []
        with connect(proxy.address) as client:
            began = time.monotonic()
            while time.monotonic() - began < 2:
                arrivals.append((time.monotonic(), len(client.recv(1 << 20))))
    # The start of the connection is not the start of the link's time.
    (start, first), (end, _) = arrivals[0], arrivals[-1]
    rate = (sum(size for _, size in arrivals) - first) / (end - start)
    assert 0.96 * 500_000 < rate < 1.01 * 500_000
    # 10 ms' worth. What a busy machine delivers late comes joined, so the middle is what counts.
    assert statistics.median(size for _, size in arrivals) <= 5_000


# 13. A slicer's short pauses take ten times as long.


def test_13_short_pauses_are_short(server):
    slices, size = 64, 64
    with Upstream(lambda connection: (connection.recv(1), connection.sendall(bytes(slices * size)))) as upstream:
        proxy = server.proxy(upstream.address)
        add(proxy, "slicer", average_size=size, size_variation=0, delay=100)
        took = []
        for _ in range(15):
            with connect(proxy.address) as client:
                client.sendall(b"x")
                began = time.monotonic()
                assert len(read_exactly(client, slices * size)) == slices * size
                took.append((time.monotonic() - began) * 1000)
    # 63 pauses of 0.1 ms; one of 15 runs is undisturbed even on a busy machine.
    assert 6.3 * 0.97 <= min(took) <= 6.4 * 1.15 + 1


# 14. The API can be reached from a malicious web page.


@pytest.mark.parametrize("host", ["attacker.example", "attacker.example:8474", "localhost.attacker.example"])
def test_14_a_foreign_name_is_refused_with_the_remedy(server, host):
    with pytest.raises(Refused) as refusal:
        server.call("GET", "/proxies", headers={"Host": host})
    assert refusal.value.status == 403
    assert "--allowed-host" in str(refusal.value.body)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8474", "toxiproxy:8474", "sabot.internal", "[::1]:8474", "a.svc.cluster.local"])
def test_14_real_use_passes(server, host):
    assert server.call("GET", "/version", headers={"Host": host})["version"] == "2.12.0"


def test_14_a_foreign_origin_and_browsers_are_refused(server):
    for headers in [{"Origin": "http://attacker.example"}, {"User-Agent": "Mozilla/5.0"}]:
        with pytest.raises(Refused) as refusal:
            server.call("POST", "/reset", headers=headers)
        assert refusal.value.status == 403


def test_14_an_allowed_name_passes():
    with Server("--allowed-host", "chaos.example") as server:
        assert server.call("GET", "/version", headers={"Host": "chaos.example:8474"})
