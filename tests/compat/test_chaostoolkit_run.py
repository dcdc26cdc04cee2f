"""The same experiments through PyPI's `chaostoolkit-lib` and through `sabot run`, journals compared."""

import difflib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from support.server import BINARY

REAL = """
import json, sys
from chaoslib.experiment import ensure_experiment_is_valid, load_experiment, run_experiment
from chaoslib.types import Dry, Schedule, Strategy
options = json.loads(sys.argv[2])
experiment = load_experiment(sys.argv[1])
ensure_experiment_is_valid(experiment)
experiment["dry"] = Dry.from_string(options.get("dry", ""))
journal = run_experiment(
    experiment,
    settings={"runtime": {"rollbacks": {"strategy": options.get("rollback-strategy", "default")}}},
    strategy=Strategy.from_string(options.get("hypothesis-strategy", "default")),
    schedule=Schedule(
        continuous_hypothesis_frequency=options.get("hypothesis-frequency", 1.0),
        fail_fast="fail-fast" in options,
    ),
)
json.dump(journal, open(sys.argv[3], "w"), default=str)
"""

JSON = "application/json"

# Long enough for a machine that has other things to do.
LIMIT = 120


class Service(ThreadingHTTPServer):
    """A service that is well until it is told not to be, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.well = True
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        kind = self.headers.get("Content-Type")
        # Blanks in it differ.
        self.server.asked.append((self.command, self.path, kind, json.loads(body) if kind == JSON else body))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/health")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if self.path in ("/break", "/mend"):
            self.server.well = self.path == "/mend"
        answer = {"well": self.server.well, "parts": [{"name": "a", "load": 0.5}, {"name": "b", "load": 2}]}
        raw = json.dumps(answer).encode()
        self.send_response(200 if self.server.well else 503)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = _serve

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    with Service() as running:
        yield running
        running.shutdown()


@pytest.fixture
def real(tmp_path):
    def run(experiment, **options):
        file, journal = save(tmp_path, experiment), tmp_path / "real.json"
        options = {name.replace("_", "-"): value for name, value in options.items()}
        command = [sys.executable, "-c", REAL, str(file), json.dumps(options), str(journal)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(journal.read_text())

    return run


@pytest.fixture
def sabot(tmp_path, server):
    def run(experiment, code=None, **options):
        file, journal = save(tmp_path, experiment), tmp_path / "sabot.json"
        journal.unlink(missing_ok=True)
        command = [BINARY, "run", str(file), "--host", server.url, "--journal", str(journal)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=tmp_path)
        assert journal.exists(), done.stderr
        if code is not None:
            assert done.returncode == code, done.stderr
        return json.loads(journal.read_text())

    return run


def save(folder, experiment):
    file = folder / "experiment.json"
    file.write_text(json.dumps(experiment))
    return file


def http(name, url, kind="probe", tolerance=None, **provider):
    return activity(name, kind, tolerance, {"type": "http", "url": url, "timeout": 60, **provider})


def process(name, path, arguments=None, kind="probe", tolerance=None, **more):
    provider = {"type": "process", "path": path}
    return activity(name, kind, tolerance, provider | ({"arguments": arguments} if arguments else {})) | more


def python(name, module, func, arguments=None, kind="action", tolerance=None):
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments or {}}
    return activity(name, kind, tolerance, provider)


def activity(name, kind, tolerance, provider):
    made = {"type": kind, "name": name, "provider": provider}
    return made | ({} if tolerance is None else {"tolerance": tolerance})


def experiment(probes=(), method=(), rollbacks=(), **more):
    made = {"version": "1.0.0", "title": "A title", "description": "A description", **more}
    if probes:
        made["steady-state-hypothesis"] = {"title": "All is well", "probes": list(probes)}
    return made | {"method": list(method), "rollbacks": list(rollbacks)}


def outcome(journal):
    """What both journals must have alike: how it ended, and each activity with its keys in their order."""
    states = journal["steady_states"]
    return {
        "keys": list(journal),
        "status": journal["status"],
        "deviated": journal["deviated"],
        "experiment": journal["experiment"],
        "states": {name: state(states[name]) for name in ("before", "after")},
        "during": [state(one) for one in states["during"]][:1],
        "run": [entry(one) for one in journal["run"]],
        "rollbacks": [entry(one) for one in journal["rollbacks"]],
    }


def without_traces(told):
    """Leaves out what `chaos run` writes into the activities themselves while it carries them out."""
    if isinstance(told, list):
        return [without_traces(one) for one in told]
    if isinstance(told, dict):
        traces = ("secrets", "value") if {"path", "-n"} & told.keys() else ()
        return {name: without_traces(one) for name, one in told.items() if name not in traces}
    return told


def state(state):
    return state and {**state, "probes": [entry(probe) for probe in state["probes"]]}


def entry(entry):
    told = {name: entry.get(name) for name in ("activity", "status", "tolerance_met")}
    output = entry["output"]
    if isinstance(output, dict) and "headers" in output:
        # Dates differ.
        output = {**output, "headers": sorted(name.lower() for name in output["headers"])}
    return told | {"keys": list(entry), "output": output}


def both(real, sabot, service, made, well=True, **options):
    """Runs it through both, on a service that is as well as asked for; answers Sabot's journal."""
    asked, journals = [], []
    for run in (real, sabot):
        service.well, service.asked = well, []
        journals.append(run(made, **options))
        asked.append(service.asked)
    theirs, ours = (without_traces(outcome(journal)) for journal in journals)
    # The one looks at its own `dry`, the other is told.
    for told in (theirs, ours):
        told["experiment"].pop("dry", None)
    texts = [json.dumps(told, indent=1).splitlines() for told in (theirs, ours)]
    assert ours == theirs, "\n".join(difflib.unified_diff(*texts, "chaoslib", "sabot", lineterm=""))
    if not theirs["during"]:
        assert asked[0] == asked[1]
    return journals[1]


