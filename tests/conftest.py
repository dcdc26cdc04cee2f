"""Fixtures that every end-to-end test may ask for."""

import signal
import socket
from pathlib import Path

import pytest

from support.server import Server

# Nothing in these tests may wait for ever.
socket.setdefaulttimeout(20)

# Under `nohup`, or in the background of a script, signals come ignored, and programs that are started here
# would ignore them, too. What has a handler here does not come ignored to them.
for ignorable in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(ignorable) is signal.SIG_IGN:
        signal.signal(ignorable, lambda *_: None)


@pytest.fixture
def root():
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def server():
    """A running `sabot serve` of its own, stopped when the test ends."""
    with Server() as running:
        yield running
