"""The lab, embedded: up, broken, protected, down; and what is left when it is killed."""

import json
import os
import signal
import subprocess

import pytest

from support.lab import LIMIT_S, Lab, call, lab, left, sabot, until
from support.server import BINARY


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "lab"


def test_a_fault_on_a_link_is_felt_and_the_mitigations_contain_it(directory):
    with lab(directory) as shop:
        assert shop.find("t1-7") == (200, {"id": "t1-7", "tenant": "t1", "item": "item-7", "amount_cents": 107, "status": "paid"})
        assert shop.find("t2-7")[0] == 404
        assert shop.place("healthy")[0] == 201
        # Every link is a proxy that says what passed it.
        for name in ("api", "orders-1", "payments"):
            url = f"{shop.env['SABOT_URL']}/v1/proxies/{name}"
            until(f"something passed {name}", lambda: call("GET", url)[1]["connections"]["total"] and shop.find("t1-1"))
        with shop.toxic("payments", "http_abort", "status=503"):
            status, answer = shop.place("naive")
            assert status == 502, answer
            # Four tries at each of two services.
            assert shop.applied("payments") == 16
            shop.do("mitigations", "on")
            until("it is accepted", lambda: shop.place("protected")[0] == 202)
            answer = shop.place("protected")[1]
            assert answer["status"] == "payment_pending"
            identity = answer["id"]
            until("reads go on", lambda: shop.find("t1-7")[0] == 200)
        until("it is paid", lambda: shop.find(identity)[1]["status"] == "paid")
        charges = call("GET", f"{shop.env['LAB_PAYMENTS_CONTROL']}/charges")[1]
        assert charges["orders_charged_twice"] == 0


def test_a_second_lab_is_told_that_one_is_up(directory):
    with lab(directory):
        for detach in [], ["--detach"]:
            refused = sabot("lab", "up", *detach, "--state-dir", directory, check=False)
            assert refused.returncode == 1 and "`sabot lab down` ends it" in refused.stderr, refused.stderr


def test_the_load_of_an_experiment_of_the_lab_is_measured_by_its_addresses(directory, tmp_path):
    experiment = tmp_path / "reads.yaml"
    experiment.write_text(
        "title: t\nhypothesis: h\nslos: [error_rate < 50%]\n"
        "load: {target: '${LAB_API}', rate: 20/s, endpoints: [{path: /health, expect: [100-599]}]}\n"
    )
    with lab(directory):
        told = json.loads(sabot("baseline", experiment, "--lab", "--for", "12s", "--warm-up", "0s", "-o", "json", SABOT_LAB_DIR=directory).stdout)
    assert told["measured_s"] == 12 and told["load"]["total"]["error_rate"] == 0, told


def test_down_leaves_nothing(directory):
    with lab(directory) as shop:
        assert len(shop.processes) == 5
        said = json.loads(shop.do("status", "-o", "json").stdout)
        assert said["well"] and {each["health"] for each in said["services"]} == {"ready"}
        assert "the lab is down" in shop.do("down").stdout
        assert left(shop.processes, 0) == []
        assert not directory.exists()
    assert "no lab was up" in sabot("lab", "down", "--state-dir", directory).stdout


def test_killing_the_supervisor_leaves_no_process_and_down_removes_the_rest(directory):
    with lab(directory) as shop:
        os.kill(shop.state["pid"], signal.SIGKILL)
        assert left(shop.processes) == []
        refused = shop.do("status", check=False)
        assert refused.returncode == 1 and "supervisor was killed" in refused.stderr
        # The same directory can be used at once.
        sabot("lab", "up", "--detach", "--state-dir", directory)
        assert Lab(directory).find("t1-1")[0] == 200
        shop.do("down")
        assert not directory.exists()


def test_down_after_the_supervisor_was_killed_removes_the_directory(directory):
    with lab(directory) as shop:
        os.kill(shop.state["pid"], signal.SIGKILL)
        assert left(shop.processes) == []
        shop.do("down")
        assert not directory.exists()


def test_a_crash_is_reported_and_the_others_go_on(directory):
    with lab(directory) as shop:
        os.kill(shop.pid("payments"), signal.SIGKILL)
        crashed = until("the crash is told", lambda: "payments was ended by signal 9" in shop.do("status", check=False).stderr)
        assert crashed and shop.find("t1-1")[0] == 200
        shop.do("down")
        assert left(shop.processes, 0) == []
        assert not directory.exists()


def test_one_lab_in_a_directory(directory):
    with lab(directory):
        refused = sabot("lab", "up", "--state-dir", directory, check=False)
        assert refused.returncode == 1 and "is up" in refused.stderr and "sabot lab down" in refused.stderr


def test_in_the_foreground_it_says_what_crashed_and_ends_by_ctrl_c(directory):
    command = [BINARY, "lab", "up", "--state-dir", str(directory), "-o", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until("it is up", lambda: (directory / "lab.json").exists() and json.loads((directory / "lab.json").read_text())["sabot"])
        shop = Lab(directory)
        os.kill(shop.pid("orders"), signal.SIGKILL)
        assert process.stderr.readline() == "orders was ended by signal 9\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert json.loads(out)["api"] == shop.env["LAB_API"]
        assert left(shop.processes, 0) == [] and not directory.exists()
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_told_and_leaves_nothing(directory):
    with lab(directory) as shop:
        port = shop.env["LAB_API"].rsplit(":", 1)[1]
        other = directory.with_name("other")
        refused = sabot("lab", "up", "--detach", "--state-dir", other, "--api-port", port, check=False)
        assert refused.returncode == 1 and "sabot: ended" in refused.stderr and port in refused.stderr
        assert not other.exists()


def test_mitigations_by_name_and_wrong_names(directory):
    with lab(directory, "--mitigations", "on") as shop:
        said = json.loads(shop.do("mitigations", "off", "timeout", "bulkhead", "-o", "json").stdout)
        assert set(said) == {"api", "orders-1", "orders-2", "payments"}
        assert not said["api"]["timeout"] and said["api"]["circuit_breaker"]
        refused = shop.do("mitigations", "on", "breaker", check=False)
        assert refused.returncode == 1 and "circuit_breaker" in refused.stderr
