"""The same experiments through PyPI's `chaostoolkit-lib` and through `sabot run`, journals compared."""

import pytest

from support.chaostoolkit import JSON, both, experiment, http, process, python

ACTIONS, PROBES, TOXICS = "chaostoxi.proxy.actions", "chaostoxi.proxy.probes", "chaostoxi.toxic.actions"


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
