"""`sabot baseline` and `sabot ramp`: what they measure, propose and refuse."""

import json
import os
import re
import signal
import subprocess

import pytest
import yaml

from support.experiment import LIMIT_S, load
from support.server import BINARY


def measure(command, *arguments, code=0):
    command = [BINARY, command, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert run.returncode == code, run.stderr + run.stdout
    return run


def test_a_baseline_proposes_objectives_ready_to_paste(bench):
    plan = bench.file(load(bench.web.url, rate="60/s", duration="1h", endpoints=[{"path": "/a"}, {"path": "/it's"}]), "plan.yaml")
    objectives = ["--slo", "GET /a p50 < 1us", "--slo", "error_rate < 90%"]
    run = measure("baseline", plan, "--for", "12s", "--warm-up", "1s", *objectives)
    proposed = yaml.safe_load(run.stdout)["slos"]
    names = {tuple(text.rsplit(" ", 3)[0:2]) for text in proposed}
    assert {("GET /a", "p50"), ("GET /it's", "error_rate")} <= names and proposed[-1].startswith("throughput > "), proposed
    assert "`GET /a p50 < 1us` is tighter than the system's own noise: 12 of 12 windows of 1 s" in run.stderr
    assert "`error_rate < 90%` says nothing" in run.stderr
    # What it prints is what an experiment takes.
    windows = {"warm_up": "0s", "baseline": "2s", "fault": "0s", "recovery": "0s"}
    generous = [text for text in proposed if "p99" not in text and "throughput" not in text]
    pasted = bench.experiment(bench.proxy("pasted"), faults=[], windows=windows, slos=generous)
    pasted["load"] = json.loads(plan.read_text()) | {"duration": None}
    (record,) = bench.run(pasted, "--fail-on", "never")
    assert {each["slo"] for each in record["objectives"]} == set(generous)


def test_a_baseline_of_an_experiment_leaves_its_faults_out(bench):
    proxy = bench.proxy("calm")
    done = [bench.folder / name for name in ["prepared", "variant", "calmed"]]
    touch = [[{"command": {"argv": ["touch", str(path)]}}] for path in done]
    experiment = bench.experiment(
        proxy, prepare=touch[0], cleanup=touch[2], variants={"other": {"prepare": touch[1]}}, slos=["error_rate < 20%"]
    )
    file = bench.file(experiment | {"load": load("${SHOP}")})
    values = ["--set", f"SHOP=http://127.0.0.1:{proxy.port}", "--variant", "other"]
    told = json.loads(measure("baseline", file, "--for", "12s", "--warm-up", "0s", *values, "-o", "json").stdout)
    assert told["measured_s"] == 12 and told["load"]["total"]["offered"] == 480
    assert [(check["slo"], check["broken_share"]) for check in told["checks"]] == [("error_rate < 20%", 0)]
    assert all(path.exists() for path in done) and proxy.view()["toxics"] == []


def test_a_baseline_of_nothing_is_none():
    run = measure("baseline", "http://127.0.0.1:1/x", "--rate", "50/s", "--for", "12s", "--warm-up", "0s", code=1)
    assert re.search(r"no request was answered as expected: \d+ × 127.0.0.1:1 refused it", run.stderr), run.stderr
    assert "slos:" not in run.stdout and "0.0 ms" not in run.stdout, run.stdout


def test_a_ramp_tells_its_own_connections_from_the_system(bench):
    proxy = bench.proxy("distant")
    proxy.add("latency", latency="200ms")
    # Four connections carry twenty such requests a second.
    plan = bench.file(load(f"http://127.0.0.1:{proxy.port}", connections=4), "distant.yaml")
    bounds = ["--from", "10/s", "--to", "40/s", "--step", "30/s", "--tolerance", "50%", "--for", "4s", "--skip", "0s", "--settle", "0s"]
    full = measure("ramp", plan, *bounds, "--slo", "p50 < 500ms")
    assert "all 4 connections of the load were in use" in full.stdout and "try --connections 16" in full.stdout, full.stdout
    told = json.loads(measure("ramp", plan, *bounds, "--slo", "p50 < 500ms", "-c", "40", "-o", "json").stdout)
    assert (told["breakpoint_per_s"], told["ceiling"], told["connections"]) == (40, "bound", 40), told


def test_a_ramp_finds_what_a_system_bears(bench):
    proxy = bench.proxy("limited")
    # Its bucket makes good for half a second in which this machine stands still.
    proxy.add("http_rate_limit", rate=125, burst=60)
    plan = bench.file(load(f"http://127.0.0.1:{proxy.port}"), "limited.yaml")
    bounds = ["--from", "60/s", "--to", "300/s", "--step", "60/s", "--tolerance", "40%", "--for", "3s", "--skip", "1s", "--settle", "0s"]
    run = measure("ramp", plan, *bounds, "--slo", "error_rate < 15%", "-o", "json")
    found = json.loads(run.stdout)
    rates = [probe["rate_per_s"] for probe in found["probes"]]
    assert rates == [60, 120, 180, 180], found
    assert (found["breakpoint_per_s"], found["ceiling"], found["ceiling_per_s"]) == (120, "system", 180)
    assert found["steady_per_s"] == pytest.approx(78)
    broke = found["probes"][-1]
    assert broke["outcome"] == "broke" and broke["error_rate"] > 0.15 and "error_rate < 15%: " in broke["broken"][0]


def test_a_ramp_says_when_nothing_holds_and_when_nothing_breaks(bench):
    brief = ["--for", "2s", "--skip", "0s", "--settle", "0s", "--from", "40/s"]
    run = measure("ramp", f"{bench.web.url}/broken", *brief, "--slo", "error_rate < 5%", code=1)
    assert "no rate was found" in run.stdout and "did not hold at the first rate" in run.stderr
    run = measure("ramp", bench.web.url, *brief, "--to", "60/s", "--slo", "error_rate < 50%")
    assert "the objectives hold at 60/s, the highest rate: the system may bear more" in run.stdout
    assert "proposed for steady operation: 39/s" in run.stdout


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["ramp", "http://127.0.0.1:1"], "no objective was given"),
        (["ramp", "http://127.0.0.1:1", "--slo", "p99 < 5"], "a time with its unit"),
        (["ramp", "http://127.0.0.1:1", "--slo", "writes p99 < 5s"], "endpoints that the load does not have"),
        (["ramp", "http://127.0.0.1:1", "--slo", "p99 < 5s", "--to", "50/s"], "--to: must be above --from"),
        (["ramp", "http://127.0.0.1:1", "--slo", "p99 < 5s", "--step", "1/s"], "--step: must lead"),
        (["ramp", "http://127.0.0.1:1", "--slo", "p99 < 5s", "--for", "2s"], "--for: must be longer"),
        (["baseline", "http://127.0.0.1:1", "--for", "5s"], "--for must be 12s or longer"),
        (["baseline", "absent.yaml"], "absent.yaml"),
        (["baseline", "ftp://127.0.0.1"], "`ftp://` does not fit here"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, told):
    assert told in measure(*arguments, code=1).stderr


def test_ctrl_c_ends_a_ramp_with_what_was_found(bench):
    command = [BINARY, "ramp", bench.web.url, "--slo", "error_rate < 50%", "--for", "1s", "--skip", "0s", "--settle", "1h"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert "50/s  held" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1 and "Ended by Ctrl-C." in said, said
    assert "so far the objectives hold at 50/s" in out, out
