"""Addresses of one's own, subnets, and networks that are cut off."""

from __future__ import annotations

import socket
import subprocess

import pytest

from core.engine import Engine
from core.errors import Conflict, HostError, InUse, NotFound, UsageError
from core.model import Endpoint, Port
from core.network import names
from core.network.host import bridge
from tests.containers import options
from tests.system.network.own_networks.asking import (
    network,
    said,
    sleeper,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.lifecycle import Containers


def test_addresses_of_ones_own(engine: Engine, containers: Containers) -> None:
    network(engine, "shop", subnets=("10.91.0.0/24", "fd00:91::/64"), ip_range="10.91.0.128/25",
            gateways=("10.91.0.254",), mtu=1400)  # fmt: skip
    place = Endpoint("shop", ip="10.91.0.50", ip6="fd00:91::50", mac="02:00:00:00:00:50")
    web, other = sleeper(containers, "web", place), sleeper(containers, "other", "shop")
    shown = said(containers, web, "ip addr show eth0")
    assert "mtu 1400" in shown
    assert "02:00:00:00:00:50" in shown
    assert "inet 10.91.0.50/24" in shown
    assert "inet6 fd00:91::50/64" in shown
    assert said(containers, web, "ip route | grep default") == "default via 10.91.0.254 dev eth0"
    assert "inet 10.91.0.128/24" in said(containers, other, "ip addr show eth0")
    assert "1 packets received" in said(containers, other, "ping6 -c1 -W2 web")
    third = containers.create(
        options("true", network="shop", endpoints=(Endpoint("shop", ip="10.91.0.50"),))
    )
    with pytest.raises(Conflict, match=r"10\.91\.0\.50 on network shop is the address of .* web"):
        containers.start(third)
    with pytest.raises(UsageError, match="is no address for a container"):
        containers.create(
            options("true", network="shop", endpoints=(Endpoint("shop", ip="10.91.0.254"),))
        )
    with pytest.raises(UsageError, match="not found by name"):
        containers.create(
            options("true", network="bridge", endpoints=(Endpoint("bridge", aliases=("x",)),))
        )


def test_an_internal_network_is_cut_off(engine: Engine, containers: Containers) -> None:
    network(engine, "back", internal=True, ipv6=True)
    first, second = sleeper(containers, "aa", "back"), sleeper(containers, "bb", "back")
    assert "1 packets received" in said(containers, first, "ping -c1 -W2 bb")
    # Not even with a route of its own making, as a container with NET_ADMIN has it.
    pid = containers.resolve(first).pid
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"]
    subprocess.run([*enter, "ip", "route", "add", "default", "via", "10.90.0.1"], check=True)
    subprocess.run(["ip", "link", "add", "lpwire", "type", "bridge"], check=True)
    subprocess.run(["ip", "addr", "add", "198.51.100.1/24", "dev", "lpwire"], check=True)
    subprocess.run(["ip", "link", "set", "lpwire", "up"], check=True)
    try:
        with socket.create_server(("0.0.0.0", 8099)):
            for address in ("10.90.0.1", "198.51.100.1"):
                assert "open" not in said(
                    containers, first, f"nc -w 1 {address} 8099 </dev/null && echo open"
                )
        assert "0 packets received" in said(containers, first, "ping -c1 -W1 10.90.0.1")
    finally:
        subprocess.run(["ip", "link", "del", "lpwire"], check=True)
    # The host reaches them.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("10.90.0.2", 9), 2)
    third = containers.create(options("true", network="back", publish=(Port("", 8080, 80),)))
    with pytest.raises(UsageError, match="internal network"):
        containers.start(third)
    assert second


# -- networks ------------------------------------------------------------------------


def test_a_network_in_use_is_not_removed(engine: Engine, containers: Containers) -> None:
    device = network(engine, "shop")
    web = sleeper(containers, "web", "shop")
    with pytest.raises(InUse, match="shop is used by web"):
        engine.network.remove("shop", engine.connections.users_of)
    containers.rm(web, force=True)
    engine.network.remove("shop", engine.connections.users_of)
    assert device not in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
    assert device not in tables
    assert engine.database.query("SELECT * FROM addresses") == []
    assert names.members(engine.network.zones, "shop") == []
    with pytest.raises(NotFound, match="no network 'shop'"):
        containers.create(options("true", network="shop"))


def test_a_removal_that_is_cut_short_can_be_done_again(
    engine: Engine, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bridge without its network would belong to nobody."""
    device = network(engine, "shop")
    sleeper(containers, "web", "shop")
    containers.rm("web", force=True)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bridge, "remove_bridge", interrupt)
        with pytest.raises(KeyboardInterrupt):
            engine.network.remove("shop", engine.connections.users_of)
    sleeper(containers, "web", "shop")
    containers.rm("web", force=True)
    engine.network.remove("shop", engine.connections.users_of)
    assert device not in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout


def test_a_network_that_a_container_names_by_its_id_is_in_use(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    known = engine.network.find("shop").id
    containers.create(options("true", name="web", network=known))
    containers.create(options("true", name="db", network=known, endpoints=(Endpoint(known[:12]),)))
    with pytest.raises(InUse, match="used by db, web"):
        engine.network.remove("shop", engine.connections.users_of)


def test_subnets_are_chosen_so_that_none_overlap(engine: Engine) -> None:
    for name in ("a", "b"):
        network(engine, name)
    assert [one.subnet for one in engine.network.all()] == [
        "10.89.0.0/24", "10.90.0.0/24", "10.90.1.0/24",
    ]  # fmt: skip
    with pytest.raises(Conflict, match=r"10\.90\.0\.0/24 overlaps 10\.90\.0\.0/24"):
        network(engine, "c", subnets=("10.90.0.0/24",))
    with pytest.raises(Conflict, match="a network 'a' already"):
        network(engine, "a")
    with pytest.raises(UsageError, match="is no network name"):
        network(engine, "a/b")


def test_a_lost_bridge_is_an_error_with_the_way_on(engine: Engine, containers: Containers) -> None:
    network(engine, "one")
    device = network(engine, "two")
    web = sleeper(containers, "web", "one")
    engine.network.ensure = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(HostError, match=device) as caught:
        engine.connections.connect(web, Endpoint("two"))
    assert "doctor" in caught.value.hint
    assert containers.resolve("web").networks == ("one",)
    assert "eth1" not in said(containers, web, "ip link")
