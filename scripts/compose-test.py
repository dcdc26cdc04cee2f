#!/usr/bin/env python3
"""Brings compose/compose.yaml up for real, with an engine of its own, and looks whether it works.

    scripts/compose-test.py --sabot target/debug/sabot

Needs root, docker.io, docker-compose, prometheus, redis-server, postgresql. The engine runs in a network
namespace of its own with all its data in a temporary directory, and ends with the test. No registry is
asked: the base images are made of this machine's own programs, and the builder's `cargo build` hands over
the program that is given, so what is tested is the image, the file and the lab, not that compilation.
Grafana is left out: nothing on a Debian machine could stand in for it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 120
SERVICES = ["sabot", "api", "orders-1", "orders-2", "payments", "primary", "replica", "redis", "prometheus"]
POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: float(path.parent.name))
SHELL = ["sh", "cat", "rm", "mkdir", "install", "cp", "chmod", "sleep", "env"]


def say(text):
    print(f"compose-test: {text}", flush=True)


class Rootfs:
    """An image's files, taken from this machine with the libraries that they need."""

    def __init__(self):
        self.buffer = BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", dereference=True)
        self.there = set()
        self.text("etc/passwd", "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/data:/bin/sh\nnonroot:x:65532:65532::/:/bin/sh\n")
        self.text("etc/nsswitch.conf", "hosts: files dns\n")
        for directory, mode in (("tmp", 0o1777), ("data", 0o1777), ("prometheus", 0o1777)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            self.tar.addfile(entry)

    def text(self, path, text, mode=0o644):
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(text.encode()), mode
        self.tar.addfile(entry, BytesIO(text.encode()))

    def file(self, source, path=None):
        path = str(path or source).lstrip("/")
        if path not in self.there:
            self.there.add(path)
            self.tar.add(source, path, recursive=True)

    def program(self, source, path=None):
        self.file(source, path)
        libraries = subprocess.run(["ldd", source], capture_output=True, text=True).stdout
        for word in libraries.split():
            if word.startswith("/"):
                self.file(word)

    def shell(self):
        for name in SHELL:
            self.program(shutil.which(name), f"bin/{name}")
        return self

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()


def builder(sabot):
    """Stands in for Rust's image: what its RUN lines call is there, and cargo hands over `sabot`."""
    root = Rootfs().shell()
    root.program(shutil.which("strip"), "bin/strip")
    root.file(sabot, "prebuilt/sabot")
    root.text("bin/apt-get", "#!/bin/sh\nexit 0\n", 0o755)
    root.text("bin/cargo", "#!/bin/sh\nset -e\nmkdir -p target/release\ncp /prebuilt/sabot target/release/sabot\n", 0o755)
    return root.bytes()


def runtime(sabot):
    """Stands in for distroless: the libraries of the program, and no shell."""
    root = Rootfs()
    libraries = subprocess.run(["ldd", sabot], capture_output=True, text=True, check=True).stdout
    for word in libraries.split():
        if word.startswith("/"):
            root.file(word)
    return root.bytes()


def postgres():
    root = Rootfs().shell()
    for name in ("initdb", "postgres", "pg_ctl", "psql", "pg_isready", "pg_basebackup"):
        root.program(POSTGRES / name)
    for library in (POSTGRES.parent / "lib").glob("*.so"):
        root.program(library)
    root.file(f"/usr/share/postgresql/{POSTGRES.parent.name}")
    root.file("/usr/share/zoneinfo/UTC")
    return root.bytes()


def redis():
    root = Rootfs()
    for name in ("redis-server", "redis-cli"):
        root.program(shutil.which(name))
    return root.bytes()


def prometheus():
    root = Rootfs()
    root.program(shutil.which("prometheus"))
    root.program(shutil.which("promtool"))
    for path in ("/usr/share/prometheus", "/etc/prometheus"):
        if Path(path).exists():
            root.file(path)
    return root.bytes()


class Engine:
    """A Docker engine in a network namespace of its own."""

    def __init__(self, stack):
        self.directory = Path(tempfile.mkdtemp(prefix="sabot-compose-"))
        stack.callback(self.remove)
        self.name = self.directory.name
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        stack.callback(subprocess.run, ["ip", "netns", "delete", self.name])
        # nsenter and not `ip netns exec`, which would empty the mounts of the control groups.
        self.enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        subprocess.run([*self.enter, "ip", "link", "set", "lo", "up"], check=True)
        self.host = f"unix://{self.directory}/d.sock"
        command = ["dockerd", "-H", self.host]
        for option, name in (("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "d.pid")):
            command += [option, str(self.directory / name)]
        log = open(self.directory / "dockerd.log", "w")
        self.process = subprocess.Popen([*self.enter, *command], stdout=log, stderr=subprocess.STDOUT)
        stack.callback(self.stop)
        until("the engine answers", lambda: self.docker("version", check=False).returncode == 0)

    def docker(self, *arguments, check=True, **more):
        return self.run(["docker", "-H", self.host, *arguments], check, **more)

    def compose(self, *arguments, check=True):
        command = ["docker-compose", "-H", self.host, "-p", "lab", "-f", "compose/compose.yaml"]
        return self.run([*command, *arguments], check)

    def run(self, command, check=True, **more):
        environment = {
            **os.environ,
            "DOCKER_BUILDKIT": "0",
            "SABOT_TAG": "test",
            "POSTGRES_IMAGE": "local/postgres",
            "REDIS_IMAGE": "local/redis",
            "PROMETHEUS_IMAGE": "local/prometheus",
        }
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=10 * LIMIT_S, **more)
        if check and run.returncode != 0:
            raise SystemExit(f"{' '.join(command)}:\n{run.stdout.decode()}{run.stderr.decode()}")
        return run

    def image(self, name, rootfs, *changes):
        options = [part for change in changes for part in ("--change", change)]
        self.docker("import", *options, "-", name, input=rootfs)

    def curl(self, url, *arguments):
        command = [*self.enter, "curl", "-s", "-m", "10", "-w", "\n%{http_code}", url, *arguments]
        body, _, status = subprocess.run(command, capture_output=True, text=True).stdout.rpartition("\n")
        return int(status or 0), body

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def remove(self):
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(str(self.directory))), reverse=True):
            subprocess.run(["umount", "-l", mount])
        shutil.rmtree(self.directory, ignore_errors=True)


