"""`sabot run` and what its tests break: a small web server, experiments as data, runs of them."""

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support.server import BINARY
from support.upstream import wait_until

# Far more than any run takes: nothing here is about speed.
LIMIT_S = 90


class Web:
    """A web server that keeps what it was asked for; use it in a `with`.

    `/broken…` is answered with 500, as is everything while `broken` is set.
    """

    def __init__(self):
        web = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                web.asked.append((self.path, self.headers.get("x-number")))
                self.send_response(500 if web.broken or self.path.startswith("/broken") else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.asked, self.broken = [], False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Bench:
    """A server of Sabot's, a web server, and a folder for files; runs experiments against them."""

    def __init__(self, server, web, folder):
        self.server, self.web, self.folder = server, web, folder

    def proxy(self, name="p"):
        return self.server.proxy(self.web.address, name, protocol="http")

    def experiment(self, proxy, **changes):
        """An experiment that is fine as it is: half a second of latency, which nobody minds."""
        whole = {
            "title": f"A fault on {proxy.name}",
            "hypothesis": "Nobody minds.",
            "load": load(f"http://127.0.0.1:{proxy.port}"),
            "slos": ["error_rate < 20% over 1s"],
            "faults": [{"proxy": proxy.name, "type": "latency", "attributes": {"latency": "50ms"}}],
            "windows": {"warm_up": "0s", "baseline": "2s", "fault": "3s", "recovery": "3s"},
            "stable": "1s",
        }
        return whole | changes

    def file(self, content, name="experiment.yaml"):
        """Writes a file; an object becomes JSON, which YAML takes."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def start(self, file, *arguments, under=(), output="json", **environment):
        """Starts `sabot run` on a file, with records as JSON on stdout unless told; `under` another program, such as nohup."""
        command = [*under, BINARY, "run", str(file), "-o", output, *map(str, arguments)]
        kept = {"SABOT_URL": self.server.url, "SABOT_STATE_DIR": str(self.folder)}
        environment = os.environ | kept | environment
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, content, *arguments, name="experiment.yaml", code=0, **environment):
        """Runs a file or an experiment to its end; answers its records."""
        file = content if not isinstance(content, (dict, str)) else self.file(content, name)
        with self.start(file, *arguments, **environment) as process:
            return ended(process, code)

    def refused(self, content, *arguments, name="experiment.yaml", **environment):
        """Runs what cannot be run; answers what was said. Nothing was sent, nothing is on."""
        asked = len(self.web.asked)
        with self.start(self.file(content, name), *arguments, **environment) as process:
            out, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 2, said
        assert json.loads(out or "[]") == [] and len(self.web.asked) == asked, said
        return json.loads(said.splitlines()[-1])["error"]


def ended(process, code=0):
    """Waits for a run's end; answers its records."""
    out, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code, said + out
    return json.loads(out)


def load(target, **changes):
    """Forty requests a second, patient with a busy machine."""
    patient = {"timeout": "20s", "connect_timeout": "20s", "queue_timeout": "20s"}
    return {"target": target, "rate": "40/s", "arrivals": "uniform", **patient, **changes}


def on(proxy):
    """The toxics of runs that act on a proxy now; a rehearsal's are drawn for nobody."""
    return [toxic for toxic in proxy.view()["toxics"] if toxic["toxicity"] > 0]


def wait_for_fault(proxy):
    """Waits until a run has put its fault on; answers the toxic."""
    wait_until(lambda: on(proxy), LIMIT_S)
    return on(proxy)[0]