def test_a_system_that_stays_well(real, sabot, service):
    health = f"{service.url}/health"
    path = {"type": "jsonpath", "target": "body"}
    probes = [
        http("status", health, tolerance=200),
        http("statuses", health, tolerance=[200, 204]),
        http("expected", health, tolerance=path | {"path": "$.parts[*].name", "expect": ["a", "b"]}),
        http("filtered", health, tolerance=path | {"path": "$.parts[*][?(@.load > 1)].name", "count": 1}),
        process("printed", "echo", ["12 ms"], tolerance={"type": "regex", "pattern": "^[0-9]+ ms$", "target": "stdout"}),
        process("number", "echo", "1.50", tolerance={"type": "range", "range": [1, 2], "target": "stdout"}),
        process("code", "sh", ["-c", "exit 3"], tolerance=3),
    ]
    method = [
        http("query", f"{health}?q=1", arguments={"a": "x y", "b": True}),
        http("form", f"{service.url}/form", "action", method="POST", arguments={"a": "x y", "b": ["1", "2"]}),
        http("json", f"{service.url}/json", "action", method="PUT", arguments={"a": [1, None]},
             headers={"Content-Type": JSON}),
        http("redirected", f"{service.url}/moved", "action", method="POST", arguments={"a": 1}),
        process("names and values", "echo", {"--a": 1, "-b": "c"}, "action"),
        process("fails", "sh", ["-c", "echo oops >&2; exit 7"], "action"),
        {"ref": "query"},
    ]
    journal = both(real, sabot, service, experiment(probes, method, [process("back", "echo", ["done"], "action")]))
    assert (journal["status"], journal["deviated"]) == ("completed", False)


def test_a_system_that_does_not_stay_well(real, sabot, service):
    made = experiment(
        [http("well", f"{service.url}/health", tolerance=200)],
        [http("break", f"{service.url}/break", "action", method="POST")],
        [http("mend", f"{service.url}/mend", "action", method="POST")],
    )
    journal = both(real, sabot, service, made)
    assert (journal["status"], journal["deviated"], service.well) == ("completed", True, True)
    sabot(made, code=1)


def test_a_system_that_is_not_well_before(real, sabot, service):
    made = experiment(
        [http("well", f"{service.url}/health", tolerance=200)],
        [http("break", f"{service.url}/break", "action")],
        [http("mend", f"{service.url}/mend", "action")],
    )
    journal = both(real, sabot, service, made, well=False)
    assert (journal["run"], journal["steady_states"]["before"]["steady_state_met"]) == ([], False)


def test_a_probe_that_cannot_be_carried_out(real, sabot, service):
    made = experiment(
        [http("nobody", "http://127.0.0.1:1/", tolerance=200)],
        [http("break", f"{service.url}/break", "action")],
        [http("mend", f"{service.url}/mend", "action")],
    )
    journal = both(real, sabot, service, made)
    assert (journal["status"], journal["rollbacks"]) == ("failed", [])
    sabot(made, code=1)


