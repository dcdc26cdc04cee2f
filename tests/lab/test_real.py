"""The lab with PostgreSQL and Redis of the system's packages."""

import os
import signal
from pathlib import Path

import pytest

from support.lab import call, lab, left, until


@pytest.fixture
def shop(tmp_path):
    with lab(tmp_path / "lab", "--real") as shop:
        yield shop


def metrics(shop, service, name, labels):
    text = call("GET", f"{shop.env[f'LAB_{service}_CONTROL']}/metrics")[1]
    lines = [line for line in text.splitlines() if line.startswith(f"{name}{{") and labels in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def passed(shop, proxy):
    return call("GET", f"{shop.env['SABOT_URL']}/v1/proxies/{proxy}")[1]["connections"]["total"]


def test_orders_are_written_to_the_primary_and_read_from_the_replica_and_the_cache(shop):
    status, order = shop.place("k")
    assert (status, order["id"]) == (201, "t1-1000001")
    assert shop.place("k")[0] == 200
    assert shop.place("k", amount_cents=1)[0] == 422
    # The replica follows within moments; the write before is not waited for.
    assert until("the replica has it", lambda: shop.find(order["id"])[0] == 200)
    assert shop.find("t3-7")[0] == 404 and shop.find("t3-7", tenant="t3")[1]["amount_cents"] == 107
    until("it is read from the cache", lambda: shop.find(order["id"]) and hits(shop) > 0)
    for proxy in ("primary", "replica", "redis", "replication"):
        assert passed(shop, proxy) > 0, proxy


def hits(shop):
    return sum(metrics(shop, service, "lab_cache_total", 'outcome="hit"') for service in ("ORDERS_1", "ORDERS_2"))


def test_a_dead_redis_fails_naive_reads_and_is_read_around_by_protected_ones(shop):
    assert shop.find("t1-1")[0] == 200
    os.kill(shop.pid("redis"), signal.SIGKILL)
    until("a naive read fails", lambda: shop.find("t1-1")[0] == 502)
    shop.do("mitigations", "on")
    until("a protected read does not", lambda: shop.find("t1-1")[0] == 200)
    for number in range(1, 21):
        until("each of them", lambda: shop.find(f"t1-{number}")[0] == 200)
    degraded = [metrics(shop, service, "lab_degraded_total", "cache_bypassed") for service in ("ORDERS_1", "ORDERS_2")]
    assert sum(degraded) > 0
    until("it is told", lambda: "redis was ended by signal 9" in shop.do("status", check=False).stderr)


def test_protected_reads_go_on_without_the_replica(shop):
    shop.do("mitigations", "on")
    with shop.toxic("replica", "reset_peer", "timeout=0"):
        for number in range(1, 21):
            until("a read comes through", lambda: shop.find(f"t2-{number}", tenant="t2")[0] == 200)
    assert sum(metrics(shop, service, "lab_degraded_total", "replica_bypassed") for service in ("ORDERS_1", "ORDERS_2"))


def test_nothing_is_left_when_the_supervisor_is_killed(shop):
    # PostgreSQL's own processes too.
    assert len(shop.processes) > 15
    data = [Path(path) for path in shop.state["temporary"]]
    assert data and all(path.exists() for path in data)
    os.kill(shop.state["pid"], signal.SIGKILL)
    assert left(shop.processes) == []
    shop.do("down")
    assert not any(path.exists() for path in data) and not shop.directory.exists()


def test_down_leaves_no_data(shop):
    data = [Path(path) for path in shop.state["temporary"]]
    shop.do("down")
    assert left(shop.processes, 0) == []
    assert not any(path.exists() for path in data) and not shop.directory.exists()
