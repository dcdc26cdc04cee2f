"""Records of two runs, and the program on them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.server import BINARY

GOLDEN = Path(__file__).with_name("golden")


class Sabot:
    """`sabot` with a state directory of its own."""

    def __init__(self, state):
        self.state = state

    def __call__(self, *arguments, fails=False):
        env = {**os.environ, "SABOT_STATE_DIR": str(self.state), "NO_COLOR": "1"}
        done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=env, stdin=subprocess.DEVNULL)
        assert (done.returncode != 0) == fails, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout


@pytest.fixture
def sabot(tmp_path):
    return Sabot(tmp_path / "state")


@pytest.fixture
def off():
    """The path of a run that cascades."""
    return GOLDEN / "off.json"


@pytest.fixture
def on():
    """The path of the same with mitigations, which holds."""
    return GOLDEN / "on.json"


@pytest.fixture
def record(off):
    return json.loads(off.read_text())
