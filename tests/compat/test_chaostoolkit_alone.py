"""Experiments of the Chaos Toolkit through `sabot run` alone: what the command adds to them, and what it refuses."""

import json
import os
import signal
import subprocess
import threading
from urllib.parse import parse_qsl, urlsplit

import pytest

from support.chaostoolkit import LIMIT, experiment, http, process, python, save
from support.server import BINARY


def test_toxiproxy_is_the_server_of_the_command_unless_told(sabot, server, service):
    server.proxy(service.url.removeprefix("http://"), "svc")
    journal = sabot(experiment([python("exists", "chaostoxi.proxy.probes", "proxy_exist", {"proxy_name": "svc"}, "probe", True)]), code=0)
    assert journal["status"] == "completed"


def test_prometheus(sabot, service):
    def ask(func, **arguments):
        return python(func, "chaosprometheus.probes", func, {"query": 'up{job="a"}', **arguments}, "probe")

    times = {"start": "2024-05-01T12:00:00Z", "end": "2024-05-01T14:00:00+01:00", "step": 5}
    method = [ask("query"), ask("query", when="2 minutes ago"), ask("query_interval", **times)]
    broken = http("break", f"{service.url}/break", "action")
    made = experiment([], [*method, broken, ask("query")], configuration={"prometheus_base_url": service.url})
    journal = sabot(made, code=0)
    assert [one["status"] for one in journal["run"]] == ["succeeded"] * 4 + ["failed"]
    assert journal["run"][0]["output"]["well"] is True
    asked = [urlsplit(path) for _, path, _, _ in service.asked]
    parameters = [dict(parse_qsl(url.query)) for url in asked]
    assert asked[0].path == "/api/v1/query" and parameters[0] == {"query": 'up{job="a"}'}
    assert parameters[1]["time"].endswith("Z")
    assert asked[2].path == "/api/v1/query_range"
    range = {"start": "2024-05-01T12:00:00Z", "end": "2024-05-01T13:00:00Z", "step": "5"}
    assert parameters[2] == {"query": 'up{job="a"}', **range}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_plays_the_rollbacks(tmp_path, server, service, how):
    made = experiment(
        [],
        [process("endless", "sh", ["-c", f"curl -s --noproxy '*' {service.url}/began; exec sleep 1000"], "action")],
        [http("mend", f"{service.url}/mend", "action")],
    )
    began = threading.Event()
    service.asked = Telling(began)
    journal = tmp_path / "journal.json"
    command = [BINARY, "run", str(save(tmp_path, made)), "--host", server.url, "--journal", str(journal)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert began.wait(LIMIT)
        running.send_signal(how)
        told = running.communicate(timeout=LIMIT)[1]
    assert running.returncode == 1 and "interrupted" in told
    assert service.asked[-1][1] == "/mend"
    written = json.loads(journal.read_text())
    assert (written["status"], written["run"][0]["status"]) == ("interrupted", "aborted")


def test_a_killed_experiment_leaves_toxics_that_end_by_themselves(tmp_path, server, service):
    server.proxy(service.url.removeprefix("http://"), "svc")
    slow = {"for_proxy": "svc", "toxic_name": "slow", "latency": 100}
    made = experiment(
        [],
        [
            python("slow", "chaostoxi.toxic.actions", "create_latency_toxic", slow),
            process("endless", "sh", ["-c", f"curl -s --noproxy '*' {service.url}/began; exec sleep 30"], "action"),
        ],
    )
    began = threading.Event()
    service.asked = Telling(began)
    command = [BINARY, "run", str(save(tmp_path, made)), "--host", server.url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert began.wait(LIMIT)
        running.kill()
    [left] = server.get("/v1/proxies/svc/toxics")["toxics"]
    assert left["name"] == "slow" and 0 < left["expires_in_ms"] <= 60_000


def test_a_toxic_that_no_rollback_takes_away_is_told(tmp_path, server, service):
    server.proxy(service.url.removeprefix("http://"), "svc")
    slow = {"for_proxy": "svc", "toxic_name": "slow", "latency": 100}
    made = experiment([], [python("slow", "chaostoxi.toxic.actions", "create_latency_toxic", slow)])
    command = [BINARY, "run", str(save(tmp_path, made)), "--host", server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0
    assert "warning: the toxic slow stays on svc for 60 s more: no rollback took it away" in done.stderr


def test_a_toxic_of_somebody_else_is_none_of_the_experiments(tmp_path, server, service):
    server.proxy(service.url.removeprefix("http://"), "svc")
    server.post("/v1/proxies/svc/toxics", {"type": "latency", "name": "slow", "attributes": {"latency": 5}})
    slow = {"for_proxy": "svc", "toxic_name": "slow", "latency": 100}
    made = experiment([], [python("slow", "chaostoxi.toxic.actions", "create_latency_toxic", slow)])
    command = [BINARY, "run", str(save(tmp_path, made)), "--host", server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert "409" in done.stderr and "stays on" not in done.stderr, done.stderr
    [theirs] = server.get("/v1/proxies/svc/toxics")["toxics"]
    assert theirs["attributes"]["latency"] == 5 and theirs.get("expires_in_ms") is None, theirs


class Telling(list):
    """Says when something is in it."""

    def __init__(self, event):
        super().__init__()
        self.event = event

    def append(self, item):
        super().append(item)
        self.event.set()


def test_python_is_refused_by_name_before_anything_is_run(tmp_path, server, service):
    file = tmp_path / "experiment.yaml"
    file.write_text(
        "title: t\ndescription: d\nmethod:\n"
        f"- {{type: action, name: a, provider: {{type: http, url: '{service.url}/break'}}}}\n"
        "- type: action\n  name: b\n  provider:\n    type: python\n"
        "    module: chaosk8s.pod.actions\n    func: terminate_pods\n"
    )
    done = subprocess.run(
        [BINARY, "run", str(file), "--host", server.url], capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 1 and service.asked == []
    assert f"{file}:9:13: method[1].provider.module: `chaosk8s.pod.actions.terminate_pods`" in done.stderr
    assert "kubectl" in done.stderr


def test_options_that_do_not_go_together_are_refused(tmp_path, server):
    file = save(tmp_path, experiment())
    for option, value in (("--variant", "a"), ("--seed", "1"), ("--windows", "1,1,1,1")):
        command = [BINARY, "run", str(file), option, value, "--host", server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=os.environ)
        assert done.returncode == 2 and option in done.stderr