def test_an_action_that_fails_is_no_end(real, sabot, service):
    made = experiment(
        [http("well", f"{service.url}/health", tolerance=200)],
        [
            http("nobody", "http://127.0.0.1:1/", "action"),
            process("endless", "sleep", ["1000"], "action") | {"provider": {"type": "process", "path": "sleep", "arguments": ["1000"], "timeout": 0.2}},
            http("next", f"{service.url}/next", "action"),
        ],
    )
    journal = both(real, sabot, service, made)
    assert [one["status"] for one in journal["run"]] == ["failed", "failed", "succeeded"]
    sabot(made, code=0)


def test_values(real, sabot, service, monkeypatch):
    monkeypatch.setenv("SERVICE_PATH", "health")
    configuration = {
        "base": service.url,
        "path": {"type": "env", "key": "SERVICE_PATH"},
        "count": {"type": "env", "key": "NOT_SET", "default": "2", "env_var_type": "int"},
        "ok": 200,
        "found": {
            "type": "probe",
            "name": "found",
            "provider": {"type": "process", "path": "echo", "arguments": ["${path}"]},
        },
    }
    made = experiment(
        [
            http("well", "${base}/${path}", tolerance="${ok}", headers={"X-Token": "${token}"}),
            process("counted", "echo", ["$count", "${nobody}", "$$", "and a few more words, lest the encoding be guessed wrongly"], tolerance={"type": "regex", "pattern": "^${count}", "target": "stdout"}),
        ],
        [
            process("shell", "echo", "'${found}' && echo ${token}", "action", pauses={"before": "${short}", "after": 0}),
            process("background", "echo", ["1"], "action", background=True),
        ],
        title="About ${path}",
        configuration=configuration | {"short": 0.01},
        secrets={"service": {"token": {"type": "env", "key": "SERVICE_PATH"}}},
    )
    journal = both(real, sabot, service, made)
    assert journal["experiment"]["title"] == "About health"
    assert journal["run"][0]["output"]["stdout"] == "health\nhealth\n"


def test_tolerances_that_are_probes(real, sabot, service):
    judge = {"type": "probe", "name": "judge", "provider": {"type": "process", "path": "test", "arguments": {"-n": "x"}}}
    made = experiment([process("a", "echo", ["1"], tolerance=judge)])
    assert both(real, sabot, service, made)["status"] == "completed"


@pytest.mark.parametrize("strategy", ["before-method-only", "after-method-only", "skip", "continuously", "during-method-only"])
def test_hypothesis_strategies(real, sabot, service, strategy):
    made = experiment(
        [http("well", f"{service.url}/health", tolerance=200)],
        [process("long", "sleep", ["1"], "action", background=True)],
    )
    both(real, sabot, service, made, hypothesis_strategy=strategy, hypothesis_frequency=0.2)


def test_a_hypothesis_that_fails_fast(real, sabot, service):
    long = process("long", "true", None, "action", pauses={"after": 0.3})
    method = [http("break", f"{service.url}/break", "action"), *[long] * 300]
    made = experiment([http("well", f"{service.url}/health", tolerance=200)], method)
    options = {"hypothesis_strategy": "during-method-only", "hypothesis_frequency": 0.05, "fail_fast": True}
    for run in (real, sabot):
        service.well = True
        journal = run(made, **options)
        assert (journal["status"], journal["deviated"]) == ("failed", False)
        assert len(journal["run"]) < len(method)
        assert journal["steady_states"]["during"][-1]["steady_state_met"] is False


@pytest.mark.parametrize("strategy", ["default", "always", "never", "deviated"])
@pytest.mark.parametrize("path", ["break", "next"])
def test_rollback_strategies(real, sabot, service, strategy, path):
    made = experiment(
        [http("well", f"{service.url}/health", tolerance=200)],
        [http("act", f"{service.url}/{path}", "action")],
        [http("mend", f"{service.url}/mend", "action")],
    )
    both(real, sabot, service, made, rollback_strategy=strategy)


@pytest.mark.parametrize("dry", ["probes", "actions", "activities", "pause"])
def test_dry(real, sabot, service, dry):
    made = experiment(
        [http("well", f"{service.url}/health", tolerance=200)],
        [http("break", f"{service.url}/break", "action"), process("p", "echo", ["1"], pauses={"before": 0.1})],
        [http("mend", f"{service.url}/mend", "action")],
    )
    both(real, sabot, service, made, dry=dry)


ACTIONS, PROBES, TOXICS = "chaostoxi.proxy.actions", "chaostoxi.proxy.probes", "chaostoxi.toxic.actions"


