"""What the clients' tests share: an upstream that answers, so that a fault can be felt; and both ways to
carry out an experiment of the Chaos Toolkit, with a service for it."""

from functools import partial

import pytest

from support import chaostoolkit
from support.upstream import Upstream, echo


@pytest.fixture
def upstream():
    with Upstream(echo) as running:
        yield running


@pytest.fixture
def service():
    with chaostoolkit.Service() as running:
        yield running
        running.shutdown()


@pytest.fixture
def real(tmp_path):
    return partial(chaostoolkit.run_real, tmp_path)


@pytest.fixture
def sabot(tmp_path, server):
    return partial(chaostoolkit.run_sabot, tmp_path, server.url)
