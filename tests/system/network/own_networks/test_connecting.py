"""Containers on several networks, put on them and taken off while they run."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from core.containers.connections import Connections
from core.engine import Engine
from core.errors import Conflict, UsageError
from core.model import Endpoint, Port
from tests.containers import options, shell, until
from tests.system.network.own_networks.asking import (
    fetch,
    hosts,
    interrupt,
    network,
    said,
    sleeper,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.lifecycle import Containers


def test_a_container_on_two_networks(engine: Engine, containers: Containers) -> None:
    network(engine, "front")
    network(engine, "back", internal=True)
    web = sleeper(containers, "web", "front", "back")
    database = sleeper(containers, "db", "back")
    assert "1 packets received" in said(containers, web, "ping -c1 -W2 db")
    assert said(containers, web, "ip route | grep default") == "default via 10.90.0.1 dev eth0"
    assert said(containers, database, "ip route | grep default") == ""
    assert containers.resolve("web").networks == ("front", "back")


def test_who_has_no_way_out_waits_for_no_name_server(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "front")
    network(engine, "back", internal=True)
    inside = sleeper(containers, "inside", "back")
    other = sleeper(containers, "other", "back", dns=("192.0.2.53",))
    ask = "grep -c ^nameserver /etc/resolv.conf"
    assert said(containers, inside, ask) == "0"
    assert said(containers, other, ask) == "1"
    engine.connections.connect(inside, Endpoint("front"))
    assert "nameserver 192.0.2.1" in said(containers, inside, "cat /etc/resolv.conf")
    engine.connections.disconnect(inside, "front")
    assert said(containers, inside, ask) == "0"


def test_networks_do_not_reach_each_other(engine: Engine, containers: Containers) -> None:
    network(engine, "one")
    network(engine, "two")
    first = sleeper(containers, "aa", "one")
    sleeper(containers, "bb", "two")
    sleeper(containers, "cc", "bridge")
    for address in ("10.90.1.2", "10.89.0.2"):
        assert "0 packets received" in said(containers, first, f"ping -c1 -W1 {address}")


def test_connect_and_disconnect_while_it_runs(engine: Engine, containers: Containers) -> None:
    network(engine, "one")
    device = network(engine, "two")
    web, database = sleeper(containers, "web", "one"), sleeper(containers, "db", "two")
    engine.connections.connect(web, Endpoint("two", aliases=("shop",), ip="10.90.1.77"))
    assert "1 packets received" in said(containers, web, "ping -c1 -W2 db")
    assert hosts(containers, database, "shop") == ["10.90.1.77"]
    assert containers.resolve("web").networks == ("one", "two")
    with pytest.raises(Conflict, match="on network two already"):
        engine.connections.connect(web, Endpoint("two"))
    containers.stop(web, 0)
    containers.start(web)
    assert hosts(containers, database, "shop") == ["10.90.1.77"]
    engine.connections.disconnect(web, "two")
    assert hosts(containers, web, "db") == hosts(containers, database, "shop") == []
    assert "eth1" not in said(containers, web, "ip link")
    with pytest.raises(Conflict, match="is not on network two"):
        engine.connections.disconnect(web, "two")
    assert device in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout


def test_a_connect_or_disconnect_that_was_cut_short_is_done_again(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    network(engine, "one")
    network(engine, "two")
    web = sleeper(containers, "web", "one")
    with monkeypatch.context() as patch:
        patch.setattr(Connections, "_store", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.connections.connect(web, Endpoint("two"))
    engine.connections.connect(web, Endpoint("two"))
    with monkeypatch.context() as patch:
        patch.setattr(Connections, "_store", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.connections.disconnect(web, "two")
    engine.connections.disconnect(web, "two")
    assert said(containers, web, "ls /sys/class/net | grep -c eth") == "1"
    assert containers.resolve("web").networks == ("one",)


def test_what_was_connected_is_so_in_the_next_run(engine: Engine, containers: Containers) -> None:
    """Its monitor starts it again, without asking the database."""
    for name in ("one", "two", "three"):
        network(engine, name)
    script = "while [ ! -e /end ]; do sleep 0.02; done; rm /end"
    other = sleeper(containers, "other", "two")
    web = containers.create(
        shell(script, name="web", network="one", restart="always",
              endpoints=(Endpoint("one"), Endpoint("three")))
    )  # fmt: skip
    containers.start(web)
    engine.connections.connect(web, Endpoint("two", aliases=("shop",)))
    engine.connections.disconnect(web, "one")
    said(containers, web, "touch /end")
    until(lambda: containers.resolve(web).restarts and containers.resolve(web).state == "running")
    assert hosts(containers, other, "shop") == ["10.90.1.3"]
    assert "1 packets received" in said(containers, other, "ping -c1 -W2 shop")
    shown = said(containers, web, "ip -4 addr; ip route")
    assert "10.90.0." not in shown
    assert "default via 10.90.2.1" in shown
    containers.stop(web, 0)
    assert hosts(containers, other, "shop") == []


def test_published_ports_follow_to_the_network_that_is_left(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "one")
    network(engine, "two")
    script = "while :; do echo hello | nc -l -p 80; done"
    places = (Endpoint("one"), Endpoint("two"))
    web = containers.create(
        shell(script, network="one", endpoints=places, publish=(Port("127.0.0.1", 8080, 80),))
    )
    containers.start(web)
    until(lambda: fetch() == b"hello\n")
    engine.connections.disconnect(web, "one")
    assert containers.resolve(web).address == "10.90.1.2"
    until(lambda: fetch() == b"hello\n")
    engine.connections.disconnect(web, "two")
    assert fetch() == b""
    assert containers.resolve(web).ports == ()
    engine.connections.connect(web, Endpoint("one"))
    assert "1 packets received" in said(containers, web, "ping -c1 -W2 10.90.0.1")


def test_connect_of_a_stopped_container_holds_from_its_start(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "one")
    box = containers.create(options("sleep", "1000", network="none", name="box"))
    engine.connections.connect(box, Endpoint("one"))
    containers.start(box)
    assert "inet 10.90.0.2/24" in said(containers, box, "ip addr show eth0")
    containers.stop(box, 0)
    engine.connections.disconnect(box, "one")
    containers.start(box)
    assert containers.resolve(box).networks == ("none",)
    assert "eth0" not in said(containers, box, "ip link")


def test_the_network_of_another_container(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop")
    side = containers.create(options("sleep", "1000", name="side", network="container:web"))
    containers.start(side)
    for command in ("ip addr show eth0 | grep inet", "cat /etc/hosts", "cat /etc/resolv.conf"):
        assert said(containers, side, command) == said(containers, web, command) != ""
    containers.stop(web, 0)
    containers.stop(side, 0)
    with pytest.raises(Conflict, match="container web is not running"):
        containers.start(side)
    with pytest.raises(UsageError, match="--hostname does not go with"):
        containers.create(options("true", network="container:web", hostname="x"))
    with pytest.raises(Conflict, match="uses the network of another container"):
        engine.connections.connect(side, Endpoint("shop"))


# -- addresses -----------------------------------------------------------------------


def test_a_connection_that_cannot_be_closed_keeps_no_device(
    engine: Engine, containers: Containers
) -> None:
    """Its namespace stays for as long as TCP tries to close it."""
    network(engine, "one")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        box = sleeper(containers, "box", "one")
        device = f"veth{box[:11]}"
        listener.bind(("10.90.0.1", 7777))
        listener.listen()
        containers.exec(box, ["sh", "-c", "sleep 1000 | nc 10.90.0.1 7777"], detach=True).close()
        accepted, _ = listener.accept()
        with accepted:
            subprocess.run(["ip", "link", "set", device, "down"], check=True)
            containers.rm(box, force=True)
            until(lambda: not os.path.exists(f"/sys/class/net/{device}"))
