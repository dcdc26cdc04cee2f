"""A real nginx to put behind an HTTP proxy, and curl to ask with.

nginx listens on a Unix socket, as Redis does in `support/peers.py`, so no port is taken. It serves the
files of its directory, takes uploads by PUT, and writes one line into its access log for each request
that it has read: what reached it is what stands there.
"""

import os
import shutil
import subprocess
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.peers import running
from support.upstream import wait_until

# 1.1 on every connection, by an upgrade and with prior knowledge.
HTTP1, HTTP2 = ["--http1.1"], ["--http2-prior-knowledge"]

TEXT = b"".join(b"line %03d\n" % number for number in range(100))
JSON = b'{"amount": 5, "currency": "EUR"}'
BIG = bytes(number * 7 % 251 for number in range(65536))
EVENTS = [b"id: %d\ndata: token %d\n\n" % (number, number) for number in range(10)]

CONFIG = """
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
  log_format one '$request_method $request_uri $status';
  access_log {directory}/access.log one;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  scgi_temp_path {directory}/scgi;
  uwsgi_temp_path {directory}/uwsgi;
  types {{ text/plain txt; application/json json; text/event-stream sse; application/octet-stream bin; }}
  client_max_body_size 200m;
  keepalive_requests 1000000;
  # How long it reads on when it has answered before the end of a body.
  lingering_timeout 200ms;
  if_modified_since before;
  gzip on;
  gzip_types text/plain;
  gzip_min_length 100;
  server {{
    listen unix:{directory}/nginx.sock;
    root {directory}/files;
    location /echo {{ return 200 "$request_method $request_uri probe=$http_x_probe\\n"; }}
    location /once {{ return 200 "$request_id\\n"; }}
    location /chunked {{
      # With the end of the body unknown beforehand, nginx sends it in chunks.
      sub_filter line ROW; sub_filter_once off; sub_filter_types text/plain; gzip off;
      alias {directory}/files/text.txt;
    }}
    location /put/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location /refused {{ return 413; }}
  }}
}}
"""


@dataclass
class Nginx:
    """A running nginx."""

    directory: Path

    @property
    def upstream(self):
        return f"unix:{self.directory}/nginx.sock"

    @property
    def socket(self):
        return f"{self.directory}/nginx.sock"

    def asked(self):
        """What it has read so far, one line a request.

        It logs a request before it reads the next, so a question of our own marks the end.
        """
        mark = f"/mark/{uuid.uuid4()}"
        answer = curl(mark, socket=self.socket)
        assert answer.status == 404, answer
        path = self.directory / "access.log"
        wait_until(lambda: mark in path.read_text("latin-1"))
        lines = path.read_text("latin-1").split(f"GET {mark}")[0].splitlines()
        return [line for line in lines if " /mark/" not in line]


@contextmanager
def nginx():
    with tempfile.TemporaryDirectory(prefix="sabot-nginx-") as name:
        directory = Path(name)
        files = directory / "files"
        (files / "put").mkdir(parents=True)
        (files / "text.txt").write_bytes(TEXT)
        (files / "data.json").write_bytes(JSON)
        (files / "big.bin").write_bytes(BIG)
        (files / "events.sse").write_bytes(b"".join(EVENTS))
        user = "user root;\n" if os.geteuid() == 0 else ""
        (directory / "nginx.conf").write_text(user + CONFIG.format(directory=directory))
        # Debian's nginx stands where not every user's PATH leads.
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        command = [program, "-c", f"{directory}/nginx.conf", "-p", f"{directory}/", "-e", "stderr"]
        with running(command, "event method"):
            yield Nginx(directory)


@dataclass
class Answer:
    """What curl saw of one request."""

    exit: int
    status: int
    ms: float
    body: bytes
    # In order, names as they came.
    headers: list
    version: str
    error: str

    def header(self, name):
        """The values of a header."""
        return [value for given, value in self.headers if given.lower() == name]

    def meaning(self):
        """All of it that does not depend on when it was asked, and over which version."""
        hop = ["date", "connection", "keep-alive", "transfer-encoding"]
        return self.exit, self.status, self.body, [(n.lower(), v) for n, v in self.headers if n.lower() not in hop]


def curl(path, port=None, socket=None, version=HTTP1, arguments=(), limit_s=20, stdin=b""):
    """Asks for `path` at a port of the loopback or at a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="sabot-curl-") as directory:
        head, body = f"{directory}/head", f"{directory}/body"
        where = ["--unix-socket", socket] if socket else []
        url = f"http://test.example{path}" if socket else f"http://127.0.0.1:{port}{path}"
        shown = "%{http_code} %{time_total} %{http_version}"
        command = ["curl", "-sS", "-q", "--noproxy", "*", "--path-as-is", *version, *where, "-m", str(limit_s)]
        command += ["-D", head, "-o", body, "-w", shown, *arguments, url]
        run = subprocess.run(command, input=stdin, capture_output=True, timeout=limit_s + 10)
        status, seconds, version = run.stdout.decode().split()
        heads = Path(head).read_text("latin-1") if os.path.exists(head) else ""
        # Of several heads, 100 or 101 before the answer's, the last counts.
        last = heads.replace("\r\n", "\n").strip("\n").split("\n\n")[-1].split("\n")[1:]
        pairs = [tuple(part.strip() for part in line.split(":", 1)) for line in last]
        # For a HEAD curl's output is the head.
        content = Path(body).read_bytes() if os.path.exists(body) and "-I" not in arguments else b""
        error = run.stderr.decode(errors="replace").strip()
        return Answer(run.returncode, int(status), float(seconds) * 1000, content, pairs, version, error)
