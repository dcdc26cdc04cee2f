"""crates.io's `toxiproxy_rust`: its own test suite, unchanged, and every verb."""

import os
import subprocess
import sys

import pytest

from support.netns import isolated


@pytest.fixture(scope="module")
def build(pytestconfig):
    root = pytestconfig.rootpath.parent
    target = root / "target" / "compat"
    manifest = root / "tests" / "compat" / "rust" / "Cargo.toml"
    build = ["cargo", "test", "--quiet", "--locked", "--manifest-path", str(manifest), "--target-dir", str(target)]
    # Built outside, where crates can be fetched; each package by itself, as it is run.
    for package in ["toxiproxy_rust", "sabot-compat"]:
        subprocess.run([*build, "--package", package, "--no-run"], check=True, timeout=600)
    return target


@pytest.mark.parametrize("package", ["toxiproxy_rust", "sabot-compat"])
def test_its_own_suite_and_every_verb(build, root, package):
    inside = root / "tests" / "compat" / "rust" / "inside.py"
    environment = {**os.environ, "PYTHONPATH": str(root / "tests")}
    run = subprocess.run(
        isolated([sys.executable, str(inside), str(build), package]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
