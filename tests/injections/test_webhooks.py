"""Who is told: by a real HTTP server, and in the words of those who made the formats."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from asking import LIMIT_S, body
from support.server import Server
from support.upstream import Upstream, echo, wait_until


class Told(ThreadingHTTPServer):
    """Keeps what it is told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Listening)
        self.heard = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Listening(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, dict(self.headers), json.loads(raw)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def told():
    with Told() as running:
        yield running
        running.shutdown()


def test_the_on_call_is_told_of_the_start_and_the_end(tmp_path, told, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", told.url)
    webhooks = [
        {"url": f"{told.url}/slack", "format": "slack"},
        {"url": f"{told.url}/json", "on": ["ended"], "headers": {"Authorization": "Bearer of-nobody"}},
        {"url": f"{told.url}/grafana", "format": "grafana"},
    ]
    config = tmp_path / "sabot.json"
    config.write_text(json.dumps({"proxies": [], "injections": {"webhooks": webhooks}}))
    with Server("--config", str(config)) as server, Upstream(echo) as upstream:
        server.proxy(upstream.address, "payments")
        id = server.post("/injections", body(fault={"type": "latency", "p50_ms": 5, "p99_ms": 9}))["id"]
        server.delete(f"/injections/{id}")
        wait_until(lambda: len(told.heard) >= 6, LIMIT_S)
        assert "of-nobody" not in "".join(server.log)
    heard = {path: [message for at, _, message in told.heard if at == path] for path, _, _ in told.heard}
    assert [id in message["text"] for message in heard["/slack"]] == [True, True]
    assert [message["injection"]["state"] for message in heard["/json"]] == ["reverted"]
    start, region = heard["/grafana"]
    assert "timeEnd" not in start and region["timeEnd"] >= region["time"] == start["time"]
    [headers] = [headers for path, headers, _ in told.heard if path == "/json"]
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == "Bearer of-nobody"
    # By OpenTelemetry's own definition of the message.
    [exported] = heard["/v1/traces"]
    parsed = json_format.ParseDict(exported, ExportTraceServiceRequest())
    span = parsed.resource_spans[0].scope_spans[0].spans[0]
    attributes = {each.key: each.value.string_value for each in span.attributes}
    assert span.name == "fault latency" and attributes["sabot.injection"] == id
    assert attributes["sabot.fault.p50_ms"] == "5" and attributes["sabot.targets"] == "payments"
    assert span.end_time_unix_nano >= span.start_time_unix_nano > 0
    assert [event.name for event in span.events] == ["fault_event start", "fault_event stop"]
