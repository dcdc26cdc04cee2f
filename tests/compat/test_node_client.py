"""npm's `toxiproxy-node-client`: runs tests/compat/node under Node's own test runner."""

import os
import shutil
import subprocess


def test_every_verb(server, root):
    # Node looks for packages beside the file, and set-up keeps them out of the source tree.
    packages = root / "target" / "node"
    script = packages / "client.test.mjs"
    shutil.copyfile(root / "tests" / "compat" / "node" / "client.test.mjs", script)
    environment = {**os.environ, "TOXIPROXY_URL": server.url}
    run = subprocess.run(
        ["node", "--test", str(script)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
