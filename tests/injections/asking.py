"""What an injection is asked with, and how a test waits for what becomes of it."""

import time
import urllib.error
import urllib.request

# For a machine that has other things to do; nothing is asserted about speed.
LIMIT_S = 60


def body(service="payments", **changes):
    """The body of `POST /injections`, with parts of it changed."""
    asked = {
        "target": {"service": service, "max_targets": 3},
        "fault": {"type": "http_abort", "status": 503},
        "duration_seconds": 240,
        "steady_state": {"slo": "success", "min": 0.9, "abort_after": 1},
        "hypothesis": "retries hide it",
        "owner": "payments-oncall@example.com",
    }
    return asked | changes


def status(proxy):
    """The status of an answer through a proxy; 0 for none."""
    try:
        with urllib.request.urlopen(f"http://{proxy.listen}/", timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def ended(server, id, meanwhile=lambda: time.sleep(0.05)):
    """The injection once it is over; `meanwhile` is done again and again until then."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        injection = server.get(f"/injections/{id}")
        if injection["state"] not in ("pending", "approved", "running"):
            return injection
        meanwhile()
    raise AssertionError(f"it is not over after {LIMIT_S} s: {injection}")
