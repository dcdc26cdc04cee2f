"""What the tests of `sabot run` are run against."""

import pytest

from support.experiment import Bench, Web
from support.server import Server


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with Server() as server, Web() as web:
        yield Bench(server, web, tmp_path_factory.mktemp("run"))
