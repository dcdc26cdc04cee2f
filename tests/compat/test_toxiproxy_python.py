"""Every verb of PyPI's `toxiproxy-python`, unchanged, against a running server."""

import json

import pytest
from toxiproxy import Toxiproxy
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from support.upstream import connect, has_ended, round_trip


@pytest.fixture
def toxiproxy(server):
    client = Toxiproxy()
    client.update_api_consumer(server.host, server.port)
    return client


@pytest.fixture
def proxy(toxiproxy, upstream):
    return toxiproxy.create(name="echo", upstream=upstream.address)


def address(proxy):
    host, port = proxy.listen.rsplit(":", 1)
    return host, int(port)


def test_running_and_version(toxiproxy):
    assert toxiproxy.running() is True
    assert json.loads(toxiproxy.version())["version"] == "2.12.0"


def test_create_gives_a_proxy_that_works(toxiproxy, upstream):
    proxy = toxiproxy.create(name="echo", upstream=upstream.address)
    assert (proxy.name, proxy.upstream, proxy.enabled) == ("echo", upstream.address, True)
    assert proxy.listen.startswith("127.0.0.1:") and not proxy.listen.endswith(":0")
    with connect(address(proxy)) as client:
        round_trip(client)


def test_create_with_listen_and_disabled(toxiproxy):
    proxy = toxiproxy.create(name="off", upstream="localhost:1", listen="127.0.0.1:0", enabled=False)
    assert (proxy.listen, proxy.enabled) == ("127.0.0.1:0", False)


def test_create_twice_is_refused(toxiproxy, proxy):
    with pytest.raises(ProxyExists):
        toxiproxy.create(name="echo", upstream="localhost:1")


def test_proxies_and_get_proxy(toxiproxy, proxy):
    assert set(toxiproxy.proxies()) == {"echo"}
    assert toxiproxy.get_proxy("echo").listen == proxy.listen
    assert toxiproxy.get_proxy("nobody") is None


def test_destroy_and_destroy_all(toxiproxy, proxy):
    assert toxiproxy.destroy(proxy) is True
    assert toxiproxy.proxies() == {}
    assert toxiproxy.destroy("not a proxy") is False
    for name in ["a", "b"]:
        toxiproxy.create(name=name, upstream="localhost:1")
    toxiproxy.destroy_all()
    assert toxiproxy.proxies() == {}
    with pytest.raises(NotFound):
        proxy.destroy()


def test_populate_leaves_equal_and_replaces_different(toxiproxy, upstream):
    wanted = {"name": "echo", "upstream": upstream.address, "listen": "127.0.0.1:0"}
    (first,) = toxiproxy.populate([wanted])
    same = wanted | {"listen": first.listen}
    assert toxiproxy.populate([same]) == []
    (other,) = toxiproxy.populate([same | {"upstream": "localhost:1"}])
    assert other.upstream == "localhost:1"
    assert list(toxiproxy.proxies()) == ["echo"]


def test_down_refuses_and_comes_back(proxy):
    with proxy.down():
        assert proxy.enabled is False
        with pytest.raises(ConnectionRefusedError):
            connect(address(proxy))
    assert proxy.enabled is True
    with connect(address(proxy)) as client:
        round_trip(client)


def test_disable_and_enable(toxiproxy, proxy):
    with connect(address(proxy)) as client:
        round_trip(client)
        proxy.disable()
        assert toxiproxy.get_proxy("echo").enabled is False
        assert has_ended(client)
    proxy.enable()
    assert toxiproxy.get_proxy("echo").enabled is True


def test_toxics_of_a_proxy(proxy):
    assert proxy.toxics() == {}
    proxy.add_toxic(type="latency", attributes={"latency": 60, "jitter": 0})
    proxy.add_toxic(name="slow", type="bandwidth", stream="upstream", toxicity=0.5, attributes={"rate": 1000})
    toxics = proxy.toxics()
    assert set(toxics) == {"latency_downstream", "slow"}
    assert proxy.get_toxic("slow").attributes == {"rate": 1000}
    assert (proxy.get_toxic("slow").stream, proxy.get_toxic("slow").toxicity) == ("upstream", 0.5)
    assert proxy.get_toxic("latency_downstream").attributes == {"latency": 60, "jitter": 0}
    assert proxy.get_toxic("nobody") is None
    with connect(address(proxy)) as client:
        assert round_trip(client) >= 60


def test_a_toxic_is_destroyed(proxy):
    proxy.add_toxic(type="timeout", attributes={"timeout": 0})
    assert proxy.destroy_toxic("timeout_downstream") is True
    assert proxy.toxics() == {}
    with pytest.raises(NotFound):
        proxy.destroy_toxic("timeout_downstream")


def test_bad_toxics_are_refused(proxy):
    with pytest.raises(InvalidToxic, match="invalid toxic type"):
        proxy.add_toxic(type="nonsense")
    with pytest.raises(InvalidToxic, match="stream was invalid"):
        proxy.add_toxic(type="latency", stream="sideways")
    proxy.add_toxic(type="latency")
    with pytest.raises(ProxyExists, match="toxic already exists"):
        proxy.add_toxic(type="latency")


def test_reset_enables_and_clears(toxiproxy, proxy):
    proxy.add_toxic(type="latency", attributes={"latency": 1000})
    proxy.disable()
    assert toxiproxy.reset() is True
    assert toxiproxy.get_proxy("echo").enabled is True
    assert proxy.toxics() == {}


def test_a_server_that_is_gone_is_seen(toxiproxy, server):
    server.stop()
    assert toxiproxy.running() is False
    assert toxiproxy.version() is None
