"""Containers' networks on the real kernel: bridge, NAT, published ports, what others can do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import Conflict, HostError, NotFound, NotSupported
from core.model import Port
from core.network import firewall, hot
from core.network.definition import NetworkOptions
from core.network.holders import Holder
from core.network.network import Network
from tests.namespaces import Container, Namespace, ask_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from core.paths import Paths

BRIDGE, SUBNET = "lptest0", "10.77.0.0/24"
CONFIG = Config({("network", "bridge"): BRIDGE, ("network", "subnet"): SUBNET})
HOST, NEIGHBOUR, FAR = "198.51.100.1", "198.51.100.2", "203.0.113.9"
SOME = "5" * 64


class Lab:
    """A host with limpet's network, and containers on it by letter."""

    def __init__(self, network: Network, stack: ExitStack) -> None:
        self.network = network
        self.stack = stack

    def prepare(self, letter: str, *publish: Port, taken: Any = dict) -> dict[str, Any]:
        return self.network.prepare(letter * 64, "bridge", publish, taken)

    def start(self, letter: str, *publish: Port, serve: Sequence[str] = ()) -> Container:
        prepared = self.prepare(letter, *publish)
        container = self.stack.enter_context(Container(prepared))
        container.serve(letter, *serve)
        if publish:
            self.publish(prepared)
        return container

    def publish(self, prepared: dict[str, Any]) -> None:
        where = (prepared["table"], prepared["address"], prepared["ports"], prepared["address6"])
        hot.publish(*where)
        self.stack.callback(hot.unpublish, where[0], where[2])


@pytest.fixture
def lab(paths: Paths) -> Iterator[Lab]:
    database = Database(paths)
    network = Network(paths, database, CONFIG)
    with ExitStack() as stack:
        stack.callback(database.close)
        stack.callback(network.teardown)
        yield Lab(network, stack)


@pytest.fixture
def neighbour(lab: Lab) -> Iterator[Namespace]:
    """Another machine on the host's network; it is also FAR, somewhere on the internet."""
    with Namespace() as other:
        run(f"ip link add lpwire type veth peer name eth0 netns {other.holder.pid}")
        run(f"ip addr add {HOST}/24 dev lpwire")
        run("ip link set lpwire up")
        run(f"ip route add {FAR} via {NEIGHBOUR}")
        for command in (
            f"addr add {NEIGHBOUR}/24 dev eth0",
            "link set eth0 up",
            "link set lo up",
            f"addr add {FAR}/32 dev lo",
        ):
            other.run("ip", *command.split())
        yield other
        run("ip link del lpwire")


def run(command: str) -> str:
    return subprocess.run(command.split(), stdout=subprocess.PIPE, text=True, check=True).stdout


# -- addresses -----------------------------------------------------------------------


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
                hot.attach(fd, prepared["attachments"][0])
        finally:
            os.close(fd)


# -- published ports -----------------------------------------------------------------


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
    hot.publish(*where)
    assert run(f"nft list map inet {BRIDGE} one_address").count("10.77.0.2") == len(publish)
    hot.unpublish(where[0], where[2])
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
        hot.publish(*where)
        assert neighbour.ask("udp", HOST, 5300, source_port=4444) == f"a {NEIGHBOUR}"
        hot.unpublish(where[0], where[2])
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


# -- bridge and table ----------------------------------------------------------------


def test_a_flushed_ruleset_comes_back_with_the_ports_of_running_containers(
    lab: Lab, paths: Paths
) -> None:
    lab.start(
        "a", Port("", 8080, 80), Port("127.0.0.1", 5300, 53, "udp"), serve=["80/tcp", "53/udp"]
    )
    run("nft flush ruleset")
    assert ask_here("tcp", "127.0.0.1", 8080) == "nothing"
    web = Holder("web", "10.77.0.2", "", BRIDGE)
    held = {("0.0.0.0", 8080, 80, "tcp"): web, ("127.0.0.1", 5300, 53, "udp"): web}
    lab.prepare("b", taken=lambda: held)
    assert ask_here("tcp", "127.0.0.1", 8080) == "a 10.77.0.1"
    assert ask_here("udp", "127.0.0.1", 5300) == "a 10.77.0.1"


