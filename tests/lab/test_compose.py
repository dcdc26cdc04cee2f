"""What can be said of compose/ without an engine; `make compose-test` brings it up for real."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.lab import call, lab, until

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
BOARD = json.loads((COMPOSE / "grafana/dashboards/lab.json").read_text())


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((COMPOSE / "compose.yaml").read_text())


def test_the_file_is_what_compose_takes():
    """docker-compose 1.29 checks against its schema and asks no engine; what it takes, later ones do."""
    program = shutil.which("docker-compose")
    assert program, "docker-compose is missing: scripts/setup.sh test installs it"
    run = subprocess.run([program, "-f", COMPOSE / "compose.yaml", "config", "-q"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_what_is_mounted_is_there(compose):
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    assert len(mounts) >= 7
    missing = [mount for mount in mounts if not (COMPOSE / mount.split(":")[0]).exists()]
    assert missing == []


def test_nobody_is_reached_from_outside_of_this_machine(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_every_server_says_whether_it_is_well(compose):
    """The roles of Sabot's image have one in its Dockerfile."""
    without = {name for name, service in compose["services"].items() if "healthcheck" not in service and "sabot-lab" not in service["image"]}
    assert without == set()


def test_experiments_find_all_that_they_ask_for(compose):
    """By the addresses of lab.env: each is a port that is published there."""
    values = dict(line.split("=", 1) for line in (COMPOSE / "lab.env").read_text().splitlines() if not line.startswith("#"))
    asked = {name for file in (COMPOSE / "experiments").glob("*.yaml") for name in re.findall(r"\$\{(LAB_\w+)\}", file.read_text())}
    assert asked and asked <= set(values)
    published = {re.search(r":-(\d+)\}", port)[1]: name for name, service in compose["services"].items() for port in service.get("ports", [])}
    serves = {name: published[url.rsplit(":", 1)[1]] for name, url in values.items()}
    assert serves == {
        "SABOT_URL": "sabot", "LAB_API": "sabot", "LAB_API_CONTROL": "api", "LAB_ORDERS_1_CONTROL": "orders-1", "LAB_ORDERS_2_CONTROL": "orders-2",
    }


def test_every_link_goes_through_sabot(compose):
    """Services name each other nowhere but in Sabot's proxies, which have all that are named."""
    services = compose["services"]
    proxies = yaml.safe_load((COMPOSE / "proxies.yaml").read_text())["proxies"]
    listening = {proxy["listen"].split(":")[1] for proxy in proxies}
    for name in ("api", "orders-1", "orders-2", "payments"):
        command = " ".join(services[name]["command"])
        called = re.findall(r"//([\w-]+):(\d+)", command) + re.findall(r"host=([\w-]+) port=(\d+)", command)
        assert all(host == "sabot" and port in listening for host, port in called), command
        assert called or name == "payments"
    assert {proxy["upstream"].split(":")[0] for proxy in proxies} <= set(services)


def test_the_config_of_the_proxies_is_taken(tmp_path):
    """By the same names, on ports of this machine."""
    text = (COMPOSE / "proxies.yaml").read_text()
    config = tmp_path / "proxies.yaml"
    config.write_text(re.sub(r'"0\.0\.0\.0:\d+"', '"127.0.0.1:0"', text))
    from support.server import Server

    with Server("--config", str(config)) as server:
        names = {proxy["name"] for proxy in server.get("/v1/proxies")["proxies"]}
    assert {"api", "orders-1", "orders-2", "payments", "primary", "replica", "replication", "redis"} == names


def expressions():
    found = [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    return found + [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def test_the_board_is_whole():
    identities = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(identities)) == len(identities) >= 10
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(set(places)) == len(places)
    source = yaml.safe_load((COMPOSE / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"][0]
    used = {panel["datasource"]["uid"] for panel in BOARD["panels"]} | {each["datasource"]["uid"] for each in BOARD["annotations"]["list"]}
    assert used == {source["uid"]}
    assert all(expression.count("(") == expression.count(")") for expression in expressions())


def test_every_metric_of_the_board_is_told(tmp_path):
    """After requests that meet what the board shows: a fault, retries, degradation."""
    wanted = {name for expression in expressions() for name in re.findall(r"\b(?:lab|sabot)_\w+", expression)}
    assert len(wanted) > 10
    with lab(tmp_path / "lab") as shop:
        assert shop.place("k")[0] == 201 and shop.find("t1-1")[0] == 200
        with shop.toxic("payments", "http_abort", "status=503"):
            assert shop.place("l")[0] == 502
            shop.do("mitigations", "on")
            until("it is accepted", lambda: shop.place("m")[0] == 202)
        slow = {"type": "latency", "latency": 1}
        parts = {"target": {"service": "payments", "max_targets": 1}, "fault": slow, "duration_seconds": 60}
        steady = {"slo": "success", "min": 0, "abort_after": 60}
        why = {"hypothesis": "the board shows it", "owner": "test"}
        made = call("POST", f"{shop.env['SABOT_URL']}/injections", parts | {"steady_state": steady} | why)
        assert made[0] == 201, made
        addresses = [address for name, address in shop.env.items() if name.endswith("_CONTROL")]
        texts = [call("GET", f"{address}/metrics")[1] for address in [*addresses, shop.env["SABOT_URL"]]]
    told = {name for text in texts for name in re.findall(r"^(\w+)\{", text, re.M)}
    assert wanted - told == set()
