"""How TLS is set up: refusals by name, the command line, restarts, the API under TLS."""

import re
import subprocess

import pytest

from support.server import BINARY, Refused, Server
from support.tls_peer import run


def test_what_cannot_be_is_refused_by_name(sabot, upstream, files, trusted):
    pair, other = files("fits"), files("fits-not")
    mixed = {"cert": pair["cert"], "key": other["key"]}
    no_pem = {"cert": str(files.place / "own.srl"), "key": pair["key"]}
    for tls, field, said in [
        ({"terminate": {"certificates": [mixed]}}, "tls.terminate.certificates[0].key", "does not fit"),
        ({"terminate": {"certificates": [{**pair, "cert": "/nowhere"}]}}, "tls.terminate.certificates[0].cert", "failed to read /nowhere"),
        ({"terminate": {"certificates": [no_pem]}}, "tls.terminate.certificates[0].cert", "holds no certificate"),
        ({"terminate": {"certificates": []}}, "tls.terminate.certificates", "is empty"),
        ({"terminate": {"client_ca": "/nowhere"}}, "tls.terminate.client_ca", "failed to read"),
        ({"terminate": {}, "passthrough": True}, "tls.passthrough", "excludes terminate"),
        ({"originat": {}}, "tls.originat", "did you mean `originate`"),
        ({"originate": {"ca": "/nowhere"}}, "tls.originate.ca", "failed to read"),
        ({"originate": {"server_name": "a b"}}, "tls.originate.server_name", "neither a host name"),
        ({}, "tls", "asks for nothing"),
    ]:
        with pytest.raises(Refused) as refused:
            sabot.proxy(upstream, name="refused", tls=tls)
        body = refused.value.body
        assert (refused.value.status, body["field"]) == (400, field) and said in body["error"], (tls, body)
    with pytest.raises(Refused) as refused:
        sabot.proxy("unix:/x", name="refused", tls={"originate": {}})
    assert refused.value.body["field"] == "tls.originate.server_name"
    with pytest.raises(Refused) as refused:
        sabot.proxy(upstream, name="refused", protocol="http", tls={"passthrough": True})
    assert refused.value.body["field"] == "tls.passthrough"
    plain = sabot.proxy(upstream, name="plain")
    for kind in ["tls_alert", "tls_certificate"]:
        with pytest.raises(Refused) as refused:
            plain.add(kind)
        assert refused.value.body["field"] == "type" and "tls.terminate" in refused.value.body["error"]
    assert "refused" not in sabot.get("/proxies") and "tls" not in sabot.get("/proxies")["plain"]


def test_the_command_line_and_a_restart(tmp_path, upstream, files):
    pair = files("cli", "DNS:cli.example")
    arguments = ["--state-dir", str(tmp_path / "state")]
    with Server(*arguments) as server:
        sabot = [BINARY, "-h", server.url]
        more = ["--tls-cert", pair["cert"], "--tls-key", pair["key"], "--tls", "terminate.min_version=1.2"]
        assert run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, *more, "given")[0] == 0
        assert run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, "--tls", "terminate", "--tls", "originate", "minted")[0] == 0
        assert run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, "--tls", "passthrough", "through")[0] == 0
        code, said = run(*sabot, "create", "-l", "127.0.0.1:0", "-u", upstream, "--tls", "terminat", "wrong")
        assert code != 0 and "none of terminate, originate, passthrough" in said, said
        before = {name: view["tls"] for name, view in server.get("/proxies").items()}
        assert before["given"] == {"terminate": {"certificates": [pair], "min_version": "1.2"}}
        assert before["minted"] == {"terminate": {}, "originate": {}} and before["through"] == {"passthrough": True}
        assert "terminate" in run(*sabot, "inspect", "minted")[1]
        server.stop(2)
    assert (tmp_path / "state" / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    with Server(*arguments) as server:
        assert {name: view["tls"] for name, view in server.get("/proxies").items()} == before


def test_the_api_under_tls(tmp_path):
    sabot = [BINARY, "serve", "--port", "0", "--port-file", str(tmp_path / "port"), "--ca-dir", str(tmp_path / "ca"), "--api-tls"]
    process = subprocess.Popen(sabot, stderr=subprocess.PIPE, text=True)
    try:
        while '://' not in (line := process.stderr.readline()):
            assert line, "the server ended"
        address = re.search(r"https://(\S+)", line)[1]
        url, ca = f"https://{address}", tmp_path / "ca" / "ca.pem"
        assert run(BINARY, "-h", url, "--ca", str(ca), "list")[0] == 0
        assert run(BINARY, "list", "-h", url, "--insecure")[0] == 0
        assert run("curl", "-sSf", "--cacert", str(ca), f"{url}/v1/version")[0] == 0
        code, said = run(BINARY, "-h", url, "list")
        assert code == 1 and "UnknownIssuer" in said and "--ca FILE" in said, said
        code, said = run(BINARY, "-h", f"http://{address}", "list")
        assert code == 1 and "https://" in said, said
        exported = run(BINARY, "-h", url, "--insecure", "ca", "export")[1]
        assert exported == ca.read_text()
    finally:
        process.kill()
        process.wait()
    code, said = run(BINARY, "serve", "--port", "0", "--api-tls-cert", "/nowhere", "--api-tls-key", "/nowhere")
    assert code == 1 and "failed to read /nowhere" in said, said
