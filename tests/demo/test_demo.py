"""The demo shows what it says it shows, ends by itself, and leaves nothing running."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.server import BINARY

# Twice the experiment, and a machine that does other things too.
LIMIT_S = 240


@pytest.fixture
def demo(root, tmp_path):
    command = [
        sys.executable, "-u", str(root / "scripts" / "demo.py"), "--sabot", BINARY,
        "--reports", str(tmp_path / "reports"), "--windows", "2,5,8,14",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process
        process.kill()


def of_the_lab():
    """The processes of labs that demos have brought up."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "environ").read_bytes().decode(errors="replace")
            state = (process / "status").read_text()
        except OSError:
            continue
        # A killed one stays listed until init has reaped it.
        if "SABOT_LAB_DIR=" in words and "/sabot-demo-" in words and "State:\tZ" not in state:
            found.add(process.name)
    return found


def wait_until_gone(before):
    """The kernel ends an orphan a moment after its parent."""
    deadline = time.monotonic() + 20
    while left := of_the_lab() - before:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def good_under_fault(record):
    """The share of all requests that were answered as expected while the fault was on."""
    (share,) = [1 - part["error_rate"] for part in record["parts"] if part["phase"] == "fault" and "endpoint" not in part]
    return share


def test_it_shows_why_the_mitigations_matter(demo, tmp_path):
    before = of_the_lab()
    text = demo.communicate(timeout=LIMIT_S)[0]
    assert demo.returncode == 0, text
    verdicts = re.search(r"^naive: (\w+), mitigated: (\w+)\.", text, re.M)
    assert verdicts, text
    # Which verdict it is also depends on what else the machine has to do; that the protected shop answers more
    # of its requests under the fault does not.
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "reports").glob("*.json"))]
    assert [record["variant"] for record in records] == ["naive", "mitigated"]
    assert [record["verdict"] for record in records] == list(verdicts.groups())
    if "invalid" not in verdicts.groups():
        naive, mitigated = map(good_under_fault, records)
        assert naive < mitigated, text
    pages = list((tmp_path / "reports").glob("*.html"))
    assert len(pages) == 3, pages
    assert all("<svg" in page.read_text() for page in pages if page.name != "compare.html")
    wait_until_gone(before)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_nothing_is_left_when_it_is_stopped(demo, how):
    before = of_the_lab()
    for line in demo.stdout:
        # The load is on. Later signs, such as the fault, depend on what else the machine has to do.
        if "warm-up" in line:
            break
    assert of_the_lab() - before
    demo.send_signal(how)
    demo.communicate(timeout=60)
    assert demo.returncode == 1
    wait_until_gone(before)
