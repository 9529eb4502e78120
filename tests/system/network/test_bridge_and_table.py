"""The bridge and the table behind the default network: made, lost, and made again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.config import Config
from core.database import Database
from core.errors import Conflict, NotSupported
from core.model import Port
from core.network.host import firewall
from core.network.host.inspection import BridgeState, inspect_bridge
from core.network.network import Network
from core.network.ports import publishing
from core.network.ports.holders import Holder
from tests.namespaces import Namespace, ask_here
from tests.system.network.lab import BRIDGE, FAR, SUBNET, Lab, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.bind((sys.argv[1], 0))
    client.sendto(b"?", (sys.argv[2], int(sys.argv[3])))
"""


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


def test_nobody_on_the_bridge_sends_from_an_address_of_others(
    lab: Lab, neighbour: Namespace
) -> None:
    container = lab.start("a")
    for device in ("all", BRIDGE):
        run(f"sysctl -qw net.ipv4.conf.{device}.rp_filter=0")  # it is the table that has to
    container.run("ip", "addr", "add", f"{FAR}/32", "dev", "lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        host.bind(("10.77.0.1", 0))
        host.settimeout(1)
        for source in (FAR, container.address):
            container.run(
                sys.executable, "-I", "-S", "-c", SEND, source, *map(str, host.getsockname())
            )
        assert host.recvfrom(100)[1][0] == container.address


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
        publishing.publish(prepared["table"], prepared["address"], prepared["ports"])
    with socket.create_server(("", 8080)):
        pass  # and the port is free again


def test_the_bridge_takes_no_ipv6_and_keeps_its_mac(lab: Lab) -> None:
    lab.start("a")
    assert run(f"sysctl -n net.ipv6.conf.{BRIDGE}.disable_ipv6") == "1\n"
    assert "02:42:0a:4d:00:01" in run(f"ip link show {BRIDGE}")


def test_many_processes_at_once_get_different_addresses(lab: Lab, paths: Paths) -> None:
    code = f"""
import sys
sys.path.append({str(Path(__file__).parents[3])!r})
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
sys.path.append({str(Path(__file__).parents[3])!r})
from core.config import Config
from core.database import Database
from core.errors import NotPermitted
import core.network.host.bridge, core.network.ports.choice  # while they can be read
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
sys.path.append({str(Path(__file__).parents[3])!r})
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


def test_the_bridge_is_shown_as_the_kernel_has_it(lab: Lab) -> None:
    lab.start("a")
    found = inspect_bridge(BRIDGE)
    (said,) = json.loads(run(f"ip -j addr show {BRIDGE}"))
    assert (found.exists, found.up, found.mtu, found.mac) == (
        True, True, said["mtu"], said["address"]
    )  # fmt: skip
    assert list(found.addresses) == [f"{a['local']}/{a['prefixlen']}" for a in said["addr_info"]]
    members = json.loads(run(f"ip -j link show master {BRIDGE}"))
    assert list(found.members) == sorted(one["ifname"] for one in members)
    assert len(found.members) == 1
    assert inspect_bridge("nowhere") == BridgeState("nowhere", exists=False)
