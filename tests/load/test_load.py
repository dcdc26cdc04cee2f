"""`sabot load` against a real Redis and a real PostgreSQL, and what its command says and refuses."""

import json
import os
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support import peers
from support.server import BINARY

# Far more than any of these takes: nothing here is about speed.
LIMIT_S = 60


def load(*arguments, plan=None, tmp_path=None, ok=True):
    """Runs `sabot load`; `plan` goes into a file."""
    arguments = [str(argument) for argument in arguments]
    if plan is not None:
        file = tmp_path / "plan.json"
        file.write_text(plan if isinstance(plan, str) else json.dumps(plan))
        arguments = [str(file), *arguments]
    run = subprocess.run([BINARY, "load", *arguments], capture_output=True, text=True, timeout=LIMIT_S)
    assert (run.returncode == 0) == ok, run.stderr + run.stdout
    return run


def summary(*arguments, **more):
    return json.loads(load(*arguments, "-o", "json", **more).stdout)


@pytest.fixture
def web():
    """A small HTTP server: its URL, and the paths it was asked for."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_load_of_nothing_is_an_error(web):
    bare = load(web[0], "--for", "2", ok=False)
    assert "expected a time with its unit" in bare.stderr
    run = load(web[0], "--rate", "1/s", "--for", "1ms", "--arrivals", "poisson", "--seed", "7", ok=False)
    assert "nothing was offered: at its rate no request falls into the 1 ms" in run.stderr
    assert run.returncode == 1 and "--rate" in run.stderr and not web[1]


def test_commands_of_redis_reach_it(server, tmp_path):
    with peers.redis() as redis:
        port = server.proxy(redis.upstream).port
        plan = {
            "target": f"redis://127.0.0.1:{port}/1",
            "rate": 200,
            "duration": "2s",
            "arrivals": "uniform",
            "endpoints": [
                {"kind": "redis", "command": "SET k:{{int 1 5}} {{string 8}}", "weight": 1},
                {"kind": "redis", "command": ["GET", "k:{{int 1 5}}"], "weight": 1},
                {"kind": "redis", "name": "wrong", "command": "SET k:1 x NONSENSE", "weight": 0.2},
            ],
        }
        told = summary(plan=plan, tmp_path=tmp_path)
        keys = subprocess.run(["redis-cli", "-p", str(port), "-n", "1", "DBSIZE"], capture_output=True, text=True, timeout=20)
    by_name = {part["name"]: part for part in told["endpoints"]}
    assert told["total"]["offered"] == 400
    assert by_name["GET k:{{int 1 5}}"]["class"] == "read"
    for name in ["SET k:{{int 1 5}} {{string 8}}", "GET k:{{int 1 5}}"]:
        assert by_name[name]["fates"] == {"ok": by_name[name]["offered"]}, by_name[name]
    assert by_name["wrong"]["codes"] == {"ERR": by_name["wrong"]["offered"]}, by_name["wrong"]
    assert told["causes"] == {"ERR syntax error": by_name["wrong"]["offered"]}, told["causes"]
    assert int(keys.stdout) == 5


def test_statements_of_sql_reach_it(server, tmp_path):
    with peers.postgres() as postgres:
        port = server.proxy(postgres.upstream).port
        plan = {
            "target": f"postgres://postgres@127.0.0.1:{port}/postgres",
            "rate": 100,
            "duration": "2s",
            "arrivals": "uniform",
            "connections": 5,
            "connect_timeout": "20s",
            "queue_timeout": "20s",
            "endpoints": [
                {
                    "kind": "sql",
                    "statement": "SELECT $1::int + 1, $2::text, $3::uuid",
                    "parameters": ["{{int 1 9}}", "{{string 5}}", "{{uuid}}"],
                    "weight": 1,
                },
                {"kind": "sql", "name": "zero", "statement": "SELECT 1 / $1::int", "parameters": ["0"], "weight": 1},
                {"kind": "sql", "name": "count", "statement": "SELECT 1", "parameters": ["surplus"], "weight": 0.2},
            ],
        }
        told = summary(plan=plan, tmp_path=tmp_path)
        other = {"target": f"postgres://postgres@127.0.0.1:{port}/nowhere", "rate": 5, "duration": "1s"}
        nowhere = summary(plan=plan | other, tmp_path=tmp_path)
    good, zero, count = told["endpoints"]
    assert good["fates"] == {"ok": good["offered"]} and good["class"] == "read", good
    # 22012 is division by zero; 08P01 a statement that takes another number of parameters.
    assert zero["fates"] == {"refused": zero["offered"]} and zero["codes"] == {"22012": zero["offered"]}, zero
    assert count["codes"] == {"08P01": count["offered"]}, count
    assert told["connections_opened"] <= 5
    assert told["causes"]["ERROR: division by zero"] == zero["offered"], told["causes"]
    assert nowhere["total"]["fates"] == {"connect": 5}, nowhere
    assert nowhere["causes"] == {'FATAL: database "nowhere" does not exist': 5}, nowhere


def test_the_same_seed_sends_the_same(web):
    url, asked = web
    plan = ["--rate", "50/s", "--for", "1s", "--seed", "7", "-c", "1"]
    assert summary(url, *plan)["total"]["fates"] == summary(url, *plan)["total"]["fates"]
    assert len(asked) % 2 == 0 and len(asked) > 50
    printed = [load(url, *plan, "--print-requests", "20", "--header", "x-id: {{uuid}}").stdout for _ in range(2)]
    assert printed[0] == printed[1] and printed[0].count("x-id: ") == 20


def test_people_get_a_table_and_a_line_each_second(web):
    run = load(web[0], "--rate", "20/s", "--for", "2s", "--arrivals", "uniform")
    assert "OFFERED" in run.stdout and "offered 40 in 2.0 s: 20.0/s" in run.stdout, run.stdout
    assert "the load's own lateness" in run.stdout
    assert "in flight" in run.stderr and "\x1b" not in run.stderr, run.stderr


def test_what_was_not_answered_has_no_latency_and_a_reason():
    run = load("http://127.0.0.1:1/x", "--rate", "20/s", "--for", "1s", "--arrivals", "uniform")
    assert "because:  20 × 127.0.0.1:1 refused it" in run.stdout, run.stdout
    assert "0.00" not in run.stdout.split("ended as")[0].replace("100.00", ""), run.stdout
    assert "the load's own lateness: – (nothing was sent)" in run.stdout, run.stdout
    told = summary("http://127.0.0.1:1/x", "--rate", "20/s", "--for", "1s", "--arrivals", "uniform")
    assert told["total"]["latency_ms"] is None and told["lateness"] is None, told
    assert told["causes"] == {"127.0.0.1:1 refused it": 20}, told


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_cannot_be_is_refused(port):
    run = load(f"http://127.0.0.1:{port}/x", ok=False)
    assert "target: has no port from 1 to 65535" in run.stderr, run.stderr


@pytest.mark.parametrize(
    "what, says",
    [("127.0.0.1:1/x", "http://127.0.0.1:1/x"), ("redis://127.0.0.1:1", "kind: redis"), ("postgres://a@b/c", "kind: sql")],
)
def test_what_is_no_url_for_a_get_is_told_what_to_write(what, says):
    run = load(what, ok=False)
    assert says in run.stderr.split("help:")[1], run.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_what_was(web, how):
    command = [BINARY, "load", web[0], "--rate", "20/s", "--for", "1h"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "in flight" in process.stderr.readline()
        process.send_signal(how)
        out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert "stopped before its time" in out, out


@pytest.mark.parametrize(
    "plan, says",
    [
        ("target: http://localhost\nrate: 5/s\nduration: 1s\nconections: 5\n", "plan.json:4:1: conections: unknown field, did you mean `connections`?"),
        ("target: http://localhost\nrate: 5/s\nduration: 1s\nendpoints:\n  - path: /{{uid}}\n", "plan.json:5:11: endpoints[0].path"),
        ("target: http://localhost\nrate: fast\nduration: 1s\n", "plan.json:2:7: rate: `fast` is no rate"),
    ],
)
def test_errors_of_a_file_have_their_place(plan, says, tmp_path):
    file = tmp_path / "plan.json.yaml"
    file.write_text(plan)
    run = load(file, ok=False)
    assert says.replace("plan.json", "plan.json.yaml") in run.stderr, run.stderr


def test_a_failed_setup_sends_nothing(tmp_path):
    plan = {"target": "http://127.0.0.1:1", "rate": 5, "duration": "1s", "setup": [{"path": "/tokens"}]}
    run = load(plan=plan, tmp_path=tmp_path, ok=False)
    assert "setup[0]: POST /tokens of tenant-1: failed to connect" in run.stderr, run.stderr


def test_values_of_the_environment_are_filled_in(web):
    os.environ["SABOT_TEST_WORD"] = "xyzzy"
    run = load(web[0], "--header", "x-word: {{env SABOT_TEST_WORD}}", "--print-requests", "1")
    assert "x-word: xyzzy" in run.stdout
