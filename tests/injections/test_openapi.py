"""Requests made from the description of the API, sound and unsound, by schemathesis: none breaks the server, and what
it answers is as it is described. The same every time: nothing is drawn anew.

Left out: what never ends (event streams), and what creates or moves proxies, which would listen wherever chance says
so; a fuzz target has the bodies of those.
"""

import re
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from asking import body
from support.server import Server
from support.upstream import Upstream, echo

# For each of the operations: those that a sound one has, and some that chance makes of them.
EXAMPLES = 8

ENDLESS = re.compile(r"/(events|requests)$")
LISTENS = [("POST", r"^/populate$"), ("POST", r"^(/v1)?/proxies$"), ("(POST|PATCH)", r"^(/v1)?/proxies/\{proxy\}$")]

# What the journal or a fault that cannot be put on brings is described; anything else is ours.
DESCRIBED = {501, 502, 503}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    state = tmp_path_factory.mktemp("state")
    with Upstream(echo) as upstream, Server("--state-dir", str(state)) as server:
        for name in ("payments", "other"):
            server.proxy(upstream.address, name)
        server.post("/v1/proxies/payments/toxics", {"type": "latency", "name": "slow"})
        server.post("/injections", body("payments", fault={"type": "latency", "latency": 1}))
        yield server


@pytest.fixture(scope="module")
def api(served):
    schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json")
    schema = schema.exclude(path_regex=ENDLESS.pattern)
    for method, path in LISTENS:
        schema = schema.exclude(method_regex=method, path_regex=path)
    return schema


FEW = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

CHECKS = [response_schema_conformance, content_type_conformance, status_code_conformance]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["sound", "unsound"])
def test_nothing_that_is_asked_breaks_it(api, mode):
    asked = [operation.ok() for operation in api.get_all_operations()]
    assert len(asked) > 30
    for operation in asked:
        try:
            ask(operation.as_strategy(generation_mode=mode))
        except (SkipTest, Unsatisfiable):
            # There is nothing about it that could be unsound.
            assert mode is GenerationMode.NEGATIVE


def ask(cases):
    @FEW
    @given(case=cases)
    def asked(case):
        answer = case.call(timeout=60)
        told = f"{case.as_curl_command()}: {answer.status_code} {answer.content[:500]}"
        assert answer.status_code < 500 or answer.status_code in DESCRIBED, told
        case.validate_response(answer, checks=CHECKS)

    asked()
