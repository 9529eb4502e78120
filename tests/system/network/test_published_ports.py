"""Ports of containers on the host: who reaches them, and who has one already."""

from __future__ import annotations

import socket

import pytest

from core.errors import Conflict, HostError
from core.model import Port
from core.network.ports import publishing
from core.network.ports.holders import Holder
from tests.namespaces import Container, Namespace, ask_here
from tests.system.network.lab import BRIDGE, HOST, NEIGHBOUR, SUBNET, Lab, run


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_published_everywhere(lab: Lab, neighbour: Namespace, protocol: str) -> None:
    container = lab.start("a", Port("", 8080, 80, protocol), serve=[f"80/{protocol}"])
    other = lab.start("b")
    assert neighbour.ask(protocol, HOST, 8080) == f"a {NEIGHBOUR}"
    assert ask_here(protocol, "127.0.0.1", 8080) == "a 10.77.0.1"
    assert ask_here(protocol, HOST, 8080) == f"a {HOST}"
    assert other.ask(protocol, HOST, 8080) == "a 10.77.0.1"
    assert container.ask(protocol, HOST, 8080) == "a 10.77.0.1"
    assert ask_here(protocol, "127.0.0.1", 8081) == "nothing"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_published_on_loopback_is_the_hosts_alone(
    lab: Lab, neighbour: Namespace, protocol: str
) -> None:
    container = lab.start("a", Port("127.0.0.1", 8080, 80, protocol), serve=[f"80/{protocol}"])
    assert ask_here(protocol, "127.0.0.1", 8080) == "a 10.77.0.1"
    assert ask_here(protocol, HOST, 8080) == "nothing"
    assert neighbour.ask(protocol, HOST, 8080) == "nothing"
    # Nor when it sends to 127.0.0.1 over the wire.
    neighbour.run("ip", "route", "del", "local", "127.0.0.0/8", "table", "local")
    neighbour.run("ip", "route", "del", "local", "127.0.0.1", "table", "local")
    neighbour.run("ip", "route", "add", "127.0.0.1", "via", HOST)
    neighbour.run("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
    assert neighbour.ask(protocol, "127.0.0.1", 8080) == "nothing"
    assert container.address == "10.77.0.2"


def test_a_port_published_on_one_address(lab: Lab, neighbour: Namespace) -> None:
    lab.start("a", Port(HOST, 8080, 80), serve=["80/tcp"])
    assert neighbour.ask("tcp", HOST, 8080) == f"a {NEIGHBOUR}"
    assert ask_here("tcp", HOST, 8080) == f"a {HOST}"
    assert ask_here("tcp", "127.0.0.1", 8080) == "nothing"


def test_the_same_port_on_two_addresses(lab: Lab, neighbour: Namespace) -> None:
    lab.start("a", Port(HOST, 8080, 80), serve=["80/tcp"])
    lab.start("b", Port("127.0.0.1", 8080, 80), serve=["80/tcp"])
    assert neighbour.ask("tcp", HOST, 8080) == f"a {NEIGHBOUR}"
    assert ask_here("tcp", "127.0.0.1", 8080) == "b 10.77.0.1"


def test_a_thousand_ports_and_back(lab: Lab) -> None:
    publish = [Port("127.0.0.1", number, number, "udp") for number in range(20000, 22100)]
    prepared = lab.prepare("a", *publish)
    where = (prepared["table"], prepared["address"], prepared["ports"])
    publishing.publish(*where)
    assert run(f"nft list map inet {BRIDGE} one_address").count("10.77.0.2") == len(publish)
    publishing.unpublish(where[0], where[2])
    assert "10.77.0.2" not in run(f"nft list map inet {BRIDGE} one_address")


def test_no_port_is_reachable_that_was_not_published(lab: Lab, neighbour: Namespace) -> None:
    """Even by a neighbour that routes the containers' subnet to this host."""
    container = lab.start("a", Port("127.0.0.1", 8080, 80), serve=["80/tcp", "81/tcp", "53/udp"])
    neighbour.run("ip", "route", "add", SUBNET, "via", HOST)
    for protocol, port in (("tcp", 80), ("tcp", 81), ("udp", 53)):
        assert neighbour.ask(protocol, container.address, port) == "nothing"


def test_a_container_does_not_reach_the_hosts_loopback(lab: Lab) -> None:
    """Not even one that sends packets to 127.0.0.1 over the bridge (as in CVE-2020-8558)."""
    container = lab.start("a", Port("", 8080, 80), serve=["80/tcp"])
    container.run("ip", "route", "del", "local", "127.0.0.0/8", "table", "local")
    container.run("ip", "route", "del", "local", "127.0.0.1", "table", "local")
    container.run("ip", "route", "add", "127.0.0.1", "via", "10.77.0.1")
    container.run("sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1")
    with socket.create_server(("127.0.0.1", 8888)):
        assert container.ask("tcp", "127.0.0.1", 8888) == "nothing"
        assert ask_here("tcp", "127.0.0.1", 8080) == "a 10.77.0.1"


def test_a_udp_sender_that_goes_on_reaches_the_next_container(
    lab: Lab, neighbour: Namespace
) -> None:
    """A flow is redirected by its first packet; it must not go to where that was for ever."""
    assert neighbour.ask("udp", HOST, 5300, source_port=4444) == "nothing"
    prepared = lab.prepare("a", Port("", 5300, 53, "udp"))
    with Container(prepared) as first:
        first.serve("a", "53/udp")
        where = (prepared["table"], prepared["address"], prepared["ports"])
        publishing.publish(*where)
        assert neighbour.ask("udp", HOST, 5300, source_port=4444) == f"a {NEIGHBOUR}"
        publishing.unpublish(where[0], where[2])
        assert neighbour.ask("udp", HOST, 5300, source_port=4444) == "nothing"
        lab.start("b", Port("", 5300, 53, "udp"), serve=["53/udp"])
        assert neighbour.ask("udp", HOST, 5300, source_port=4444) == f"b {NEIGHBOUR}"


# -- who has a port ------------------------------------------------------------------


def test_a_port_of_a_container_names_the_container(lab: Lab) -> None:
    held = {("0.0.0.0", 8080, 80, "tcp"): Holder("web")}
    for ip in ("", "127.0.0.1"):
        with pytest.raises(Conflict, match="8080/tcp is published by container web") as caught:
            lab.prepare("a", Port(ip, 8080, 81), taken=lambda: held)
        assert caught.value.hint
    assert lab.prepare("a", Port("", 8080, 81, "udp"), taken=lambda: held)["ports"]


def test_a_port_of_a_program_is_not_taken_from_it(lab: Lab) -> None:
    with (
        socket.create_server(("127.0.0.1", 8080)),
        pytest.raises(Conflict, match=r"8080/tcp on 0\.0\.0\.0 is used by a program") as caught,
    ):
        lab.prepare("a", Port("", 8080, 80))
    assert "ss -" in caught.value.hint


def test_a_published_port_is_refused_to_programs_of_the_host(lab: Lab) -> None:
    lab.start("a", Port("", 8080, 80), serve=["80/tcp"])
    with pytest.raises(OSError, match="in use"), socket.create_server(("", 8080)):
        pass


def test_a_port_whose_last_connections_linger_is_free(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 8080)) as server:
        client = socket.create_connection(("127.0.0.1", 8080))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    assert lab.prepare("a", Port("127.0.0.1", 8080, 80))["ports"]


