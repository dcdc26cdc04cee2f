#!/usr/bin/env python3
"""One slow dependency, met by a naive shop and by a protected one: the same experiment, two verdicts.

    scripts/demo.py --sabot target/release/sabot [--reports target/demo] [--windows 2,6,10,15]

Brings the embedded lab up on free ports and in a temporary directory, runs the experiment against it
twice, and ends it whatever happens, Ctrl-C included. What stays are the reports. Takes about 66 s.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENT = Path("compose/experiments/payments-slow.yaml")
VARIANTS = ["naive", "mitigated"]
# Warm-up, baseline, fault, recovery in seconds: short, but enough for a verdict.
WINDOWS = "2,6,10,15"

PR_SET_PDEATHSIG = 1


def end_with_parent():
    """For a child just forked: whatever becomes of the demo, also between the fork and the moment at
    which it knows its child, the child does not outlive it. SIGTERM lets it take its faults back."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Demo:
    """The lab, and what is run against it."""

    def __init__(self, options, stack):
        self.options = options
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sabot-demo-")))
        self.env = {**os.environ, "SABOT_LAB_DIR": str(self.directory / "lab"), "SABOT_STATE_DIR": str(self.directory)}
        stack.callback(self.down)
        self.sabot("lab", "up", "--detach", capture_output=True)

    def sabot(self, *arguments, **more):
        """Runs a command of Sabot's to its end."""
        command = [str(self.options.sabot), *map(str, arguments)]
        # A minute for the run itself, and as much again for a machine that is busy.
        return subprocess.run(
            command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, timeout=180, preexec_fn=end_with_parent, check=True, **more
        )  # fmt: skip

    def run(self, variant):
        """Runs the experiment; answers the files of its report and its record."""
        before = set(self.options.reports.glob("*.json"))
        self.sabot(
            "run", EXPERIMENT, "--lab", "--variant", variant, "--windows", self.options.windows,
            "--reports", self.options.reports, "--fail-on", "never",
        )  # fmt: skip
        (record,) = set(self.options.reports.glob("*.json")) - before
        return record

    def down(self):
        # A Ctrl-C that comes now must not keep the lab from ending.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        command = [str(self.options.sabot), "lab", "down"]
        subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)


def show(demo):
    print(
        "\nA shop: api → orders (two replicas) → payments, every link through Sabot. 300 requests a second,"
        "\na fifth of them orders. Then payments answers 200 ms later – first to the naive shop, then to the"
        "\none with timeouts, a retry budget, circuit breakers, bulkheads, load shedding and degradation.\n",
        flush=True,
    )
    records = [demo.run(variant) for variant in VARIANTS]
    print("\nThe same fault, side by side:\n", flush=True)
    compared = demo.options.reports / "compare.html"
    demo.sabot("compare", *records, "--html", compared)
    demo.sabot("compare", *records)
    verdicts = [json.loads(record.read_text())["verdict"] for record in records]
    print(f"\nnaive: {verdicts[0]}, mitigated: {verdicts[1]}. Open the reports in a browser:")
    for path in [*(record.with_suffix(".html") for record in records), compared]:
        print(f"  {os.path.relpath(path)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sabot", required=True, type=Path, help="the binary to show")
    parser.add_argument("--reports", type=Path, default=ROOT / "target" / "demo", help="where reports are written")
    parser.add_argument("--windows", default=WINDOWS, help="warm-up, baseline, fault and recovery in seconds")
    options = parser.parse_args()
    options.sabot, options.reports = options.sabot.resolve(), options.reports.resolve()
    if not options.sabot.exists():
        sys.exit(f"{options.sabot} is missing: `make demo` builds it")
    # A shell that started it in the background made it deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for how in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(how, lambda *_: sys.exit(1))
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            show(Demo(options, stack))
        print(f"\ndone in {time.monotonic() - began:.0f} s; the lab is down\n")
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{(failed.stderr or b'').decode()}failed: {' '.join(failed.cmd)}")
    except KeyboardInterrupt:
        sys.exit("\nstopped, and the lab with it")


if __name__ == "__main__":
    main()
