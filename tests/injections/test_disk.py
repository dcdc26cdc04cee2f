"""A disk that is full: nothing is injected unjournalled, and what is on still ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asking import body
from support.server import Refused, Server
from support.upstream import Upstream, echo

# In a mount namespace of its own, so that nobody else sees the small disk.
INSIDE = "SABOT_TEST_SMALL_DISK"


def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    rights = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = f'mount -t tmpfs -o size=1m none "{disk}" && exec "$@"'
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::test_inside"]
    done = subprocess.run(
        ["unshare", *rights, "--mount", "sh", "-c", script, "sh", *command],
        env=os.environ | {INSIDE: str(disk)},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(INSIDE not in os.environ, reason="runs in the namespace of the test above")
def test_inside():
    disk = Path(os.environ[INSIDE])
    with Server("--state-dir", str(disk / "state")) as server, Upstream(echo) as upstream:
        server.proxy(upstream.address, "payments")
        server.proxy(upstream.address, "orders")
        asked = body(fault={"type": "latency", "latency": 5})
        running = server.post("/injections", asked)
        fill = disk / "fill"
        with fill.open("wb", buffering=0) as file, pytest.raises(OSError):
            while True:
                file.write(b"x" * 4096)
        # The journal may have a page or two left.
        refused = None
        for _ in range(200):
            try:
                other = server.post("/injections", body("orders", fault={"type": "latency", "latency": 5}))
                server.delete(f"/injections/{other['id']}")
            except Refused as error:
                refused = error
                break
        assert refused and refused.status in (500, 503), refused
        assert "full" in refused.body["error"] or "journal" in refused.body["error"], refused
        with pytest.raises(Refused) as again:
            server.post("/injections", body("orders", fault={"type": "latency", "latency": 5}))
        assert again.value.status == 503 and "journalled" in again.value.body["error"]
        assert server.get("/v1/proxies/orders/toxics")["toxics"] == []
        # What is on can be taken back, whatever the disk says; the answer tells that it is not kept yet.
        with pytest.raises(Refused) as taken:
            server.delete(f"/injections/{running['id']}")
        assert taken.value.status == 500 and "it is done" in taken.value.body["error"]
        assert server.get("/v1/proxies/payments/toxics")["toxics"] == []
        fill.unlink()
        # With space again, all that happened is kept, and injections go on.
        again = None
        for _ in range(600):
            try:
                again = server.post("/injections", asked)
                break
            except Refused:
                pass
        assert again and again["state"] == "running"
        kept = [event["action"] for event in server.get(f"/v1/audit?subject={running['id']}")["events"]]
        assert kept == ["injection.requested", "injection.started", "injection.ended"]
        assert server.get("/v1/audit/verify")["events"] > 0
