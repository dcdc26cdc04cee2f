"""What takes a fault back: a real Prometheus, what the proxies see, silence, the server's own limits."""

import json
import re
import subprocess
import urllib.request
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from asking import LIMIT_S, body, ended, status
from support.server import Refused, Server
from support.upstream import wait_until


def serve(tmp_path, **injections):
    config = tmp_path / "sabot.json"
    config.write_text(json.dumps({"proxies": [], "injections": injections}))
    return Server("--config", str(config), "--state-dir", str(tmp_path / "state"))


def states(server, id):
    """Which actions the audit tells of an injection, in order."""
    return [event["action"] for event in server.get(f"/v1/audit?subject={id}")["events"]]


def test_requests_that_fail_take_the_fault_back(server, service):
    proxy = server.proxy(service, "payments", protocol="http")
    injection = server.post("/injections", body())
    assert (injection["state"], injection["targets"]) == ("running", ["payments"])
    over = ended(server, injection["id"], lambda: status(proxy))
    assert over["state"] == "aborted"
    assert over["breach"]["slo"] == "success" and over["breach"]["value"] < 0.9
    assert over["breach"]["source"] == "what payments saw"
    assert status(proxy) == 200
    assert server.get("/v1/audit/verify")["events"] > 0
    # What has happened is written down after it has.
    wait_until(lambda: "injection.ended" in states(server, injection["id"]), LIMIT_S)


def test_requests_that_are_slow_take_the_fault_back(server, service):
    proxy = server.proxy(service, "payments", protocol="http")
    slow = {"type": "http_delay", "delay": 150}
    injection = server.post("/injections", body(fault=slow, steady_state={"slo": "p99_ms", "max": 100, "abort_after": 1}))
    over = ended(server, injection["id"], lambda: status(proxy))
    assert over["state"] == "aborted" and over["breach"]["value"] > 100


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_bytes_that_are_slow_take_the_fault_back(server, service, stream):
    """Faults of the bytes lie beneath HTTP: the targets' own view sees what their clients do."""
    proxy = server.proxy(service, "payments", protocol="http")
    slow = {"type": "latency", "latency": 150, "stream": stream}
    injection = server.post("/injections", body(fault=slow, steady_state={"slo": "p99_ms", "max": 100, "abort_after": 1}))
    over = ended(server, injection["id"], lambda: status(proxy))
    assert over["state"] == "aborted" and over["breach"]["value"] > 100


def test_bytes_that_get_lost_take_the_fault_back(server, service):
    proxy = server.proxy(service, "payments", protocol="http")
    injection = server.post("/injections", body(fault={"type": "timeout", "timeout": 100}))
    over = ended(server, injection["id"], lambda: status(proxy))
    assert over["state"] == "aborted" and over["breach"]["value"] < 0.9


def test_silence_takes_the_fault_back(server, service):
    server.proxy(service, "payments", protocol="http")
    quiet = {"slo": "success", "min": 0.9, "abort_after": 100, "abort_without_data_after": 2}
    injection = server.post("/injections", body(steady_state=quiet))
    over = ended(server, injection["id"])
    assert over["state"] == "aborted" and "no data" in over["reason"] and over["breach"]["value"] is None


def test_the_servers_own_limits_end_what_hurts_others(tmp_path, service):
    with serve(tmp_path, limits={"error_rate": 0.05, "grace": "1s", "watch": "tier=edge"}) as server:
        inner = server.proxy(service, "payments", protocol="http")
        edge = server.proxy(inner.listen, "edge", protocol="http", labels={"tier": "edge"})
        careless = {"slo": "success", "min": 0, "abort_after": 240}
        injection = server.post("/injections", body(steady_state=careless))
        over = ended(server, injection["id"], lambda: status(edge))
        assert over["state"] == "aborted" and over["reason"].startswith("the server's limit of good requests"), over


@contextmanager
def prometheus(tmp_path, server):
    """The URL of a real one, which asks for the server's metrics every second."""
    config = tmp_path / "prometheus.yml"
    scrape = {"job_name": "sabot", "scrape_interval": "1s", "static_configs": [{"targets": [server.address]}]}
    config.write_text(json.dumps({"scrape_configs": [scrape]}))
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb"]
    with (tmp_path / "prometheus.log").open("w") as log:
        running = subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], stdout=log, stderr=log)
    try:
        ports = []
        wait_until(lambda: ports.extend(listening(running.pid)) or ports, LIMIT_S)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        running.terminate()
        running.wait(timeout=LIMIT_S)


def listening(pid):
    """The ports on which a process listens."""
    lines = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [re.split(r"\s+", line)[3].rsplit(":", 1)[1] for line in lines if f"pid={pid}," in line]


def test_a_real_prometheus_takes_the_fault_back(tmp_path, service):
    with serve(tmp_path) as server, prometheus(tmp_path, server) as url:
        all_of_it = 'sum(rate(sabot_http_requests_total{proxy="payments"}[5s]))'
        good = 'sum(rate(sabot_http_requests_total{proxy="payments",status="2xx"}[5s]))'
        # What is not there is nothing rather than no answer.
        query = f"({good} or vector(0)) / {all_of_it}"
        config = tmp_path / "sabot.json"
        slos = {"merchant-write-success": {"prometheus": {"url": url, "query": query}}}
        config.write_text(json.dumps({"proxies": [], "injections": {"slos": slos}}))
        server.process.send_signal(1)
        proxy = server.proxy(service, "payments", protocol="http")
        wait_until(lambda: any("config reloaded" in line for line in server.log), LIMIT_S)
        wait_until(lambda: status(proxy) == 200 and sample(url, query) == 1, LIMIT_S)
        steady = {"slo": "merchant-write-success", "min": 0.995, "abort_after": 1, "abort_without_data_after": 30}
        injection = server.post("/injections", body(steady_state=steady))
        over = ended(server, injection["id"], lambda: status(proxy))
        assert over["state"] == "aborted" and over["breach"]["source"] == f"Prometheus at {url}"
        assert over["breach"]["value"] < 0.995


def sample(url, query):
    """What a query gives now; none if nothing, also while Prometheus is only coming up."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/query?query={quote(query)}", timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
    except OSError:
        return None
    return float(result[0]["value"][1]) if result else None


def test_a_steady_state_without_a_bound_is_refused(server, service):
    server.proxy(service, "payments", protocol="http")
    with pytest.raises(Refused) as refused:
        server.post("/injections", body(steady_state={"slo": "success", "abort_after": 1}))
    assert refused.value.status == 400 and refused.value.body["field"] == "steady_state.min"
