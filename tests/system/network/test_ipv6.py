"""IPv6 on networks of one's own: addresses, NAT, published ports, and nobody else's source."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import pytest

from core.config import Config
from core.database import Database
from core.errors import Conflict, HostError
from core.model import Endpoint, Port
from core.network.definition import NetworkOptions
from core.network.network import Network
from core.network.ports import publishing
from core.network.ports.holders import Holder
from tests.namespaces import Container, Namespace, ask_here
from tests.system.network.lab import beside, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from core.paths import Paths

HOST, NEIGHBOUR, FAR = "2001:db8:1::1", "2001:db8:1::2", "2001:db8:9::9"
SUBNET = "fd00:77::/64"


class Lab:
    """A host with one network that has IPv6."""

    def __init__(self, network: Network, stack: ExitStack) -> None:
        self.network, self.stack = network, stack
        self.made = network.create(
            NetworkOptions("six", subnets=("10.77.0.0/24", SUBNET), options=OPTIONS)
        )

    def start(self, letter: str, *publish: Port, serve: tuple[str, ...] = ()) -> Container:
        prepared = self.prepare(letter, *publish)
        container = self.stack.enter_context(Container(prepared))
        container.serve(letter, *serve, address="::")
        if publish:
            publishing.publish(
                prepared["table"], prepared["address"], prepared["ports"], prepared["address6"]
            )
            self.stack.callback(publishing.unpublish, prepared["table"], prepared["ports"])
        return container

    def prepare(self, letter: str, *publish: Port, taken: Any = dict) -> dict[str, Any]:
        return self.network.prepare(
            letter * 64, "six", publish, taken, (Endpoint("six"),), (f"box-{letter}",)
        )


OPTIONS = (("com.docker.network.bridge.name", "lpsix"),)


@pytest.fixture
def lab(paths: Paths) -> Iterator[Lab]:
    database = Database(paths)
    network = Network(paths, database, Config())
    with ExitStack() as stack:
        stack.callback(database.close)
        made = Lab(network, stack)
        stack.callback(network.remove, made.made.name, lambda _: ())
        yield made


@pytest.fixture
def neighbour(lab: Lab) -> Iterator[Namespace]:
    """Another machine on the host's network; it is also FAR, somewhere on the internet."""
    with beside(HOST, NEIGHBOUR, FAR, 64, "nodad") as other:
        yield other


def test_containers_reach_each_other_and_the_gateway(lab: Lab) -> None:
    lab.start("a", serve=("80/tcp", "53/udp"))
    second = lab.start("b")
    assert second.ask("tcp", "fd00:77::2", 80) == "a fd00:77::3"
    assert second.ask("udp", "fd00:77::2", 53) == "a fd00:77::3"
    assert ask_here("tcp", "fd00:77::2", 80) == "a fd00:77::1"
    assert second.ask("tcp", "10.77.0.2", 80) == "a ::ffff:10.77.0.3"


def test_outgoing_traffic_comes_from_the_host(lab: Lab, neighbour: Namespace) -> None:
    neighbour.serve("far", "80/tcp", address=FAR)
    assert lab.start("a").ask("tcp", FAR, 80) == f"far {HOST}"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_published_everywhere_is_so_on_ipv6(
    lab: Lab, neighbour: Namespace, protocol: str
) -> None:
    container = lab.start("a", Port("", 8080, 80, protocol), serve=(f"80/{protocol}",))
    other = lab.start("b")
    assert neighbour.ask(protocol, HOST, 8080) == f"a {NEIGHBOUR}"
    assert ask_here(protocol, HOST, 8080) == f"a {HOST}"
    assert other.ask(protocol, HOST, 8080) == "a fd00:77::1"
    assert container.ask(protocol, HOST, 8080) == "a fd00:77::1"
    assert ask_here(protocol, "127.0.0.1", 8080) == "a ::ffff:10.77.0.1"


def test_a_port_published_on_one_address(lab: Lab, neighbour: Namespace) -> None:
    lab.start("a", Port(HOST, 8080, 80), serve=("80/tcp",))
    assert neighbour.ask("tcp", HOST, 8080) == f"a {NEIGHBOUR}"
    assert ask_here("tcp", "127.0.0.1", 8080) == "nothing"


def test_no_port_is_reachable_that_was_not_published(lab: Lab, neighbour: Namespace) -> None:
    lab.start("a", serve=("80/tcp",))
    neighbour.run("ip", "route", "add", SUBNET, "via", HOST)
    assert neighbour.ask("tcp", "fd00:77::2", 80) == "nothing"


def test_a_udp_sender_that_goes_on_reaches_the_next_container(
    lab: Lab, neighbour: Namespace
) -> None:
    assert neighbour.ask("udp", HOST, 5300, source_port=4444) == "nothing"
    lab.start("a", Port("", 5300, 53, "udp"), serve=("53/udp",))
    assert neighbour.ask("udp", HOST, 5300, source_port=4444) == f"a {NEIGHBOUR}"


