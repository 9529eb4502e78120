"""Addresses, ports and name files of containers, as far as no kernel is needed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Config
from core.database import Database
from core.errors import ConfigError, Conflict
from core.network import addresses, resolver_files
from core.network.addresses import Subnet, make_pool, parse_address
from core.network.attachment.wiring import device_name
from core.network.definition import BridgeNetwork
from core.network.host import firewall
from core.network.network import Network
from core.network.ports import choice
from core.network.ports.exposure import exposure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.paths import Paths

networks = st.builds(
    lambda number, prefix: ipaddress.IPv4Network((number, prefix), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(8, 30),
)


# -- subnets -------------------------------------------------------------------------


@given(networks)
def test_a_subnet_is_what_ipaddress_says(network: ipaddress.IPv4Network) -> None:
    subnet = Subnet(str(network))
    assert str(subnet) == str(network)
    assert subnet.gateway == str(network.network_address + 1)
    assert subnet.broadcast == str(network.broadcast_address)
    assert make_pool("n", str(network)).free(()) == str(network.network_address + 2)


@given(networks, networks)
def test_overlaps_is_what_ipaddress_says(
    one: ipaddress.IPv4Network, other: ipaddress.IPv4Network
) -> None:
    assert Subnet(str(one)).overlaps(Subnet(str(other))) == one.overlaps(other)


@given(st.text(max_size=20) | st.from_regex(r"\A[0-9]{1,4}(\.[0-9]{1,4}){2,4}\Z"))
def test_only_addresses_are_addresses(text: str) -> None:
    number = parse_address(text)
    if number is not None:
        parts = [str(int(part)) for part in text.split(".")]
        assert number == int(ipaddress.IPv4Address(".".join(parts)))


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/33", "10.0.0.0/-1", "10.0/8",
             "10.0.0.256/24", "10.0.0.0.0/24", "fd00::/129", "fd00::g/64",
             "١٠.0.0.0/8", "10.0.0.0/²"],
)  # fmt: skip
def test_what_is_no_subnet_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a subnet"):
        Subnet(text)


@given(st.sets(st.integers(0, 15)))
def test_a_free_address_is_free(taken: set[int]) -> None:
    used = {f"10.0.0.{number}" for number in taken}
    pool = make_pool("n", "10.0.0.0/28")
    found = pool.free(used)
    if found is None:
        assert set(range(2, 15)) <= taken
    else:
        assert found not in used
        assert pool.offers(found)


# -- leases --------------------------------------------------------------------------


def dead(_: str) -> bool:
    return False


def alive(_: str) -> bool:
    return True


def test_a_container_keeps_its_address_until_release(paths: Paths) -> None:
    database, subnet = Database(paths), make_pool("n", "10.0.0.0/24")
    first = addresses.lease(database, subnet, "a", alive)
    assert addresses.lease(database, subnet, "b", alive) != first
    assert addresses.lease(database, subnet, "a", alive) == first
    addresses.release(database, "a")
    assert addresses.lease(database, subnet, "c", alive) == first
    database.close()


def test_another_subnet_means_another_address(paths: Paths) -> None:
    database = Database(paths)
    addresses.lease(database, make_pool("n", "10.0.0.0/24"), "a", alive)
    assert addresses.lease(database, make_pool("n", "10.1.0.0/24"), "a", alive) == "10.1.0.2"
    assert len(database.query("SELECT * FROM addresses")) == 1
    database.close()


def test_the_oldest_lease_of_a_stopped_container_is_taken_over(paths: Paths) -> None:
    database, subnet = Database(paths), make_pool("n", "10.0.0.0/29")
    leased = {name: addresses.lease(database, subnet, name, alive) for name in "abcde"}
    with pytest.raises(Conflict, match="no address is free"):  # all may be starting
        addresses.lease(database, subnet, "f", dead)
    with database.write() as sql:
        sql.execute("UPDATE addresses SET leased=leased-1000")
        sql.execute("UPDATE addresses SET leased=leased-1000 WHERE container='c'")
    with pytest.raises(Conflict, match="no address is free"):
        addresses.lease(database, subnet, "f", alive)
    assert addresses.lease(database, subnet, "f", lambda name: name == "c") == leased["a"]
    assert addresses.lease(database, subnet, "g", dead) == leased["c"]
    database.close()


def test_a_lease_of_before_the_clock_was_set_back_is_old(paths: Paths) -> None:
    database, subnet = Database(paths), make_pool("n", "10.0.0.0/30")
    address = addresses.lease(database, subnet, "a", dead)
    with database.write() as sql:
        sql.execute("UPDATE addresses SET leased=leased+1000000")
    assert addresses.lease(database, subnet, "b", dead) == address
    with database.write() as sql:
        sql.execute("UPDATE addresses SET leased=leased+1000000")
    assert addresses.lease(database, subnet, "c", dead, address) == address
    database.close()


# -- ports ---------------------------------------------------------------------------

published = st.tuples(
    st.sampled_from(("0.0.0.0", "127.0.0.1", "10.0.0.1")),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from(("tcp", "udp")),
)


@given(published, published)
def test_a_clash_is_mutual(
    one: tuple[str, int, int, str], other: tuple[str, int, int, str]
) -> None:
    assert choice.clash(one, one)
    assert choice.clash(one, other) == choice.clash(other, one)
    if one[1] != other[1] or one[3] != other[3]:
        assert not choice.clash(one, other)


@pytest.mark.parametrize(
    ("ip", "text"),
    [("127.0.0.1", "this host only"), ("", "all networks of this host"),
     ("0.0.0.0", "all networks of this host"), ("192.0.2.1", "networks that reach 192.0.2.1")],
)  # fmt: skip
def test_exposure(ip: str, text: str) -> None:
    assert exposure(ip) == text


# -- settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "a" * 16, "with space", "0first", "-x", "é", "a;b", "_", ".a"]
)
def test_a_bridge_needs_a_devices_name(paths: Paths, name: str) -> None:
    network = Network(paths, Database(paths), Config({("network", "bridge"): name}))
    with pytest.raises(ConfigError, match=r"network\.bridge"):
        _ = network.bridge


@pytest.mark.parametrize("text", ["10.0.0.0/31", "10.0.0.0/7", "ten"])
def test_a_network_needs_a_subnet(paths: Paths, text: str) -> None:
    network = Network(paths, Database(paths), Config({("network", "subnet"): text}))
    with pytest.raises(ConfigError, match=r"network\.subnet"):
        _ = network.subnet


@given(st.binary(min_size=32, max_size=32))
def test_a_devices_name_fits_the_kernel(container: bytes) -> None:
    name = device_name(container.hex())
    assert len(name) == 15
    assert container.hex().startswith(name.removeprefix("veth"))


def test_the_marker_tells_rules_apart() -> None:
    markers = {
        firewall.marker(BridgeNetwork("n", bridge, subnet, "", subnet6=subnet6, internal=internal))
        for bridge in ("limpet0", "limpet1")
        for subnet in ("10.89.0.0/16", "10.90.0.0/16")
        for subnet6, internal in (("", False), ("fd00::/64", False), ("", True))
    }
    # What is cut off has no rule that names its subnet.
    assert len(markers) == 10


# -- name files ----------------------------------------------------------------------


def test_hosts_file() -> None:
    lines = resolver_files.hosts_file(("10.89.0.2", ""), ("abc", "web")).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[-1] == "10.89.0.2\tabc web"
    assert resolver_files.hosts_file((), ("abc",)).endswith("127.0.1.1\tabc\n")


HOST_TEXT = """\
# made by hand
nameserver 127.0.0.53
nameserver 192.0.2.53
nameserver ::1
nameserver 2001:db8::53
search example.com
options ndots:2 edns0
nameserver
"""


def test_servers_that_a_container_cannot_reach_are_left_out() -> None:
    assert resolver_files.resolv_conf(HOST_TEXT, (), host_network=False) == (
        "nameserver 192.0.2.53\nsearch example.com\noptions ndots:2 edns0\n"
    )
    shared = resolver_files.resolv_conf(HOST_TEXT, (), host_network=True)
    assert "127.0.0.53" in shared
    assert "2001:db8::53" in shared


def test_configured_servers_win() -> None:
    text = resolver_files.resolv_conf(HOST_TEXT, ("198.51.100.53",), host_network=False)
    assert text.startswith("nameserver 198.51.100.53\nsearch")
    assert "192.0.2.53" not in text


def test_no_server_at_all_is_explained() -> None:
    text = resolver_files.resolv_conf("nameserver 127.0.0.1\n", (), host_network=False)
    assert all(line.startswith("#") for line in text.splitlines())
    assert "config.toml" in text


def test_servers_behind_the_stub_of_systemd(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path_factory.mktemp("etc")
    stub, real = directory / "stub", directory / "real"
    monkeypatch.setattr(resolver_files, "HOST_FILES", (str(stub), str(real)))
    assert resolver_files.host_resolv_conf() == ""
    stub.write_text("nameserver 127.0.0.53\n")
    assert resolver_files.host_resolv_conf() == "nameserver 127.0.0.53\n"
    real.write_text("nameserver 192.0.2.1\n")
    assert resolver_files.host_resolv_conf() == "nameserver 192.0.2.1\n"


@given(st.text(max_size=300))
def test_any_host_file_is_read(text: str) -> None:
    for shared in (True, False):
        resolver_files.resolv_conf(text, (), host_network=shared)
