"""Every action and probe of PyPI's `chaostoolkit-toxiproxy`, unchanged, against a running server."""

import os

import pytest
from chaostoxi.proxy import actions, probes
from chaostoxi.toxic import actions as toxics

from support.upstream import connect, has_ended, round_trip


@pytest.fixture
def configuration(server, monkeypatch):
    # The actions leave ports in the environment; monkeypatch takes them away again.
    monkeypatch.setenv("echo_PORT", "")
    return {"toxiproxy_host": server.host, "toxiproxy_port": server.port}


@pytest.fixture
def port(configuration, upstream):
    host, port = upstream.address.split(":")
    assert actions.create_proxy("echo", host, int(port), "127.0.0.1", configuration=configuration)
    return int(configuration["echo_PORT"])


def attributes(server, name):
    (found,) = [toxic for toxic in server.get("/proxies/echo/toxics") if toxic["name"] == name]
    return found["type"], found["attributes"]


def test_create_proxy_tells_its_port(server, port, configuration):
    assert os.environ["echo_PORT"] == str(port)
    with connect((server.host, port)) as client:
        round_trip(client)


def test_create_proxy_on_all_interfaces_and_from_the_environment(configuration, upstream, monkeypatch):
    host, port = upstream.address.split(":")
    monkeypatch.setenv("UPSTREAM_HOST", host)
    monkeypatch.setenv("UPSTREAM_PORT", port)
    assert actions.create_proxy("echo", "env:UPSTREAM_HOST", "env:UPSTREAM_PORT", configuration=configuration)
    assert probes.get_proxy_attribute("echo", "upstream", configuration) == upstream.address
    with connect(("127.0.0.1", int(configuration["echo_PORT"]))) as client:
        round_trip(client)


def test_create_proxy_twice_fails(port, configuration):
    with pytest.raises(AssertionError):
        actions.create_proxy("echo", "127.0.0.1", 1, configuration=configuration)


def test_a_base_url_will_do(server):
    assert probes.proxy_exist("echo", {"toxiproxy_url": server.url}) is False


def test_disable_and_enable_keep_the_port(server, port, configuration):
    with connect((server.host, port)) as client:
        round_trip(client)
        assert actions.disable_proxy("echo", configuration)
        assert has_ended(client)
    with pytest.raises(ConnectionRefusedError):
        connect((server.host, port))
    assert actions.enable_proxy("echo", configuration)
    assert int(configuration["echo_PORT"]) == port
    with connect((server.host, port)) as client:
        round_trip(client)


def test_modify_proxy(port, configuration):
    assert actions.modify_proxy("echo", upstream_address="127.0.0.1:1", configuration=configuration)
    assert probes.get_proxy_attribute("echo", "upstream", configuration) == "127.0.0.1:1"
    assert int(configuration["echo_PORT"]) == port
    assert actions.modify_proxy("echo", listen_address="127.0.0.1:0", configuration=configuration)
    with pytest.raises(AssertionError):
        actions.modify_proxy("nobody", enabled=True, configuration=configuration)


def test_probes(port, configuration):
    assert probes.proxy_exist("echo", configuration) is True
    assert probes.proxy_exist("nobody", configuration) is False
    assert probes.get_proxy_attribute("echo", "enabled", configuration) is True
    assert probes.get_proxy_attribute("nobody", "enabled", configuration) is None


def test_delete_proxy(port, configuration):
    actions.delete_proxy("echo", configuration)
    assert probes.proxy_exist("echo", configuration) is False
    # The second time it only warns, as it does against Toxiproxy.
    assert actions.delete_proxy("echo", configuration) is None


def test_reset(server, port, configuration):
    toxics.create_latency_toxic("echo", "late", 1000, configuration=configuration)
    actions.disable_proxy("echo", configuration)
    assert actions.reset(configuration)
    assert server.get("/proxies/echo") | {"listen": ""} == server.get("/proxies/echo") | {"listen": "", "enabled": True, "toxics": []}


def test_create_toxic_with_every_field(server, port, configuration):
    assert toxics.create_toxic("echo", "mine", "latency", "upstream", 0.5, {"latency": 5}, configuration)
    (toxic,) = server.get("/proxies/echo/toxics")
    assert toxic == {
        "name": "mine",
        "type": "latency",
        "stream": "upstream",
        "toxicity": 0.5,
        "attributes": {"latency": 5, "jitter": 0},
    }


def test_create_toxic_without_attributes(server, port, configuration):
    # The client sends `"attributes": null` then.
    assert toxics.create_toxic("echo", "mine", "latency", configuration=configuration)
    assert attributes(server, "mine") == ("latency", {"latency": 0, "jitter": 0})


EACH = {
    "latency": (toxics.create_latency_toxic, {"latency": 60, "jitter": 0}),
    "bandwidth": (toxics.create_bandwith_degradation_toxic, {"rate": 100}),
    "slow_close": (toxics.create_slow_connection_close_toxic, {"delay": 100}),
    "timeout": (toxics.create_timeout_toxic, {"timeout": 100}),
    "slicer": (toxics.create_slicer_toxic, {"average_size": 64, "size_variation": 8, "delay": 100}),
    "limit_data": (toxics.create_limiter_toxic, {"bytes": 100}),
}


@pytest.mark.parametrize("kind", EACH)
def test_each_toxic_action_and_delete(server, port, configuration, kind):
    create, wanted = EACH[kind]
    arguments = {"bytes_limit" if name == "bytes" else name: value for name, value in wanted.items()}
    assert create("echo", "mine", **arguments, configuration=configuration) is True
    assert attributes(server, "mine") == (kind, wanted)
    assert toxics.delete_toxic("echo", "mine", configuration)
    assert server.get("/proxies/echo/toxics") == []
    assert not toxics.delete_toxic("echo", "mine", configuration)


def test_latency_is_felt(server, port, configuration):
    toxics.create_latency_toxic("echo", "late", 60, configuration=configuration)
    with connect((server.host, port)) as client:
        assert round_trip(client) >= 60