def test_toxiproxy(real, sabot, service, server):
    def toxic(func, **arguments):
        return python(func, TOXICS, func, {"for_proxy": "svc", "toxic_name": func, **arguments})

    upstream = {"upstream_host": "127.0.0.1", "upstream_port": service.server_port}
    made = experiment(
        [python("exists", PROBES, "proxy_exist", {"proxy_name": "svc"}, "probe", False)],
        [
            python("create", ACTIONS, "create_proxy", {"proxy_name": "svc", "listen_host": "127.0.0.1", **upstream}),
            python("again", ACTIONS, "create_proxy", {"proxy_name": "svc", "listen_host": "127.0.0.1", **upstream}),
            process("through it", "sh", ["-c", 'curl -s --noproxy "*" http://127.0.0.1:$$svc_PORT/health']),
            toxic("create_latency_toxic", latency=10, jitter=1),
            toxic("create_bandwith_degradation_toxic", rate=1000),
            toxic("create_slow_connection_close_toxic", delay=1),
            toxic("create_timeout_toxic", timeout=60000),
            toxic("create_slicer_toxic", average_size=10, size_variation=1, delay=1),
            toxic("create_limiter_toxic", bytes_limit=100),
            toxic("create_toxic", toxic_type="latency", stream="upstream", toxicity=0.5, attributes={"latency": 5}),
            toxic("create_toxic", toxic_type="no such kind"),
            http("toxics", f"{server.url}/proxies/svc/toxics"),
            toxic("delete_toxic"),
            python("delete", TOXICS, "delete_toxic", {"for_proxy": "svc", "toxic_name": "create_toxic"}),
            python("disable", ACTIONS, "disable_proxy", {"proxy_name": "svc"}),
            python("disabled", PROBES, "get_proxy_attribute", {"proxy_name": "svc", "attribute": "enabled"}, "probe"),
            python("enable", ACTIONS, "enable_proxy", {"proxy_name": "svc"}),
            python("modify", ACTIONS, "modify_proxy", {"proxy_name": "svc", "upstream_address": "127.0.0.1:1"}),
            python("modified", PROBES, "get_proxy_attribute", {"proxy_name": "svc", "attribute": "upstream"}, "probe"),
            python("nobody", ACTIONS, "modify_proxy", {"proxy_name": "nobody", "enabled": True}),
            python("nothing", PROBES, "get_proxy_attribute", {"proxy_name": "nobody", "attribute": "name"}, "probe"),
            python("reset", ACTIONS, "reset"),
        ],
        [
            python("gone", ACTIONS, "delete_proxy", {"proxy_name": "svc"}),
            python("gone already", ACTIONS, "delete_proxy", {"proxy_name": "svc"}),
        ],
        configuration={"toxiproxy_host": server.host, "toxiproxy_port": server.port},
    )
    journal = both(real, sabot, service, made)
    failed = [one["activity"]["name"] for one in journal["run"] if one["status"] == "failed"]
    assert failed == ["again", "create_toxic", "nobody"]
    assert server.get("/proxies") == {}


def test_toxiproxy_is_the_server_of_the_command_unless_told(sabot, server, service):
    server.proxy(service.url.removeprefix("http://"), "svc")
    journal = sabot(experiment([python("exists", PROBES, "proxy_exist", {"proxy_name": "svc"}, "probe", True)]), code=0)
    assert journal["status"] == "completed"


def test_rollbacks_are_played_when_a_probe_fails_after_the_method(real, sabot, service, server, upstream):
    """Where Sabot departs from `chaos run`: what the method broke is mended all the same."""
    proxy = server.proxy(service.url.removeprefix("http://"), "svc")
    made = experiment(
        [http("well", f"http://{proxy.listen}/health", tolerance=200)],
        [python("disable", ACTIONS, "disable_proxy", {"proxy_name": "svc"})],
        [python("enable", ACTIONS, "enable_proxy", {"proxy_name": "svc"})],
        configuration={"toxiproxy_url": server.url},
    )
    for run, played in ((real, False), (sabot, True)):
        server.post("/proxies/svc", {"enabled": True})
        journal = run(made)
        assert (journal["status"], journal["deviated"]) == ("failed", True)
        assert (len(journal["rollbacks"]) == 1, proxy.view()["enabled"]) == (played, played)


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


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
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
            python("slow", TOXICS, "create_latency_toxic", slow),
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
    made = experiment([], [python("slow", TOXICS, "create_latency_toxic", slow)])
    command = [BINARY, "run", str(save(tmp_path, made)), "--host", server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0
    assert "warning: the toxic slow stays on svc for 60 s more: no rollback took it away" in done.stderr


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
        assert done.returncode == 1 and option in done.stderr
