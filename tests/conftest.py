"""Fixtures that every end-to-end test may ask for."""

import socket
from pathlib import Path

import pytest

from support.server import Server

# Nothing in these tests may wait for ever.
socket.setdefaulttimeout(20)


@pytest.fixture
def root():
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def server():
    """A running `sabot serve` of its own, stopped when the test ends."""
    with Server() as running:
        yield running
