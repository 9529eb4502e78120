"""The raw messages say what pyroute2 reads in them."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.nfnetlink.nftsocket import nft_set_elem_list_msg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from core.linux import netlink, nfnetlink
from core.network.ports import publishing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

octets = st.integers(0, 255)
ips = st.builds(lambda *parts: ".".join(map(str, parts)), octets, octets, octets, octets)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=15)
indexes = st.integers(1, 2**31 - 1)
ports = st.tuples(
    ips, st.integers(1, 65535), st.integers(1, 65535), st.sampled_from(("tcp", "udp"))
)


def read(kind: type, raw: bytes) -> Any:
    found = kind(raw)
    found.decode()
    assert found["header"]["length"] <= len(raw)
    assert len(raw) % 4 == 0
    return found


@given(names, names, indexes, st.binary(min_size=6, max_size=6), st.integers(68, 65535))
def test_a_veth_pair(name: str, peer: str, master: int, mac: bytes, mtu: int) -> None:
    found = read(ifinfmsg, netlink.veth(name, peer, 9, master=master, peer_mac=mac, mtu=mtu))
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_ACK | netlink.NLM_F_CREATE | netlink.NLM_F_EXCL
    assert found["header"]["type"] == netlink.RTM_NEWLINK
    assert found["header"]["flags"] == flags
    assert found["state"] == "up"
    assert found.get_attr("IFLA_IFNAME") == name
    assert found.get_attr("IFLA_MASTER") == master
    assert found.get_attr("IFLA_MTU") == mtu
    info = found.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    other = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert other["flags"] == 0
    assert other.get_attr("IFLA_IFNAME") == peer
    assert other.get_attr("IFLA_ADDRESS") == mac.hex(":")
    assert other.get_attr("IFLA_NET_NS_FD") == 9


@given(names)
def test_devices_by_name(name: str) -> None:
    gone = read(ifinfmsg, netlink.delete_link(name))
    assert gone["header"]["type"] == netlink.RTM_DELLINK
    assert gone.get_attr("IFLA_IFNAME") == name
    info = read(ifinfmsg, netlink.hairpin(name)).get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge"
    assert info.get_attr("IFLA_INFO_SLAVE_DATA").get_attr("IFLA_BRPORT_MODE") == 1


@given(indexes, ips, st.integers(0, 32), ips)
def test_address_and_route(index: int, ip: str, prefix: int, other: str) -> None:
    found = read(ifaddrmsg, netlink.address(index, ip, prefix, other))
    assert (found["index"], found["prefixlen"], found["family"]) == (index, prefix, 2)
    assert found.get_attr("IFA_LOCAL") == found.get_attr("IFA_ADDRESS") == ip
    assert found.get_attr("IFA_BROADCAST") == other
    route = read(rtmsg, netlink.default_route(index, other))
    assert (route["dst_len"], route["table"], route["type"], route["scope"]) == (0, 254, 1, 0)
    assert route.get_attr("RTA_OIF") == index
    assert route.get_attr("RTA_GATEWAY") == other
    up = read(ifinfmsg, netlink.link_up(index))
    assert (up["index"], up["state"], up["change"]) == (index, "up", netlink.IFF_UP)


@given(st.lists(ports, max_size=30), ips)
def test_published_ports_are_map_elements(published: list[Any], address: str) -> None:
    elements = [publishing.element(port, address) for port in published]
    first, *messages, last = nfnetlink.add_elements("table", elements)
    edge = b"\x00\x00\x00\x0a"
    assert (first[16:], last[16:]) == (edge, edge)
    found = []
    for raw in messages:
        decoded = read(nft_set_elem_list_msg, raw)
        assert decoded.get_attr("NFTA_SET_ELEM_LIST_TABLE") == "table"
        name = decoded.get_attr("NFTA_SET_ELEM_LIST_SET")
        for item in decoded.get_attr("NFTA_SET_ELEM_LIST_ELEMENTS"):
            key, value = (
                item.get_attr(f"NFTA_SET_ELEM_{part}").get_attr("NFTA_DATA_VALUE")
                for part in ("KEY", "DATA")
            )
            found.append((name, bytes(key), bytes(value)))
    assert sorted(found) == sorted(elements)


def test_an_element_is_laid_out_as_nft_does() -> None:
    assert publishing.element(("0.0.0.0", 8080, 80, "tcp"), "10.0.0.2") == (
        "any_address",
        b"\x06\0\0\0" + b"\x1f\x90\0\0",
        b"\x0a\0\0\x02" + b"\0\x50\0\0",
    )
    assert publishing.element(("127.0.0.1", 53, 53, "udp"), "10.0.0.2")[:2] == (
        "one_address",
        b"\x7f\0\0\x01" + b"\x11\0\0\0" + b"\0\x35\0\0",
    )


@given(st.integers(1, 5000))
def test_no_message_outgrows_an_attributes_length(count: int) -> None:
    elements = [("map", number.to_bytes(12, "big"), bytes(8)) for number in range(count)]
    messages = nfnetlink.add_elements("table", elements)[1:-1]
    assert all(len(raw) < 2**16 for raw in messages)
    assert len(messages) == -(-count // nfnetlink.MESSAGE_ELEMENTS)


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=50), max_size=10))
def test_attributes_are_read_back(values: dict[int, bytes]) -> None:
    raw = b"".join(netlink.attribute(kind, value) for kind, value in values.items())
    assert netlink.attributes(raw) == values


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_end_or_crash(raw: bytes) -> None:
    netlink.attributes(raw)


def test_the_kernels_refusal_has_its_words() -> None:
    with pytest.raises(OSError, match=r"\w") as caught:
        netlink.request(netlink.NETLINK_ROUTE, [netlink.link_up(2**31 - 1)])
    assert caught.value.errno in (errno.ENODEV, errno.EPERM)
