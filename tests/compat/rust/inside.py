"""Runs the crate's own test suite, and ours, beside a server on the port that they expect.

To be run in a network of its own: `toxiproxy_rust` knows one address, 127.0.0.1:8474, and its
suite uses ports 2000 and 2001.
"""

import subprocess
import sys
from pathlib import Path

from support.server import Server

MANIFEST = Path(__file__).resolve().parent / "Cargo.toml"

target, which = sys.argv[1:]
with Server(port=8474):
    command = ["cargo", "test", "--offline", "--locked", "--manifest-path", str(MANIFEST), "--target-dir", target]
    # Its tests share one proxy, so they run one after another.
    sys.exit(subprocess.run([*command, "--package", which, "--", "--test-threads=1"]).returncode)
