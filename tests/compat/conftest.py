"""What the clients' tests share: an upstream that answers, so that a fault can be felt."""

import pytest

from support.upstream import Upstream, echo


@pytest.fixture
def upstream():
    with Upstream(echo) as running:
        yield running
