"""`sabot run`: each verdict, from a system that earns it."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import jsonschema
import pytest

from support.experiment import LIMIT_S, Bench, ended, load, on, wait_for_fault
from support.server import Server
from support.upstream import wait_until

ABORT = {"type": "http_abort", "attributes": {"status": 503}}
BOTH = [{"path": "/a"}, {"path": "/b"}]
EACH = ["GET /a error_rate < 20% over 1s", "GET /b error_rate < 20% over 1s"]
ONLY_A = {"type": "http_abort", "attributes": {"status": 503, "match": {"path": "/a"}}}

# What a run is named -> its faults, its endpoints, what else differs from a plain experiment, and
# the verdict with a part of its first reason.
RUNS = {
    "held": ({"type": "latency", "attributes": {"latency": "50ms"}}, None, {}, "held", "Every objective was met"),
    "degraded": (ABORT, None, {}, "degraded", "In the fault `error_rate < 20% over 1s` was broken"),
    "cascaded": (ABORT, BOTH, {"slos": EACH}, "failed", "It cascaded: all endpoints"),
    "contained": (ONLY_A, BOTH, {"slos": EACH, "blast_radius": ["GET /a"]}, "degraded", "`GET /a error_rate"),
    "spread": (ABORT, BOTH, {"slos": EACH, "blast_radius": ["GET /a"]}, "failed", "beyond its blast radius: GET /b"),
    "not-acting": ({"proxy": "idle", "type": "latency"}, None, {}, "invalid", "was not seen to act"),
    "unsteady": (ABORT, [{"path": "/broken"}], {}, "invalid", "No clean baseline"),
    "too-few": (ABORT, None, {"rate": "20/s"}, "invalid", "The baseline has 40 requests; 50 are the least"),
    "stopped": (ABORT, None, {"stop": ["error_rate > 50% over 1s"]}, "aborted", "The stop condition `error_rate > 50%"),
}


@pytest.fixture(scope="module")
def runs(bench):
    """All of them at once, each on a proxy of its own: its record, and the proxy."""
    bench.proxy("idle")

    def one(name):
        fault, endpoints, changes, verdict, _ = RUNS[name]
        proxy = bench.proxy(name)
        sent = load(f"http://127.0.0.1:{proxy.port}", rate=changes.get("rate", "40/s"))
        if endpoints:
            sent["endpoints"] = endpoints
        changes = {key: value for key, value in changes.items() if key != "rate"}
        experiment = bench.experiment(proxy, load=sent, faults=[{"proxy": name} | fault], **changes)
        file = bench.file(experiment | {"title": name, "expect": verdict}, f"{name}.yaml")
        with bench.start(file, "--reports", bench.folder / "records") as process:
            return ended(process)[0], proxy

    with ThreadPoolExecutor(len(RUNS)) as pool:
        return dict(zip(RUNS, pool.map(one, RUNS)))


@pytest.mark.parametrize("name", RUNS)
def test_verdict(runs, name):
    record, proxy = runs[name]
    *_, verdict, reason = RUNS[name]
    assert record["verdict"] == verdict, record["reasons"]
    assert reason in record["reasons"][0], record["reasons"]
    assert record["title"] == name and record["expect"] == verdict
    assert proxy.view()["toxics"] == []


def test_what_was_seen_stands_in_the_record(runs):
    record, _ = runs["degraded"]
    (fault,) = record["faults"]
    assert 2 <= fault["started_s"] < fault["stopped_s"] and fault["applied"] > 0, fault
    parts = {part["phase"]: part for part in record["parts"] if "endpoint" not in part}
    assert set(parts) == {"baseline", "fault", "recovery"}
    assert parts["baseline"]["offered"] == 80 and parts["baseline"]["error_rate"] < 0.2
    assert parts["fault"]["error_rate"] > 0.5 > parts["recovery"]["error_rate"]
    assert record["recovery"] == "healed" and record["mttr_s"] <= 2
    assert [hit["endpoint"] for hit in record["blast_radius"]] == ["GET /"]
    assert runs["held"][0]["recovery"] == "absorbed" and runs["held"][0]["mttr_s"] == 0


def test_nothing_is_broken_on_top_of_a_bad_baseline(runs):
    record, proxy = runs["unsteady"]
    assert record["faults"][0].get("started_s") is None and record["faults"][0]["applied"] == 0
    assert record["phases"]["end_s"] == 2, "it ends with the baseline"


def test_a_stop_condition_ends_it_before_its_time(runs):
    record, _ = runs["stopped"]
    assert record["phases"]["end_s"] < 8 and record["load"]["stopped"]
    assert record["faults"][0]["stopped_s"] < 8
    assert record.get("recovery") is None


def test_records_are_as_their_schema_says(runs, bench, root):
    schema = json.loads((root / "docs/reference/record.schema.json").read_text())
    files = list((bench.folder / "records").glob("*.json"))
    assert {json.loads(file.read_text())["title"] for file in files} == set(RUNS)
    for file in files:
        jsonschema.validate(json.loads(file.read_text()), schema)


def test_what_stays_broken_has_failed(bench):
    proxy = bench.proxy("lasting")
    experiment = bench.experiment(proxy, expect="failed")
    with bench.start(bench.file(experiment)) as process:
        wait_for_fault(proxy)
        bench.web.broken = True
        try:
            (record,) = ended(process)
        finally:
            bench.web.broken = False
    assert "It did not recover" in record["reasons"][0], record["reasons"]
    assert record["recovery"] == "not_recovered" and record.get("mttr_s") is None


def another_run(proxy):
    spec = {"name": "run-another-0", "type": "latency", "attributes": {"latency": "1ms"}}
    proxy.server.post(f"{proxy.path}/toxics", spec)


# What somebody else does while the fault, a toxic of that name, is on -> what the first reason says.
MEDDLING = {
    "takes it away": (lambda proxy, own: proxy.remove(own), "Somebody else took the fault away"),
    "weakens it": (
        lambda proxy, own: proxy.update(own, latency="1ms"),
        "Somebody else changed the fault while it was on: latency is",
    ),
    "thins it out": (
        lambda proxy, own: proxy.server.patch(f"{proxy.path}/toxics/{own}", {"toxicity": 0.5}),
        "Somebody else changed the fault while it was on: its toxicity is 0.5, not 1",
    ),
    "disables the proxy": (
        lambda proxy, own: proxy.server.patch(proxy.path, {"enabled": False}),
        "Somebody else disabled the proxy",
    ),
    "deletes the proxy": (lambda proxy, own: proxy.server.delete(proxy.path), "Somebody else deleted the proxy"),
    "adds a toxic": (lambda proxy, own: proxy.add("latency", latency="1ms"), "Somebody else put the toxic latency_"),
    "runs another": (lambda proxy, own: another_run(proxy), "Another run has its fault run-another-0 (latency) on"),
}


def test_what_somebody_else_meddled_with_proves_nothing(bench):
    def one(at_name):
        at, name = at_name
        proxy = bench.proxy(f"shared-{at}")
        experiment = bench.experiment(proxy, expect="invalid")
        experiment["windows"] |= {"fault": "30s"}
        with bench.start(bench.file(experiment, f"shared-{at}.yaml")) as process:
            MEDDLING[name][0](proxy, wait_for_fault(proxy)["name"])
            (record,) = ended(process)
        return name, record, proxy

    with ThreadPoolExecutor(len(MEDDLING)) as pool:
        done = list(pool.map(one, enumerate(MEDDLING)))
    for name, record, proxy in done:
        assert MEDDLING[name][1] in record["reasons"][0], (name, record["reasons"])
        assert record["phases"]["end_s"] < 30, "it ends at once"
        if name != "deletes the proxy":
            assert not [toxic for toxic in on(proxy) if toxic["name"] == record["faults"][0]["name"]], name


def test_a_fault_that_the_server_ended_is_not_laid_at_anybodys_door(bench):
    proxy = bench.proxy("expiring")
    with bench.start(bench.file(bench.experiment(proxy, expect="invalid"))) as process:
        wait_for_fault(proxy)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not on(proxy), LIMIT_S)
        process.send_signal(signal.SIGCONT)
        (record,) = ended(process)
    assert "The server took the fault away at its expiry" in record["reasons"][0], record["reasons"]


def test_a_toxic_that_was_there_before_is_told(bench):
    proxy = bench.proxy("haunted")
    old, idle = proxy.add("latency", latency="2ms"), proxy.add("latency", stream="upstream", toxicity=0.0, latency="9s")
    told = f"The toxic {old} (latency) was on haunted already: all that was measured is with it."
    file = bench.file(bench.experiment(proxy), "haunted.yaml")
    (record,) = bench.run(file)
    assert (record["verdict"], record["warnings"]) == ("held", [told]), record["reasons"]
    assert {toxic["name"] for toxic in proxy.view()["toxics"]} == {old, idle}
    with bench.start(file, "--windows", "0,2,1,1", output="table") as process:
        _, said = process.communicate(timeout=LIMIT_S)
    assert said.count(told) == 2, "as it begins, and with the verdict"


def test_a_proxy_that_another_run_has_a_fault_on_is_not_broken_further(bench):
    proxy = bench.proxy("taken")
    another_run(proxy)
    error = bench.refused(bench.experiment(proxy))
    assert "faults[0].proxy: Another run has its fault run-another-0 (latency) on taken" in error, error
    assert "Run one at a time" in error


def test_a_fault_that_cannot_be_taken_off_proves_nothing(bench):
    with Server() as mortal:
        other = Bench(mortal, bench.web, bench.folder)
        proxy = other.proxy("mortal")
        with other.start(other.file(other.experiment(proxy, expect="invalid"))) as process:
            wait_for_fault(proxy)
            mortal.stop()
            (record,) = ended(process)
    assert "could not be taken off again" in record["reasons"][0], record["reasons"]
    assert record["faults"][0].get("stopped_s") is None, "nobody knows when it ended"


def test_nothing_is_said_of_a_fault_that_was_not_or_stayed(bench):
    proxy = bench.proxy("untouched")
    with bench.start(bench.file(bench.experiment(proxy, faults=[])), output="table") as process:
        _, said = process.communicate(timeout=LIMIT_S)
    lines = [line.strip() for line in said.splitlines()]
    assert process.returncode == 0 and "fault on" not in lines and "fault off" not in lines, said
    with Server() as mortal:
        other = Bench(mortal, bench.web, bench.folder)
        proxy = other.proxy("stopped")
        with other.start(other.file(other.experiment(proxy, expect="invalid")), output="table") as process:
            wait_for_fault(proxy)
            mortal.stop()
            _, said = process.communicate(timeout=LIMIT_S)
    lines = [line.strip() for line in said.splitlines()]
    assert "fault on" in lines and "fault off" not in lines, said
    assert "the server does not answer" in said and "could not be taken off" in said, said


def test_the_same_seed_gives_the_same_requests_and_verdict(bench):
    proxy = bench.proxy("seeded")
    sent = load(
        f"http://127.0.0.1:{proxy.port}",
        arrivals="poisson",
        headers={"x-number": "{{seq}}"},
        endpoints=[{"name": "one", "path": "/one/{{int 1 1000}}"}, {"name": "two", "path": "/two/{{hex 8}}"}],
    )

    def once(seed):
        del bench.web.asked[:]
        (record,) = bench.run(bench.experiment(proxy, load=sent), "--seed", seed, "--windows", "0,2,1,1")
        wait_until(lambda: len(bench.web.asked) >= record["load"]["total"]["offered"], LIMIT_S)
        return record["verdict"], sorted((int(number), path) for path, number in bench.web.asked)

    first, again, other = once(7), once(7), once(8)
    assert first == again and first[0] == "held"
    assert first[1] != other[1] and len(first[1]) > 100
    assert not on(proxy)