def test_both_families_get_one_free_port(lab: Lab) -> None:
    first, second = lab.prepare("a", Port("", 0, 80))["ports"]
    assert (first[0], second[0]) == ("0.0.0.0", "::")
    assert first[1] == second[1] >= 1024


def test_who_holds_a_port_is_named_for_each_family(lab: Lab) -> None:
    held = {("::", 8080, 80, "tcp"): Holder("web")}
    with pytest.raises(Conflict, match="8080/tcp is published by container web"):
        lab.prepare("a", Port(HOST, 8080, 80), taken=lambda: held)
    with pytest.raises(HostError, match="nothing that is sent to ::1"):
        lab.prepare("a", Port("::1", 8080, 80))
    with pytest.raises(HostError, match="no IPv6 address"):
        lab.network.prepare("b" * 64, "bridge", (Port("::", 8080, 80),), dict)
    lab.network.teardown()


def test_a_flushed_ruleset_comes_back(lab: Lab, neighbour: Namespace) -> None:
    lab.start("a", Port("", 8080, 80), serve=("80/tcp",))
    run("nft flush ruleset")
    assert neighbour.ask("tcp", HOST, 8080) == "nothing"
    web = Holder("web", "10.77.0.2", "fd00:77::2", "lpsix")
    lab.prepare(
        "b", taken=lambda: {("0.0.0.0", 8080, 80, "tcp"): web, ("::", 8080, 80, "tcp"): web}
    )
    assert neighbour.ask("tcp", HOST, 8080) == f"a {NEIGHBOUR}"
    assert ask_here("tcp", "127.0.0.1", 8080) == "a ::ffff:10.77.0.1"


def test_a_host_keeps_its_router_when_it_begins_to_forward(lab: Lab, neighbour: Namespace) -> None:
    run("sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.lpwire.accept_ra=1")
    lab.prepare("a")
    assert run("sysctl -n net.ipv6.conf.lpwire.accept_ra") == "2\n"
    assert run("sysctl -n net.ipv6.conf.lpsix.accept_ra") == "0\n"


def test_the_default_network_has_ipv6_where_config_says_so(paths: Paths) -> None:
    config = Config({("network", "bridge"): "lptest6", ("network", "subnet6"): "fd00:66::/64"})
    database = Database(paths)
    network = Network(paths, database, config)
    try:
        prepared = network.prepare("a" * 64, "bridge", (), dict)
        with Container(prepared) as container:
            assert "fd00:66::2/64" in container.run("ip", "-6", "addr", "show", "dev", "eth0")
            container.serve("a", "80/tcp", address="::")
            assert ask_here("tcp", "fd00:66::2", 80) == "a fd00:66::1"
    finally:
        network.teardown()
        database.close()


def test_no_container_gives_others_routes(lab: Lab) -> None:
    """By router advertisements (as in CVE-2020-13401)."""
    six = lab.start("a")
    read = ("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra")
    assert six.run(*read) == "0\n"
    prepared = lab.network.prepare("b" * 64, "bridge", (), dict)
    with Container(prepared) as four:
        assert four.run("ip", "-6", "addr", "show", "dev", "eth0") == ""
    lab.network.teardown()


@pytest.mark.parametrize("source", ["198.51.100.77", "2001:db8:1::77"])
def test_a_container_cannot_send_from_addresses_that_are_not_its_networks(
    lab: Lab, neighbour: Namespace, source: str
) -> None:
    """Nothing that claims to come from elsewhere leaves the bridge, whatever it is set up with."""
    run("ip addr add 198.51.100.1/24 dev lpwire")
    neighbour.run("ip", "addr", "add", "198.51.100.2/24", "dev", "eth0")
    target = "198.51.100.2" if "." in source else NEIGHBOUR
    container = lab.start("a")
    assert sent(neighbour, container, "", target) == HOST if ":" in source else "198.51.100.1"
    container.run("ip", "addr", "add", f"{source}/{128 if ':' in source else 32}", "dev", "eth0",
                  *(["nodad"] if ":" in source else []))  # fmt: skip
    assert sent(neighbour, container, source, target) == "nothing"


def sent(neighbour: Namespace, container: Namespace, source: str, target: str) -> str:
    """Send a packet from a container; return whom the neighbour has it from."""
    enter = ["nsenter", f"--net={neighbour.path}", sys.executable, "-I", "-S", "-c", LISTEN, target]
    with subprocess.Popen(enter, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout
        assert listener.stdout.readline() == "ready\n"
        container.run(sys.executable, "-I", "-S", "-c", SEND, source, target)
        return listener.stdout.readline().strip()


LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 9999))
server.settimeout(0.7)
print("ready", flush=True)
try:
    print(server.recvfrom(100)[1][0])
except OSError:
    print("nothing")
"""
SEND = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.bind((sys.argv[1], 0))
client.sendto(b"?", (sys.argv[2], 9999))
"""