def until(what, so):
    deadline = time.monotonic() + LIMIT_S
    while not (said := so()):
        if time.monotonic() > deadline:
            raise SystemExit(f"compose-test: not in {LIMIT_S} s: {what}")
        time.sleep(0.2)
    return said


def make_images(engine, sabot):
    path = f"ENV PATH={POSTGRES}:/usr/bin:/bin"
    engine.image("local/builder", builder(sabot), "ENV PATH=/bin")
    engine.image("local/runtime", runtime(sabot))
    engine.image("local/postgres", postgres(), path)
    engine.image("local/redis", redis(), "ENV PATH=/usr/bin:/bin")
    engine.image("local/prometheus", prometheus(), 'ENV PATH=/usr/bin:/bin\nENTRYPOINT ["/usr/bin/prometheus"]')
    bases = ["--build-arg", "BUILDER=local/builder", "--build-arg", "RUNTIME=local/runtime"]
    engine.docker("build", *bases, "-f", "compose/Dockerfile", "-t", "sabot-lab:test", ".")
    size = int(engine.docker("image", "inspect", "-f", "{{.Size}}", "sabot-lab:test").stdout)
    user = engine.docker("image", "inspect", "-f", "{{.Config.User}}", "sabot-lab:test").stdout.decode().strip()
    say(f"the image has {size / 1e6:.0f} MB and runs as {user}")
    assert user.split(":")[0] not in ("", "0", "root")


def health(engine):
    """Container by service → its health, or its state where it has no check."""
    found = {}
    for service in SERVICES:
        identity = engine.compose("ps", "-q", service).stdout.decode().strip()
        state = "{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}"
        found[service] = engine.docker("inspect", "-f", state, identity, check=False).stdout.decode().strip()
    return found


def look(engine):
    """A client's way through the lab, a fault on it, and what Prometheus saw."""
    shop, sabot = "http://127.0.0.1:8080", "http://127.0.0.1:8474"
    status, answer = engine.curl(f"{shop}/tokens", "-d", '{"tenant": "t1"}')
    assert status == 200, answer
    token = ["-H", f"Authorization: Bearer {json.loads(answer)['token']}"]
    until("an order is found", lambda: engine.curl(f"{shop}/orders/t1-7", *token)[0] == 200)
    order = [*token, "-d", '{"item": "shoe", "amount_cents": 500}']
    status, answer = engine.curl(f"{shop}/orders", *order)
    assert status == 201, answer
    identity = json.loads(answer)["id"]
    until("the replica follows", lambda: engine.curl(f"{shop}/orders/{identity}", *token)[0] == 200)
    fault = '{"name": "fault", "type": "http_abort", "attributes": {"status": 503}}'
    assert engine.curl(f"{sabot}/v1/proxies/payments/toxics", "-d", fault, "-H", "Content-Type: application/json")[0] in (200, 201)
    status, answer = engine.curl(f"{shop}/orders", *order)
    assert status == 502, answer
    say("orders go through; with payments broken they fail, as they should without mitigations")

    def prometheus(query):
        status, answer = engine.curl("http://127.0.0.1:9091/api/v1/query", "--data-urlencode", f"query={query}")
        return json.loads(answer)["data"]["result"] if status == 200 else []

    until("Prometheus reaches everyone", lambda: len(prometheus("up == 1")) == 5)
    until("Prometheus saw the requests", lambda: prometheus('lab_requests_total{service="api",status="502"}'))
    until("Prometheus saw the fault", lambda: prometheus('sabot_faults_applied_total{proxy="payments"} > 0'))
    say("Prometheus has the services, the requests and the fault")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sabot", required=True, type=Path)
    sabot = parser.parse_args().sabot.resolve()
    programs = ["dockerd", "docker", "docker-compose", "prometheus", "promtool", "redis-server", "ip", "nsenter", "curl", "iptables"]
    missing = [name for name in programs if not shutil.which(name)] + ([] if POSTGRES else ["postgresql"])
    if missing or os.geteuid() != 0:
        sys.exit(f"compose-test: needs root, and of programs: {', '.join(missing) or 'all are there'}")
    with ExitStack() as stack:
        engine = Engine(stack)
        say("an engine is up")
        make_images(engine, sabot)
        stack.callback(engine.compose, "down", "-v", "-t", "2", check=False)
        try:
            engine.compose("up", "-d", "--no-build", *SERVICES)
            wanted = {service: "healthy" for service in SERVICES}
            until("all containers are healthy", lambda: health(engine) == wanted)
            say("all containers are healthy")
            look(engine)
        except BaseException:
            print(health(engine), engine.compose("logs", "--tail", "20", check=False).stdout.decode(), file=sys.stderr)
            raise
    say("everything worked, and nothing is left")


if __name__ == "__main__":
    main()
