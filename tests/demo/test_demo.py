"""The demo shows what it says it shows, ends by itself, and leaves nothing running."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.server import BINARY

LIMIT_S = 60


@pytest.fixture
def demo(root):
    command = [sys.executable, "-u", str(root / "scripts" / "demo.py"), "--sabot", BINARY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        yield process
        process.kill()


def children(process):
    """The processes that it has started and that still run."""
    pid = process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def assert_gone(started):
    assert len(started) >= 2, "redis-server and sabot serve"
    wait_until_none(lambda: [pid for pid in started if runs(pid)])


def runs(pid):
    """Whether a process does anything any more: a killed one stays listed until init has reaped it."""
    try:
        return "State:\tZ" not in Path("/proc", pid, "status").read_text()
    except OSError:
        return False


def wait_until_none(left):
    """The kernel ends an orphan a moment after its parent."""
    deadline = time.monotonic() + 5
    while left():
        assert time.monotonic() < deadline, f"still running: {left()}"


def test_it_shows_what_was_asked_and_what_came(demo):
    text = demo.stdout.readline() + demo.stdout.readline()
    started = children(demo)
    text += demo.communicate(timeout=LIMIT_S)[0]
    assert demo.returncode == 0, text
    measured = dict(re.findall(r"^  (\S.*?)  +.*?  +(\S.*)$", text, re.M))
    assert 30 - 4 < float(measured["latency, toxicity 0.3"].split()[0]) < 30 + 4, text
    # Upper bounds leave room for a busy machine: how exact faults are is measured by `fidelity`.
    assert 7 < float(measured["bandwidth"].split()[0]) < 10.1, text
    assert 5 <= float(measured["latency"].split()[1]) < 15, text
    assert 500 <= float(measured["reset_peer"].split()[2]) < 2000, text
    assert_gone(started)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_nothing_is_left_when_it_is_stopped(demo, how):
    ports = []
    for line in demo.stdout:
        ports += re.findall(r"on port (\d+)", line)
        if "idle proxy" in line:
            break
    started = children(demo)
    # The next redis-benchmark is just being started.
    demo.send_signal(how)
    demo.communicate(timeout=20)
    assert demo.returncode == 1
    assert_gone(started)
    assert len(ports) == 2
    wait_until_none(lambda: loads(ports))


def loads(ports):
    """The load generators that run against one of the ports."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0].endswith("redis-benchmark") and any(port in words for port in ports):
            found.append(process.name)
    return found
