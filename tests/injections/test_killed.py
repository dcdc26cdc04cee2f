"""`kill -9` at any moment: nothing stays on beyond its time, and nothing that was answered is lost from the audit."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from datetime import datetime, timezone

from asking import LIMIT_S, body
from support.server import BINARY, Refused, Server
from support.upstream import Upstream, echo, wait_until

KILLS = 100
PROXIES = ["a", "b", "c", "d"]

# Server and test read the same clock; this is for what lies between two of their readings.
SLACK_S = 5.0


class Asking(threading.Thread):
    """Asks for injections and takes them back until the server is gone; keeps what was answered."""

    def __init__(self, server, chance):
        super().__init__(daemon=True)
        self.server, self.chance = server, chance
        self.begun, self.ended = [], []

    def run(self):
        while True:
            try:
                self.ask()
            except Refused:
                pass
            except (OSError, ValueError):
                return
            except Exception as error:  # http.client's own, for an answer that broke off
                assert type(error).__module__ == "http.client", error
                return

    def ask(self):
        what = self.chance.random()
        if what < 0.6 or not self.begun:
            seconds = self.chance.choice([0.02, 0.2, 1, 2])
            asked = body(self.chance.choice(PROXIES), duration_seconds=seconds, queue=self.chance.random() < 0.3)
            asked["fault"] = {"type": "latency", "latency": 5}
            self.begun.append(self.server.post("/injections", asked)["id"])
        elif what < 0.9:
            id = self.chance.choice(self.begun)
            self.server.delete(f"/injections/{id}")
            self.ended.append(id)
        else:
            self.ended += self.server.post("/injections/halt")["reverted"]


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp()


def on(server):
    """The injections that own a toxic on some proxy."""
    proxies = server.get("/v1/proxies")["proxies"]
    owners = [toxic["owner"] for proxy in proxies for toxic in proxy["toxics"]]
    return {owner.removeprefix("injection ") for owner in owners}


def everything(server, after):
    """The audit behind a place, page by page."""
    events = []
    while page := server.get(f"/v1/audit?after={after}&limit=10000")["events"]:
        events += page
        after = page[-1]["seq"]
    return events


def check(server, cleared, asked, seen):
    """What holds after every restart."""
    for id in on(server):
        now = time.time()
        injection = server.get(f"/injections/{id}")
        # One may end between the two questions.
        if injection["state"] == "running":
            assert now < moment(injection["ends_at"]) + SLACK_S, injection
            latest = moment(injection["started_at"]) + injection["duration_seconds"]
            assert now < latest + SLACK_S, injection
    assert server.get("/v1/audit/verify")["intact"]
    seen += everything(server, seen[-1]["seq"] if seen else 0)
    # Threads may be about to note their last answer; the server they spoke to is gone.
    for thread in asked:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    told = {(event["action"], event.get("id")) for event in seen}
    if cleared:
        # What was on has ended, and so has what waited.
        last = max(at for at, event in enumerate(seen) if event["action"] == "server.started")
        begun = ("injection.resumed", "injection.started")
        assert not [event for event in seen[last:] if event["action"] in begun]
    for thread in asked:
        for id in thread.begun:
            assert ("injection.requested", id) in told, f"{id} was answered and is not in the audit"
        for id in thread.ended:
            assert ("injection.ended", id) in told, f"the end of {id} was answered and is not in the audit"


def test_a_server_that_is_killed_leaves_nothing_on(tmp_path):
    seed = int(os.environ.get("SABOT_SEED", random.randrange(2**32)))
    print(f"SABOT_SEED={seed}")
    chance = random.Random(seed)
    with Upstream(echo) as upstream:
        proxies = [{"name": name, "listen": "127.0.0.1:0", "upstream": upstream.address} for name in PROXIES]
        config = tmp_path / "sabot.json"
        config.write_text(json.dumps({"proxies": proxies}))
        arguments = ["--config", str(config), "--state-dir", str(tmp_path / "state")]
        asked, seen = [], []
        for _ in range(KILLS):
            on_restart = chance.choice(["resume", "clear"])
            arguments_now = [*arguments, "--on-restart", on_restart]
            if chance.random() < 0.2:
                killed_as_it_starts(arguments_now, chance.random() * 0.1)
                continue
            with Server(*arguments_now) as server:
                check(server, on_restart == "clear", asked, seen)
                asked = [Asking(server, random.Random(chance.random())) for _ in range(2)]
                for thread in asked:
                    thread.start()
                time.sleep(chance.random() * 0.15)
                server.stop(signal.SIGKILL)
        with Server(*arguments, "--on-restart", "resume") as server:
            check(server, False, asked, seen)
            # Those that wait take their turns one after another.
            wait_until(lambda: not on(server) and not live(server), LIMIT_S)
            assert server.get("/v1/audit/verify")["intact"]
            # An end by time is kept a moment after the fault is off.
            wait_until(lambda: not endless(server), LIMIT_S)
            begun = those_that(server, "injection.started")
            assert len(begun) > KILLS / 2, f"{len(begun)} began"


def endless(server):
    """The injections that began and did not end, by the audit."""
    return those_that(server, "injection.started") - those_that(server, "injection.ended")


def those_that(server, action):
    return {event["id"] for event in everything(server, 0) if event["action"] == action}


def live(server):
    states = ("pending", "approved", "running")
    return [it for state in states for it in server.get(f"/injections?state={state}&limit=1000")["injections"]]


def killed_as_it_starts(arguments, after_s):
    command = [BINARY, "serve", "--host", "127.0.0.1", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    process.kill()
    process.wait(LIMIT_S)