@pytest.mark.parametrize(
    "damage",
    [f"ip link del {BRIDGE}", f"ip link set {BRIDGE} down", f"ip addr flush dev {BRIDGE}",
     f"nft delete table inet {BRIDGE}", "sysctl -qw net.ipv4.ip_forward=0"],
)  # fmt: skip
def test_what_somebody_took_away_is_made_again(lab: Lab, damage: str) -> None:
    lab.prepare("a")
    run(damage)
    assert lab.start("a", Port("", 8080, 80), serve=["80/tcp"]).address == "10.77.0.2"
    assert ask_here("tcp", "127.0.0.1", 8080) == "a 10.77.0.1"
    assert run("sysctl -n net.ipv4.ip_forward") == "1\n"


def test_the_tables_of_others_are_left_alone(lab: Lab) -> None:
    run("nft add table ip lpother")
    run("nft add chain ip lpother mine")
    before = run("nft list table ip lpother")
    lab.prepare("a")
    lab.network.teardown()
    assert run("nft list tables") == "table ip lpother\n"
    assert run("nft list table ip lpother") == before
    run("nft delete table ip lpother")


def test_two_bridges_do_not_mind_each_other(lab: Lab, tmp_path: Path) -> None:
    from core.paths import Paths

    paths = Paths(str(tmp_path / "data2"), str(tmp_path / "run2"))
    config = Config({("network", "bridge"): "lp-test1", ("network", "subnet"): "10.78.0.0/24"})
    database = Database(paths)
    lab.stack.callback(database.close)
    other = Lab(Network(paths, database, config), lab.stack)
    lab.stack.callback(other.network.teardown)
    lab.start("a", Port("", 8080, 80), serve=["80/tcp"])
    with pytest.raises(Conflict, match="8080"):
        other.prepare("b", Port("", 8080, 80))
    far = other.start("b", Port("", 8081, 80), serve=["80/tcp"])
    assert ask_here("tcp", "127.0.0.1", 8080) == "a 10.77.0.1"
    assert ask_here("tcp", "127.0.0.1", 8081) == "b 10.78.0.1"
    assert far.ask("tcp", "10.77.0.2", 80) == "nothing"


def test_another_subnet_is_added_to_the_bridge(lab: Lab, paths: Paths) -> None:
    before = lab.start("a", serve=["80/tcp"])
    moved = Config({("network", "bridge"): BRIDGE, ("network", "subnet"): "10.79.0.0/24"})
    database = Database(paths)
    lab.stack.callback(database.close)
    after = Lab(Network(paths, database, moved), lab.stack).start("b", serve=["80/tcp"])
    assert (before.address, after.address) == ("10.77.0.2", "10.79.0.2")
    assert ask_here("tcp", before.address, 80) == "a 10.77.0.1"
    assert ask_here("tcp", after.address, 80) == "b 10.79.0.1"


def test_a_subnet_of_the_host_is_not_used_twice(lab: Lab) -> None:
    run("ip link add lpwire type bridge")
    run("ip addr add 10.77.0.200/28 dev lpwire")
    run("ip link set lpwire up")
    try:
        with pytest.raises(Conflict, match=r"10\.77\.0\.192/28 on lpwire") as caught:
            lab.prepare("a")
        assert "network.subnet" in caught.value.hint
    finally:
        run("ip link del lpwire")


def test_a_table_that_goes_during_the_start_is_named(lab: Lab) -> None:
    prepared = lab.prepare("a", Port("", 8080, 80))
    run("nft flush ruleset")
    with pytest.raises(FileNotFoundError, match=BRIDGE):
        hot.publish(prepared["table"], prepared["address"], prepared["ports"])
    with socket.create_server(("", 8080)):
        pass  # and the port is free again


def test_the_bridge_takes_no_ipv6_and_keeps_its_mac(lab: Lab) -> None:
    lab.start("a")
    assert run(f"sysctl -n net.ipv6.conf.{BRIDGE}.disable_ipv6") == "1\n"
    assert "02:42:0a:4d:00:01" in run(f"ip link show {BRIDGE}")


def test_many_processes_at_once_get_different_addresses(lab: Lab, paths: Paths) -> None:
    code = f"""
import sys
sys.path.append({str(Path(__file__).parents[2])!r})
from core.config import Config
from core.database import Database
from core.network.network import Network
from core.paths import Paths
config = Config({{("network", "bridge"): {BRIDGE!r}, ("network", "subnet"): {SUBNET!r}}})
paths = Paths({paths.data!r}, {paths.run!r})
network = Network(paths, Database(paths), config)
for number in range(3):
    made = network.prepare(f"{{sys.argv[1]}}-{{number}}", "bridge", (), dict)
    print(made["address"])
"""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(number)], stdout=subprocess.PIPE, text=True
        )
        for number in range(6)
    ]
    addresses = [line for process in started for line in process.communicate()[0].split()]
    assert len(addresses) == len(set(addresses)) == 18
    assert all(process.returncode == 0 for process in started)


