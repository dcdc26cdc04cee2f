"""`sabot run`: whatever ends a run, its fault ends too."""

import os
import pty
import signal
import subprocess

import pytest

from support.experiment import LIMIT_S, ended, on, wait_for_fault
from support.server import BINARY
from support.upstream import wait_until


SIGNALS = [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]


@pytest.mark.parametrize("how, name", SIGNALS)
def test_a_signal_ends_it_in_good_order(bench, how, name):
    proxy = bench.proxy(name)
    cleaned = bench.folder / f"cleaned-{name}"
    experiment = bench.experiment(proxy, cleanup=[{"command": {"argv": ["touch", str(cleaned)]}}])
    experiment["windows"] |= {"fault": "1h"}
    with bench.start(bench.file(experiment)) as process:
        wait_for_fault(proxy)
        process.send_signal(how)
        (record,) = ended(process, code=1)
    assert proxy.view()["toxics"] == [] and cleaned.exists()
    assert (record["verdict"], record["reasons"]) == ("aborted", [f"Ended by {name}."])


def test_who_ignores_a_hangup_goes_on(bench):
    proxy = bench.proxy("nohup")
    with bench.start(bench.file(bench.experiment(proxy)), under=["nohup"]) as process:
        wait_for_fault(proxy)
        process.send_signal(signal.SIGHUP)
        (record,) = ended(process)
    assert record["verdict"] == "held", record["reasons"]


def test_a_terminal_that_is_closed_ends_it_in_good_order(bench):
    """The terminal goes, and SIGHUP comes with it: stdout and stderr answer with an error from then on."""
    proxy = bench.proxy("terminal")
    experiment = bench.experiment(proxy, cleanup=[{"command": {"argv": ["touch", str(bench.folder / "hung-up")]}}])
    experiment["windows"] |= {"fault": "1h"}
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {"SABOT_URL": bench.server.url, "SABOT_STATE_DIR": str(bench.folder)}
        os.execve(BINARY, [BINARY, "run", str(bench.file(experiment))], os.environ | environment)
    wait_for_fault(proxy)
    os.close(terminal)
    wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, LIMIT_S)
    assert proxy.view()["toxics"] == [] and (bench.folder / "hung-up").exists()
    history = [BINARY, "history", "-o", "json", "--state-dir", str(bench.folder)]
    told = subprocess.run(history, capture_output=True, text=True, timeout=LIMIT_S).stdout
    assert experiment["title"] in told and "aborted" in told


def test_a_signal_before_the_load_lets_nothing_begin(bench):
    proxy = bench.proxy("early")
    began = bench.folder / "began"
    prepare = [{"command": {"argv": ["sh", "-c", f"touch {began}; exec sleep 60"], "timeout": "1h"}}]
    asked = len(bench.web.asked)
    with bench.start(bench.file(bench.experiment(proxy, prepare=prepare))) as process:
        wait_until(began.exists, LIMIT_S)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 2 and "Ended by Ctrl-C." in said, said
    assert len(bench.web.asked) == asked and proxy.view()["toxics"] == []


def test_a_killed_run_leaves_a_fault_that_ends_by_itself(bench):
    proxy = bench.proxy("orphan")
    with bench.start(bench.file(bench.experiment(proxy))) as process:
        toxic = wait_for_fault(proxy)
        process.kill()
        process.wait(timeout=LIMIT_S)
    # Its window is 3 s and the server's grace 10 s: it is there still, and it says when it ends.
    assert [each["name"] for each in on(proxy)] == [toxic["name"]]
    assert toxic["when"]["expires_after"] in ("13s", 13_000), toxic
    wait_until(lambda: proxy.view()["toxics"] == [], LIMIT_S)


def test_a_schedule_that_is_interrupted_says_what_it_did_not_run(bench):
    proxy = bench.proxy("first-of-two")
    endless = bench.experiment(proxy)
    endless["windows"] = endless["windows"] | {"fault": "1h"}
    bench.file(endless, "endless.yaml")
    schedule = {"title": "Two", "runs": [{"experiment": "endless.yaml"}, {"experiment": "endless.yaml"}]}
    with bench.start(bench.file(schedule, "two.yaml")) as process:
        wait_for_fault(proxy)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1 and "1 of 2 runs were not carried out" in said, said
    assert '"aborted"' in out and proxy.view()["toxics"] == []
