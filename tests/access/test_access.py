"""Tokens from outside: real clients, real processes, and what must never be written anywhere."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
from toxiproxy import Toxiproxy

from support.server import BINARY, Refused, Server
from support.upstream import Upstream, echo


def sabot(*arguments, token=None, directory=None, server=None):
    """A command that succeeds; what it writes to stdout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SABOT_")}
    environment |= {"SABOT_TOKEN": token} if token else {}
    environment |= {"SABOT_STATE_DIR": str(directory)} if directory else {}
    environment |= {"SABOT_URL": server.url} if server else {}
    run = subprocess.run([BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def new_token(directory, owner, role, *arguments):
    return sabot("token", "create", "--owner", owner, "--role", role, *arguments, directory=directory)


@pytest.fixture
def guarded(tmp_path):
    with Server("--auth", "--state-dir", str(tmp_path)) as running:
        running.directory = tmp_path
        yield running


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def refused(server, method, path, headers=None):
    """The status with which a call is refused; none if it is not."""
    try:
        server.call(method, path, headers=headers or {"Accept": "*/*"})
    except Refused as error:
        return error.status
    return None


def test_a_toxiproxy_client_has_its_token_in_the_url(guarded):
    token = new_token(guarded.directory, "ci", "operator")
    client = Toxiproxy()
    client.update_api_consumer(f"sabot:{token}@{guarded.host}", guarded.port)
    with Upstream(echo) as upstream:
        assert client.proxies() == {}
        proxy = client.create(name="echo", upstream=upstream.address)
        proxy.add_toxic(type="latency", attributes={"latency": 5})
        assert set(proxy.toxics()) == {"latency_downstream"}
        assert client.reset() is True
    # It does not look at the status of an answer.
    client.update_api_consumer(guarded.host, guarded.port)
    assert client.reset() is not True
    assert refused(guarded, "GET", "/proxies") == 401


def test_an_experiment_of_the_chaos_toolkit_shows_it(guarded, tmp_path):
    token = new_token(guarded.directory, "ci", "operator")
    guarded.call("POST", "/proxies", {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}, bearer(token))
    arguments = {"for_proxy": "db", "toxic_name": "slow", "toxic_type": "latency"}
    action = {
        "type": "action",
        "name": "slow",
        "provider": {"type": "python", "module": "chaostoxi.toxic.actions", "func": "create_toxic", "arguments": arguments},
    }
    experiment = {"title": "t", "description": "d", "method": [action]}
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(experiment))
    sabot("run", str(file), token=token, server=guarded)
    toxics = guarded.call("GET", "/proxies/db/toxics", headers=bearer(token))
    assert [toxic["name"] for toxic in toxics] == ["slow"]


def test_the_environment_of_an_old_client_may_hold_it(guarded):
    token = new_token(guarded.directory, "ci", "viewer")
    url = f"http://sabot:{token}@{guarded.address}"
    environment = {**os.environ, "TOXIPROXY_URL": url}
    run = subprocess.run([BINARY, "list"], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    guarded.stop()
    run = subprocess.run([BINARY, "list"], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "failed to reach" in run.stderr and token not in run.stderr


def test_a_probe_needs_none_and_all_else_does(guarded):
    assert refused(guarded, "GET", "/version") is None
    assert refused(guarded, "GET", "/metrics") == 401
    token = new_token(guarded.directory, "prometheus", "viewer")
    assert refused(guarded, "GET", "/metrics", bearer(token)) is None


def test_what_another_process_revokes_stops_at_once(guarded):
    token = new_token(guarded.directory, "bob", "viewer")
    assert refused(guarded, "GET", "/proxies", bearer(token)) is None
    listed = json.loads(sabot("token", "list", "--output", "json", directory=guarded.directory))
    sabot("token", "revoke", listed["tokens"][0]["id"], directory=guarded.directory)
    assert refused(guarded, "GET", "/proxies", bearer(token)) == 401


def test_an_admin_asks_the_server_for_tokens(guarded):
    admin = new_token(guarded.directory, "ann", "admin")
    made = json.loads(
        sabot("token", "create", "--owner", "bob", "--role", "operator", "--scope", "team=payments",
              "--expires-in", "1d", "--output", "json", token=admin, server=guarded)
    )
    assert refused(guarded, "GET", "/proxies", bearer(made["token"])) is None
    listed = json.loads(sabot("token", "list", "--output", "json", token=admin, server=guarded))["tokens"]
    assert [(each["owner"], each["role"], each["scope"]) for each in listed] == [
        ("ann", "admin", ""),
        ("bob", "operator", "team=payments"),
    ]
    sabot("token", "revoke", made["id"], token=admin, server=guarded)
    assert refused(guarded, "GET", "/proxies", bearer(made["token"])) == 401
    viewer = new_token(guarded.directory, "eve", "viewer")
    environment = {**os.environ, "SABOT_URL": guarded.url, "SABOT_TOKEN": viewer}
    run = subprocess.run([BINARY, "token", "list"], env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "this takes the role admin" in run.stderr and "help:" in run.stderr


def test_processes_make_tokens_while_the_server_appends(guarded):
    admin = new_token(guarded.directory, "ann", "admin")
    command = [BINARY, "token", "create", "--role", "viewer", "--state-dir", str(guarded.directory), "--owner"]
    loop = "for n in 1 2 3 4 5; do \"$@\" || exit 1; done"
    makers = [
        subprocess.Popen(["sh", "-c", loop, "sh", *command, owner], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for owner in ["bob", "eve"]
    ]
    resets = 0
    while any(maker.poll() is None for maker in makers):
        guarded.call("POST", "/reset", headers=bearer(admin))
        resets += 1
    tokens = [token for maker in makers for token in maker.communicate(timeout=60)[0].split()]
    assert [maker.returncode for maker in makers] == [0, 0] and len(set(tokens)) == 10
    for token in tokens:
        assert refused(guarded, "GET", "/proxies", bearer(token)) is None
    made = audit(guarded, admin, "token.created", 11)
    assert len(made) == 11
    assert len(audit(guarded, admin, "changed", resets)) == resets
    verified = guarded.call("GET", "/v1/audit/verify", headers=bearer(admin))
    assert verified["events"] >= 11 + resets


def audit(server, token, action, count):
    """The events of a kind, once there are so many; a change is written just after its answer."""
    for _ in range(10_000):
        events = server.call("GET", f"/v1/audit?action={action}&limit=10000", headers=bearer(token))["events"]
        if len(events) >= count:
            return events
    raise AssertionError(f"{count} {action}, but {events}")


def test_a_token_is_written_nowhere(tmp_path):
    with Server("--auth", "--state-dir", str(tmp_path), "--log-level", "trace") as server:
        server.directory = tmp_path
        admin = new_token(tmp_path, "ann", "admin")
        viewer = new_token(tmp_path, "eve", "viewer")
        guess = "sabot_" + "g" * 43
        said = []
        for credentials in [
            f"Bearer {admin}", f"Bearer {viewer}", f"Bearer {guess}", guess, f"Bearer {admin} {viewer}",
            "Basic " + base64.b64encode(f"{viewer}:".encode()).decode(),
            "Basic " + base64.b64encode(f"sabot:{guess}".encode()).decode(),
            f"Digest {viewer}",
        ]:
            for method, path in [("GET", "/proxies"), ("POST", "/reset"), ("POST", "/v1/tokens")]:
                try:
                    said.append(server.call(method, path, headers={"Authorization": credentials}))
                except Refused as error:
                    said.append(error.body)
        made = server.call("POST", "/v1/tokens", {"owner": "bob", "role": "viewer"}, headers=bearer(admin))
        said.append(server.call("GET", "/v1/tokens", headers=bearer(admin)))
        said.append(server.call("GET", "/v1/audit?limit=10000", headers=bearer(admin)))
        said.append(server.call("GET", "/metrics", headers=bearer(admin)))
        server.stop()
        written = json.dumps(said) + "\n".join(server.log)
        written = written.encode() + b"".join(file.read_bytes() for file in Path(tmp_path).rglob("*") if file.is_file())
        for token in [admin, viewer, guess, made["token"]]:
            # Any part that is long enough to be told from chance.
            secret = token.removeprefix("sabot_")
            assert not [part for part in (secret[:16], secret[-16:]) if part.encode() in written]
            encoded = base64.b64encode(f"{token}:".encode())[:40]
            assert encoded not in written
