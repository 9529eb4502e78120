"""Containers on networks of one's own: names, several networks, addresses, being cut off."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.containers.connections import Connections
from core.containers.state import monitored, read_state
from core.engine import Engine
from core.errors import Conflict, HostError, InUse, NotFound, RunError, UsageError
from core.model import Endpoint, Port
from core.network import hot, names
from core.network.definition import NetworkOptions
from core.paths import Paths
from tests.containers import (
    make_engine,
    options,
    processes_named,
    reap,
    run,
    shell,
    spawners,
    until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.containers.lifecycle import Containers


SETTINGS = {
    ("network", "subnet"): "10.89.0.0/24",
    ("network", "pool"): "10.90.0.0/16",
    ("network", "dns"): ("192.0.2.1",),
}


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = make_engine(paths, "fork", SETTINGS)
    yield made
    for info in made.containers.list():
        made.containers.rm(info.id, force=True)
    for network in made.network.all():
        made.network.teardown(network)
    made.close()
    reap()


@pytest.fixture
def containers(engine: Engine) -> Containers:
    return engine.containers


def network(engine: Engine, name: str, **changes: Any) -> str:
    return engine.network.create(NetworkOptions(name, **changes)).device


def sleeper(containers: Containers, name: str, *on: str | Endpoint, **changes: Any) -> str:
    places = tuple(one if isinstance(one, Endpoint) else Endpoint(one) for one in on)
    container = containers.create(
        options("sleep", "1000", name=name, network=places[0].network, endpoints=places, **changes)
    )
    containers.start(container)
    return container


def said(containers: Containers, container: str, script: str) -> str:
    _, out, err = run(containers.exec(container, ("sh", "-c", script)))
    return (out + err).decode().strip()


def hosts(containers: Containers, container: str, name: str) -> list[str]:
    """Return the addresses that the container's hosts file has for a name."""
    lines = said(containers, container, "cat /etc/hosts").splitlines()
    words = [line.split() for line in lines if not line.startswith("#")]
    return [line[0] for line in words if name in line[1:]]


# -- names ---------------------------------------------------------------------------


