"""Experiments of the Chaos Toolkit: a service to break, experiments to write, and two ways to carry them out."""

import difflib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.server import BINARY

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


def save(folder, experiment):
    file = folder / "experiment.json"
    file.write_text(json.dumps(experiment))
    return file


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


def run_real(folder, experiment, **options):
    """Carries it out by the library that `chaos run` is made of; answers the journal."""
    file, journal = save(folder, experiment), folder / "real.json"
    options = {name.replace("_", "-"): value for name, value in options.items()}
    command = [sys.executable, "-c", REAL, str(file), json.dumps(options), str(journal)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(journal.read_text())


def run_sabot(folder, url, experiment, code=None, **options):
    """Carries it out by `sabot run`, with the server at `url`; answers the journal."""
    file, journal = save(folder, experiment), folder / "sabot.json"
    journal.unlink(missing_ok=True)
    command = [BINARY, "run", str(file), "--host", url, "--journal", str(journal)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=folder)
    assert journal.exists(), done.stderr
    if code is not None:
        assert done.returncode == code, done.stderr
    return json.loads(journal.read_text())


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