def test_without_nft_the_package_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nonexistent")
        patch.setattr(firewall, "SYSTEM_PATH", ())
        with pytest.raises(NotSupported, match="nft is missing") as caught:
            lab.prepare("a")
        assert [fact.name for fact in lab.network.facts()] == ["nft"]
    assert "apt install nftables" in caught.value.hint
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/bin")
        lab.prepare("a")  # found where only root's PATH goes


def test_without_root_other_networks_are_named() -> None:
    code = f"""
import os, sys
sys.path.append({str(Path(__file__).parents[2])!r})
from core.config import Config
from core.database import Database
from core.errors import NotPermitted
from core.network import ports  # while it can be read
from core.network.network import Network
from core.paths import Paths
os.chown(".", 65534, 65534)
os.setgid(65534)
os.setuid(65534)
paths = Paths(os.path.abspath("data"), os.path.abspath("run"))
network = Network(paths, Database(paths), Config({{("network", "bridge"): {BRIDGE!r}}}))
try:
    network.prepare("a" * 64, "bridge", (), dict)
except NotPermitted as error:
    print(error.hint)
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=place, stdout=subprocess.PIPE, text=True, check=True
        )
    assert "--network host" in done.stdout


def test_making_it_all_loads_nothing_heavy(paths: Paths) -> None:
    """A monitor that is forked afterwards keeps in memory what was loaded."""
    code = f"""
import sys
sys.path.append({str(Path(__file__).parents[2])!r})
from core.config import Config
from core.database import Database
from core.network.network import Network
from core.paths import Paths
paths = Paths({paths.data!r}, {paths.run!r})
config = Config({{("network", "bridge"): {BRIDGE!r}, ("network", "subnet"): {SUBNET!r}}})
network = Network(paths, Database(paths), config)
network.prepare("a" * 64, "bridge", (), dict)
print(*sorted({{"pyroute2", "subprocess", "socket", "re", "ipaddress"}} & set(sys.modules)))
network.teardown()
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.split() == []


# -- what doctor says ----------------------------------------------------------------


def test_all_is_well(lab: Lab) -> None:
    assert all(fact.ok for fact in lab.network.facts())
    lab.prepare("a")
    facts = {fact.name: fact for fact in lab.network.facts()}
    assert set(facts) == {"bridge", "table", "ip_forward", "low ports"}
    assert all(fact.ok for fact in facts.values())


def test_a_firewall_that_drops_is_named_with_the_remedy(lab: Lab) -> None:
    lab.prepare("a")
    run("nft add table ip filter")
    try:
        hook = "{ type filter hook forward priority 0 ; policy drop ; }"
        run(f"nft add chain ip filter FORWARD {hook}")
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert not fact.ok
        assert "ip filter FORWARD" in fact.text
        for command in fact.hint.split(" && "):
            run(command)
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert fact.ok
        run("nft add chain ip filter DOCKER-USER")
        run("nft flush chain ip filter FORWARD")
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert fact.hint.startswith(f"iptables -I DOCKER-USER -i {BRIDGE}")
    finally:
        run("nft delete table ip filter")


def test_rules_for_networks_to_come_are_proposed(lab: Lab) -> None:
    made = lab.network.create(NetworkOptions("six", ipv6=True))
    lab.stack.callback(lab.network.teardown, made)
    lab.network.prepare(SOME, "six", (), dict)
    run("nft add table ip6 filter")
    try:
        hook = "{ type filter hook forward priority 0 ; policy drop ; }"
        run(f"nft add chain ip6 filter FORWARD {hook}")
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert "ip6 filter FORWARD" in fact.text
        assert "iifname lp-* accept" in fact.hint
        for command in fact.hint.split(" && "):
            run(command)
        fact = next(fact for fact in lab.network.facts() if fact.name == "firewall")
        assert fact.ok
    finally:
        run("nft delete table ip6 filter")


def test_a_lost_table_is_told(lab: Lab) -> None:
    lab.prepare("a")
    run(f"nft delete table inet {BRIDGE}")
    facts = {fact.name: fact for fact in lab.network.facts()}
    assert not facts["table"].ok
    assert facts["bridge"].ok