def test_containers_find_each_other_by_name_alias_and_short_id(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop")
    database = sleeper(containers, "db", Endpoint("shop", aliases=("store",)))
    for name in ("db", "store", database[:12]):
        assert "1 packets received" in said(containers, web, f"ping -c1 -W2 {name}")
    assert hosts(containers, database, "web") == ["10.90.0.2"]
    containers.stop(database, 0)
    assert hosts(containers, web, "db") == []
    containers.start(database)
    assert hosts(containers, web, "db") == ["10.90.0.3"]


def test_the_first_program_of_a_container_finds_the_others(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    sleeper(containers, "db", "shop")
    code, out, _ = run(containers.run(shell("ping -c1 -W2 db", network="shop", name="web")))
    assert (code, b"10.90.0.2" in out) == (0, True)


def test_another_address_after_a_restart_is_what_others_see(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web, database = sleeper(containers, "web", "shop"), sleeper(containers, "db", "shop")
    containers.stop(database, 0)
    engine.network.release(database)
    sleeper(containers, "other", "shop")  # takes the address
    containers.start(database)
    assert hosts(containers, web, "db") == ["10.90.0.4"]
    assert hosts(containers, web, "other") == ["10.90.0.3"]


def test_all_know_all_however_they_came_and_went(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    made = [
        containers.create(options("sleep", "1000", network="shop", name=f"box{number}"))
        for number in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(containers.start, made))
        for container in made:
            assert boxes(engine, container) == set(range(8))
        list(pool.map(lambda container: containers.stop(container, 0), made[:4]))
    for container in made[4:]:
        assert boxes(engine, container) == {4, 5, 6, 7}


def boxes(engine: Engine, container: str) -> set[int]:
    """Return which of the containers `box0`, `box1`, … a hosts file knows."""
    text = Path(f"{engine.paths.container(container)}/hosts").read_text()
    return {number for number in range(8) if f"\tbox{number} " in text}


def test_two_containers_under_one_alias(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    first, second = (
        sleeper(containers, name, Endpoint("shop", aliases=("api",))) for name in ("one", "two")
    )
    assert hosts(containers, first, "api") == ["10.90.0.2", "10.90.0.3"]
    containers.kill(second)
    until(lambda: hosts(containers, first, "api") == ["10.90.0.2"])


def test_a_renamed_container_is_found_under_its_new_name(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web, database = sleeper(containers, "web", "shop"), sleeper(containers, "db", "shop")
    containers.rename(database, "store")
    assert hosts(containers, web, "db") == []
    assert hosts(containers, web, "store") == ["10.90.0.3"]


def test_what_a_container_wrote_into_its_hosts_file_stays(
    engine: Engine, containers: Containers
) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop", add_hosts=(("far", "203.0.113.9"),))
    said(containers, web, "echo 192.0.2.1 mine >> /etc/hosts")
    database = sleeper(containers, "db", "shop")
    assert hosts(containers, web, "db")
    containers.rm(database, force=True)
    assert hosts(containers, web, "db") == []
    assert hosts(containers, web, "mine") == ["192.0.2.1"]
    assert hosts(containers, web, "far") == ["203.0.113.9"]


def test_a_killed_monitor_leaves_no_name(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    web, database = sleeper(containers, "web", "shop"), sleeper(containers, "db", "shop")
    found = read_state(engine.paths.container(database))
    os.kill(found.monitor, signal.SIGKILL)
    until(lambda: not monitored(found))
    assert containers.resolve(database).state == "exited"
    assert hosts(containers, web, "db") == []


@pytest.mark.parametrize(
    ("place", "function"),
    [(hot, "attach"), (hot, "publish"), (names, "join"), (hot, "_add"),
     (names, "_rewrite")],
)  # fmt: skip
def test_a_monitor_killed_while_it_plugs_in_leaves_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, place: Any, function: str
) -> None:
    before = getattr(place, function)

    def killed(*values: Any) -> None:
        before(*values)
        os.kill(os.getpid(), signal.SIGKILL)

    # Inherited by the spawner, which is forked here, and by its monitors.
    with monkeypatch.context() as patch:
        patch.setattr(place, function, killed)
        engine = make_engine(paths, "fork", SETTINGS)
    containers = engine.containers
    device = network(engine, "shop")
    web = containers.create(
        options("sleep", "1000", network="shop", name="web", publish=(Port("", 8080, 80),))
    )
    with pytest.raises(RunError, match="the monitor ended"):
        containers.start(web)
    assert names.members(engine.network.zones, "shop") == []
    table = subprocess.run(
        ["nft", "list", "table", "inet", device], capture_output=True, text=True
    ).stdout
    assert "8080" not in table
    assert engine.database.query("SELECT * FROM addresses") == []
    assert containers.resolve(web).state == "created"
    assert list(Path("/sys/fs/cgroup").rglob(f"{web}*")) == []
    assert processes_named("sleep\01000") == []
    engine.close()
    until(lambda: not spawners(paths))  # the one that kills
    again = make_engine(paths, "fork", SETTINGS)
    again.containers.start(web)
    assert hosts(again.containers, web, "web")
    again.containers.rm(web, force=True)
    again.network.teardown(again.network.find("shop"))
    again.close()
    reap()


def test_a_hostile_hosts_file_harms_nobody_else(engine: Engine, containers: Containers) -> None:
    network(engine, "shop")
    web = sleeper(containers, "web", "shop")
    said(containers, web, "head -c 3000000 /dev/zero > /etc/hosts")
    database = sleeper(containers, "db", "shop")
    assert hosts(containers, database, "web") == ["10.90.0.2"]
    containers.rm(database, force=True)
    assert os.path.getsize(f"{engine.paths.container(web)}/hosts") < 2 << 20


# -- several networks ----------------------------------------------------------------


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


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


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


def fetch(address: tuple[str, int] = ("127.0.0.1", 8080)) -> bytes:
    try:
        with socket.create_connection(address, 2) as connection:
            return connection.recv(100)
    except OSError:
        return b""


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
        engine.network.remove("shop", engine.connections.users_of("shop"))
    containers.rm(web, force=True)
    engine.network.remove("shop", engine.connections.users_of("shop"))
    assert device not in subprocess.run(["ip", "link"], capture_output=True, text=True).stdout
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
    assert device not in tables
    assert engine.database.query("SELECT * FROM addresses") == []
    assert names.members(engine.network.zones, "shop") == []
    with pytest.raises(NotFound, match="no network 'shop'"):
        containers.create(options("true", network="shop"))


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