def test_a_free_port_is_chosen(lab: Lab) -> None:
    first, second = lab.prepare("a", Port("", 0, 80), Port("", 0, 80))["ports"]
    assert first[1] != second[1]
    assert min(first[1], second[1]) >= 1024


def test_a_free_port_of_a_range_is_taken(lab: Lab) -> None:
    wanted = Port("", 8080, 80, "tcp", 8082)
    held = {("0.0.0.0", 8080, 80, "tcp"): Holder("web")}
    with socket.create_server(("127.0.0.1", 8081)):
        assert lab.prepare("a", wanted, taken=lambda: held)["ports"] == [
            ("0.0.0.0", 8082, 80, "tcp")
        ]
        with pytest.raises(Conflict, match="no tcp port from 8080 to 8082 is free"):
            lab.prepare("a", wanted, wanted, taken=lambda: held)


def test_the_same_port_twice(lab: Lab) -> None:
    with pytest.raises(Conflict, match="by the same container"):
        lab.prepare("a", Port("", 8080, 80), Port("127.0.0.1", 8080, 81))


def test_an_address_that_is_not_the_hosts(lab: Lab) -> None:
    with pytest.raises(HostError, match=r"192\.0\.2\.77 is not an address of this host"):
        lab.prepare("a", Port("192.0.2.77", 8080, 80))


def test_what_a_killed_monitor_left_published_is_replaced(lab: Lab) -> None:
    left = lab.prepare("a", Port("", 8080, 80))
    run(f"nft add element inet {BRIDGE} any_address {{ tcp . 8080 : 10.77.0.99 . 80 }}")
    lab.network.withdraw("a" * 64, left["table"], left["ports"])
    assert "8080" not in run(f"nft list map inet {BRIDGE} any_address")
    run(f"nft add element inet {BRIDGE} any_address {{ tcp . 8080 : 10.77.0.99 . 80 }}")
    lab.publish(left)
    assert "10.77.0.2 . 80" in run(f"nft list map inet {BRIDGE} any_address")
