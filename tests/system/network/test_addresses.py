"""Containers on the default network: addresses, the way out, other modes."""

from __future__ import annotations

import os

import pytest

from core.errors import Conflict, NotFound
from core.model import Port
from core.network.attachment import veth
from tests.namespaces import Container, Namespace, ask_here
from tests.system.network.lab import BRIDGE, FAR, HOST, SOME, Lab, run


def test_containers_reach_each_other_and_the_gateway(lab: Lab) -> None:
    first = lab.start("a", serve=["80/tcp", "53/udp"])
    second = lab.start("b")
    assert (first.address, second.address) == ("10.77.0.2", "10.77.0.3")
    assert second.ask("tcp", first.address, 80) == f"a {second.address}"
    assert second.ask("udp", first.address, 53) == f"a {second.address}"
    assert ask_here("tcp", first.address, 80) == "a 10.77.0.1"


def test_outgoing_traffic_comes_from_the_host(lab: Lab, neighbour: Namespace) -> None:
    neighbour.serve("far", "80/tcp", "53/udp", address=FAR)
    container = lab.start("a")
    assert container.ask("tcp", FAR, 80) == f"far {HOST}"
    assert container.ask("udp", FAR, 53) == f"far {HOST}"


def test_without_an_attachment_there_is_loopback_only() -> None:
    from tests.namespaces import CONFIGURE, _python

    with Namespace() as container:
        import marshal

        container.run(*_python(CONFIGURE), stdin=marshal.dumps(()))
        assert "127.0.0.1" in container.run("ip", "-br", "-4", "addr")
        assert container.run("ip", "-br", "link").count("\n") == 1
        assert container.run("ip", "route") == ""


@pytest.mark.parametrize("mode", ["host", "none"])
def test_other_networks_need_nothing(lab: Lab, mode: str) -> None:
    assert lab.network.prepare(SOME, mode, (), dict) == {
        "mode": mode, "ports": [], "attachments": [],
    }  # fmt: skip
    assert BRIDGE not in run("ip link")
    with pytest.raises(Conflict, match="no ports"):
        lab.network.prepare(SOME, mode, (Port("", 80, 80),), dict)


def test_an_unknown_network_is_named(lab: Lab) -> None:
    with pytest.raises(NotFound, match="'web'"):
        lab.network.prepare(SOME, "web", (), dict)


def test_a_start_replaces_the_device_that_an_earlier_one_left(lab: Lab) -> None:
    prepared = lab.prepare("a")
    with Container(prepared) as before, Container(prepared) as after:
        assert before.run("ip", "-br", "link").count("\n") == 1
        assert "eth0" in after.run("ip", "-br", "link")


def test_a_missing_bridge_is_named(lab: Lab) -> None:
    prepared = lab.prepare("a")
    lab.network.teardown()
    with Namespace() as other:
        fd = os.open(other.path, os.O_RDONLY)
        try:
            with pytest.raises(OSError, match=BRIDGE):
                veth.attach(fd, prepared["attachments"][0])
        finally:
            os.close(fd)
