"""The lab under load: an injection whose steady state breaks is taken back, and the breach is kept."""

import threading

from asking import LIMIT_S, ended
from support.lab import call, lab
from support.upstream import wait_until


class At:
    """The API at a URL, as `ended` asks it."""

    def __init__(self, url):
        self.url = url

    def get(self, path):
        return call("GET", f"{self.url}{path}")[1]


def test_an_injection_that_breaks_orders_is_taken_back(tmp_path):
    with lab(tmp_path / "lab") as running:
        url = running.env["SABOT_URL"]
        stop = threading.Event()

        def customers():
            number = 0
            while not stop.is_set():
                number += 1
                running.place(f"key-{number}")

        running.place("first")
        load = threading.Thread(target=customers, daemon=True)
        load.start()
        # Slow enough that the naive shop gives up on its payments.
        asked = {
            "target": {"service": "payments", "selector": "shard=south-1", "max_targets": 3},
            "fault": {"type": "http_abort", "status": 503},
            "duration_seconds": 240,
            "steady_state": {"slo": "merchant-write-success", "min": 0.995, "abort_after": 2},
            "hypothesis": "orders go through without payments",
            "owner": "payments-oncall@example.com",
        }
        status, injection = call("POST", f"{url}/injections", asked, {"Content-Type": "application/json"})
        assert status == 201, injection
        over = ended(At(url), injection["id"])
        stop.set()
        load.join(timeout=60)
        assert over["state"] == "aborted", over
        assert over["breach"]["slo"] == "merchant-write-success" and over["breach"]["value"] < 0.995
        assert over["breach"]["source"] == "what api saw"
        # What has happened is written down after it has.
        kept = lambda: call("GET", f"{url}/v1/audit?action=injection.ended")[1]["events"]
        wait_until(lambda: any(event.get("breach") for event in kept()), LIMIT_S)
        assert running.place("after")[0] in (200, 201)
