"""`sabot run`: what files may hold, and what is refused before anything is sent or broken."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest
import yaml

from support.experiment import load

TEXT = """\
title: Typos
hypothesis: They are told with their place.
load: {target: "http://127.0.0.1:1", rate: 40/s}
slos:
  - error_rate < 1%
faults:
  - proxy: p
    type: latency
    attributes: {latency: 50ms}
windows: {baseline: 2s, fault: 3s, recovery: 12s}
"""


@pytest.mark.parametrize(
    "good, bad, told",
    [
        ("title: Typos", "titel: Typos", ":1:1: titel: unknown field, did you mean `title`?"),
        ("rate: 40/s", "rate: fast", ":3:44: load.rate: `fast` is no rate"),
        ("error_rate < 1%", "error_rat < 1%", ":5:5: slos[0]: `error_rat < 1%` is no objective: `error_rat` is none of"),
        ("error_rate < 1%", "p99 < 250", ":5:5: slos[0]: `p99 < 250` is no objective: `250` must be a time with its unit"),
        ("proxy: p", "prox: p", ":7:5: faults[0].prox: unknown field, did you mean `proxy`?"),
        ("baseline: 2s", "baseline: 2 parsecs", ":10:21: windows.baseline"),
        ("error_rate < 1%", "error_rate < 0%", ":5:5: slos[0]: `error_rate < 0%` is no objective: nothing is below 0; write <= 0"),
        ("error_rate < 1%", "error_rate < 1% over 5s", ":5:5: slos[0]: asks for windows of 5 s, longer than the fault of 3 s"),
        ("rate: 40/s", "rate: {spike: {base: 1/s, peak: 2/s, at: 1m, for: 1s}}", "load.rate.spike.at: lies at the end of the load, which lasts 22 s, or after it"),
        ("rate: 40/s", "rate: 40/s, tenants: {count: 70000}", "load.tenants.count: must lie between 1 and 10000"),
        ("title: Typos", "title: Typos\ntitle: Again", "duplicate"),
        ("title: Typos", "title: Typos\nstop: error_rate > 5%", ":2:7: stop: must be a list"),
        ("{baseline: 2s, fault: 3s, recovery: 12s}", "5", ":10:10: windows: must be an object, not 5"),
        ("title: Typos", "title: Typos\nprepare: [{http: {url: 'http://a'}, command: {argv: [a]}}]", ":2:11: prepare[0]: must hold one field"),
        ('{target: "http://127.0.0.1:1", rate: 40/s}', "nowhere.yaml", ":3:7: load: "),
        ("127.0.0.1:1", "${NOWHERE_SET}", ":3:16: `NOWHERE_SET` is not set: set it in the environment or by `--set NOWHERE_SET=…`"),
        ("  - error_rate < 1%", "  - [error_rate", "experiment.yaml:"),
    ],
)
def test_what_is_wrong_in_a_file_has_its_place(bench, good, bad, told):
    assert good in TEXT
    said = bench.refused(TEXT.replace(good, bad, 1))
    assert told in said and "experiment.yaml" in said and "DuplicateKeyPolicy" not in said, said


def test_files_are_as_their_schema_says(bench, root):
    schema = lambda name: json.loads((root / f"docs/reference/{name}.schema.json").read_text())
    experiment = yaml.safe_load(TEXT)
    jsonschema.validate(experiment, schema("experiment"))
    jsonschema.validate(bench.experiment(bench.proxy("valid")), schema("experiment"))
    for wrong in [{"titel": "x"}, {"load": {}}, {"slos": [7]}, {"expect": "hold"}, {"windows": {"fault": "soon"}}]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(experiment | wrong, schema("experiment"))
    variables = {"windows": {"fault": "${LONG:-3s}"}, "stable": "${STABLE}", "load": experiment["load"] | {"rate": "${RATE}/s"}}
    jsonschema.validate(experiment | variables, schema("experiment"))
    with pytest.raises(jsonschema.ValidationError, match="'load' is a required property"):
        jsonschema.validate({"title": "x", "hypothesis": "y", "slos": []}, schema("experiment"))
    for file in sorted((root / "compose").glob("experiments/**/*.yaml")):
        content = yaml.safe_load(file.read_text())
        # What the runs came to is read with places by `sabot run --results`; it has no schema.
        if "results" in content:
            continue
        kind = "schedule" if "runs" in content else "experiment" if "slos" in content else "load"
        jsonschema.validate(content, schema(kind))


def test_what_the_server_would_refuse_is_refused_before_the_load(bench):
    proxy = bench.proxy("refusing")
    disabled = bench.proxy("disabled")
    bench.server.patch(disabled.path, {"enabled": False})
    for fault, told in [
        ({"proxy": "refusin"}, "faults[0].proxy: there is no proxy `refusin`, did you mean `refusing`?"),
        ({"type": "latncy"}, "faults[0].type: "),
        ({"type": "latncy"}, "did you mean `latency`?"),
        ({"attributes": {"latncy": "50ms"}}, "attributes.latncy: unknown attribute of latency"),
        ({"attributes": {"latency": "soon"}}, "latency"),
        ({"when": {"perod": "1s"}}, "perod"),
        ({"proxy": "disabled"}, "the proxy disabled is disabled"),
    ]:
        experiment = bench.experiment(proxy)
        experiment["faults"] = [experiment["faults"][0] | fault]
        said = bench.refused(experiment)
        assert told in said and "experiment.yaml:1:" in said and "faults[0]" in said, said
    assert proxy.view()["toxics"] == []


def test_without_a_server_nothing_is_sent(bench):
    proxy = bench.proxy("unreachable")
    said = bench.refused(bench.experiment(proxy), SABOT_URL="http://127.0.0.1:1")
    assert "faults[0]" in said and "127.0.0.1:1" in said, said


def test_a_preparation_that_fails_breaks_nothing_and_is_cleaned_up(bench):
    proxy = bench.proxy("unprepared")
    cleaned = bench.folder / "tidy"
    experiment = bench.experiment(
        proxy,
        prepare=[{"command": {"argv": ["true"]}}, {"http": {"url": f"{bench.web.url}/broken/switch"}}],
        cleanup=[{"command": {"argv": ["touch", str(cleaned)]}}],
    )
    with bench.start(bench.file(experiment)) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and "prepare[1]: failed to GET" in said and "it answered 500" in said, said
    assert cleaned.exists() and proxy.view()["toxics"] == []
    variants = {"odd": {"prepare": [{"command": {"argv": ["false"]}}]}}
    said = bench.refused(bench.experiment(proxy, variants=variants), "--variant", "odd")
    assert "experiment.yaml:1:" in said and "variants.odd.prepare[0]: failed to run false: it ended with exit status: 1 and said nothing" in said, said


def test_values_come_from_the_command_a_file_the_environment_and_defaults(bench):
    proxy = bench.proxy("filled")
    text = json.dumps(bench.experiment(proxy))
    text = text.replace(f"127.0.0.1:{proxy.port}", "${HOST_SET}:${PORT_FILE}").replace("40/s", "${RATE_ENV}")
    text = text.replace("Nobody minds.", "${WORD:-Nobody} minds.")
    values = bench.file(f"# of a lab\nexport PORT_FILE='{proxy.port}'\nHOST_SET=not.this.one\n", "lab.env")
    arguments = ["--set", "HOST_SET=127.0.0.1", "--env-file", values, "--windows", "0,2,1,3"]
    (record,) = bench.run(text, *arguments, RATE_ENV="50/s")
    assert record["hypothesis"] == "Nobody minds."
    assert record["phases"] == {"baseline_s": 0, "fault_s": 2, "recovery_s": 3, "end_s": 6}
    assert record["load"]["total"]["offered"] == 300
    assert "--windows 0,2,1,3" in record["command"]


def test_a_schedule_runs_one_after_another_and_judges_each_by_its_own_word(bench):
    proxy = bench.proxy("scheduled")
    abort = [{"proxy": "scheduled", "type": "http_abort", "attributes": {"status": 503}}]
    first = bench.experiment(proxy, title="One")
    second = bench.experiment(proxy, title="Two", faults=abort, variants={"naive": {"expect": "degraded"}})
    bench.file(first, "one.yaml"), bench.file(second, "two.yaml")
    runs = [{"experiment": "one.yaml"}, {"experiment": "two.yaml", "variant": "naive"}]
    windows = {"warm_up": "0s", "baseline": "2s", "fault": "1s", "recovery": "2s"}
    schedule = {"title": "Both", "cool_down": "1s", "windows": windows, "runs": runs}
    one, two = bench.run(schedule, name="schedule.yaml")
    assert (one["title"], one["verdict"], two["title"], two["verdict"]) == ("One", "held", "Two", "degraded")
    assert two["variant"] == "naive" and two["expect"] == "degraded"
    assert one["phases"]["end_s"] == two["phases"]["end_s"] == 5 and one["started_at"] <= two["started_at"]

    runs[1] = {"experiment": "two.yaml", "expect": "held"}
    only = schedule | {"runs": runs[1:]}
    (strict,) = bench.run(only, name="schedule.yaml", code=1)
    (lenient,) = bench.run(only, "--fail-on", "failed", name="schedule.yaml")
    assert strict["verdict"] == lenient["verdict"] == "degraded" and lenient["expect"] == "held"


def test_a_mistake_in_the_last_experiment_is_known_before_the_first(bench):
    proxy = bench.proxy("last")
    bench.file(bench.experiment(proxy), "fine.yaml"), bench.file(TEXT.replace("title", "titel"), "wrong.yaml")
    runs = [{"experiment": "fine.yaml"}, {"experiment": "wrong.yaml"}]
    said = bench.refused({"title": "Both", "runs": runs}, name="schedule.yaml")
    assert "wrong.yaml:1:1: titel" in said, said
    said = bench.refused({"title": "None", "runs": [{"experiment": "absent.yaml"}]}, name="schedule.yaml")
    assert "schedule.yaml:1:" in said and "runs[0].experiment: " in said and "absent.yaml: failed to read it" in said, said
    runs = [{"experiment": "fine.yaml", "variant": "naiv"}]
    said = bench.refused({"title": "None", "runs": runs}, name="schedule.yaml")
    assert "schedule.yaml:1:" in said and "runs[0].variant: " in said and "unknown variant `naiv`" in said, said
    said = bench.refused(bench.experiment(proxy, variants={"naive": {}}), "--variant", "naiv")
    assert "unknown variant `naiv`, did you mean `naive`?" in said, said


def test_slis_of_ones_own_are_judged_too(bench):
    proxy = bench.proxy("watched")

    def lag():
        """What a Prometheus would say of a replica behind that proxy."""
        return "90" if any(toxic["toxicity"] for toxic in proxy.view()["toxics"]) else "0.5"

    with prometheus(lag) as (url, queries):
        experiment = bench.experiment(
            proxy,
            slis={
                "lag": {"prometheus": {"url": url, "query": "max(replica_lag)"}},
                "alive": {"http": {"url": f"{bench.web.url}/health"}},
                "took": {"http": {"url": f"{bench.web.url}/health", "value": "seconds"}},
                "size": {"command": {"argv": ["echo", "7"]}},
                "exit": {"command": {"argv": ["false"], "value": "success"}},
                "silent": {"command": {"argv": ["echo", "many"]}},
            },
            slos=["lag < 5 over 1s", "alive >= 1", "took < 20", "size <= 7", "exit < 1", "error_rate < 20% over 1s"],
            expect="degraded",
        )
        (record,) = bench.run(experiment)
    assert "`lag < 5 over 1s` was broken" in record["reasons"][0], record["reasons"]
    assert set(queries) == {"/api/v1/query?query=max%28replica%5Flag%29"}
    told = {name: {value for value in values if value is not None} for name, values in record["slis"].items()}
    assert told["lag"] == {0.5, 90} and told["alive"] == {1} and told["size"] == {7} and told["exit"] == {0}
    assert told["silent"] == set() and any("silent had no number" in text for text in record["warnings"]), record
    broken = {each["slo"] for each in record["objectives"] if each["met"] is False}
    assert broken == {"lag < 5 over 1s"}


class prometheus:
    """A server that answers each query with what `value` says; its URL, and what it was asked."""

    def __init__(self, value):
        queries = self.queries = []

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                queries.append(self.path)
                result = {"resultType": "vector", "result": [{"metric": {}, "value": [0, value()]}]}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"status": "success", "data": result}).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}", self.queries

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_without_a_fault_it_says_whether_the_system_is_in_slo(bench):
    windows = {"warm_up": "0s", "baseline": "2s", "fault": "0s", "recovery": "0s"}
    changes = {"faults": [], "windows": windows, "load": load(bench.web.url)}
    (record,) = bench.run(bench.experiment(bench.proxy("plain"), **changes), SABOT_URL="http://127.0.0.1:1")
    assert record["verdict"] == "held" and record["faults"] == [] and "server" not in record["versions"]
