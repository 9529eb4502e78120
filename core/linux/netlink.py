"""Batches of raw netlink messages: what a container's start needs, in one system call.

pyroute2 does the rest of the netlink work; here a start would pay twenty milliseconds and
its import ten times that.  rtnetlink(7), netfilter's nfnetlink headers.
"""

from __future__ import annotations

import _socket
import os

from core.linux.sockets import Socket

AF_NETLINK, NETLINK_ROUTE, NETLINK_NETFILTER = 16, 0, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x200, 0x400
NLMSG_ERROR = 2
NLA_F_NESTED = 0x8000
RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 17, 20, 24
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = (
    1,
    3,
    4,
    10,
    18,
    28,
)
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_GATEWAY, RTA_OIF = 5, 4
IFF_UP = 1
NFNL_SUBSYS_NFTABLES, NFNL_BATCH_BEGIN, NFNL_BATCH_END = 10, 16, 17
NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM = 12, 14
NFPROTO_IPV4 = 2


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    length = len(value) + 4
    return length.to_bytes(2, "little") + kind.to_bytes(2, "little") + value + bytes(-length % 4)


def nested(kind: int, *values: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(values))


def u32(value: int) -> bytes:
    """Return a number in host order, as rtnetlink takes it."""
    return value.to_bytes(4, "little")


def message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    """Return one message with its header."""
    header = (
        (16 + len(body)).to_bytes(4, "little")
        + kind.to_bytes(2, "little")
        + (flags | NLM_F_REQUEST).to_bytes(2, "little")
        + sequence.to_bytes(4, "little")
        + bytes(4)
    )
    return header + body + bytes(-len(body) % 4)


def link(kind: int, flags: int, *attributes: bytes, index: int = 0, up: bool = False) -> bytes:
    """Return an RTM_*LINK message."""
    info = bytes(4) + u32(index) + u32(IFF_UP if up else 0) + u32(IFF_UP if up else 0)
    return message(kind, flags | NLM_F_ACK, info + b"".join(attributes))


def veth(name: str, peer: str, netns_fd: int, *, master: int, peer_mac: bytes, mtu: int) -> bytes:
    """Return a message that makes a veth pair: `name` here, up, in bridge `master`; `peer` there.

    The peer must not be set up in the same message: the kernel refuses it while its other
    end is not there yet.
    """
    other = (
        bytes(16)
        + attribute(IFLA_IFNAME, peer.encode() + b"\0")
        + attribute(IFLA_ADDRESS, peer_mac)
        + attribute(IFLA_MTU, u32(mtu))
        + attribute(IFLA_NET_NS_FD, u32(netns_fd))
    )
    return link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        attribute(IFLA_IFNAME, name.encode() + b"\0"),
        attribute(IFLA_MTU, u32(mtu)),
        attribute(IFLA_MASTER, u32(master)),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_KIND, b"veth"),
            nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other)),
        ),
        up=True,
    )


def delete_link(name: str) -> bytes:
    """Return a message that removes a device by name."""
    return link(RTM_DELLINK, 0, attribute(IFLA_IFNAME, name.encode() + b"\0"))


def link_up(index: int) -> bytes:
    """Return a message that sets a device up."""
    return link(RTM_NEWLINK, 0, index=index, up=True)


def address(index: int, ip: str, prefix: int) -> bytes:
    """Return a message that gives a device an IPv4 address."""
    raw = _socket.inet_aton(ip)
    body = bytes((_socket.AF_INET, prefix, 0, 0)) + u32(index)
    return message(
        RTM_NEWADDR,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        body + attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw),
    )


def default_route(index: int, gateway: str) -> bytes:
    """Return a message that sends everything else through a gateway."""
    body = bytes((_socket.AF_INET, 0, 0, 0, 254, 3, 0, 1)) + bytes(
        4
    )  # main, boot, universe, unicast
    return message(
        RTM_NEWROUTE,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        body + attribute(RTA_OIF, u32(index)) + attribute(RTA_GATEWAY, _socket.inet_aton(gateway)),
    )


def set_elements(
    table: str, name: str, elements: list[tuple[bytes, bytes]], *, add: bool
) -> list[bytes]:
    """Return the messages that add or remove map elements (key, data) in an ip table."""
    family = bytes((NFPROTO_IPV4, 0, 0, 0))
    items = [
        nested(1, nested(1, attribute(1, key)), *([nested(2, attribute(1, data))] if add else []))
        for key, data in elements
    ]
    body = (
        family
        + attribute(1, table.encode() + b"\0")
        + attribute(2, name.encode() + b"\0")
        + nested(3, *items)
    )
    kind = NFNL_SUBSYS_NFTABLES << 8 | (NFT_MSG_NEWSETELEM if add else NFT_MSG_DELSETELEM)
    flags = NLM_F_ACK | (NLM_F_CREATE | NLM_F_EXCL if add else 0)
    edge = bytes((0, 0)) + NFNL_SUBSYS_NFTABLES.to_bytes(2, "big")
    return [
        message(NFNL_BATCH_BEGIN, 0, edge),
        message(kind, flags, body),
        message(NFNL_BATCH_END, 0, edge),
    ]


def open_socket(protocol: int = NETLINK_ROUTE) -> Socket:
    """Return a netlink socket of the calling thread's network namespace."""
    channel = Socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    channel.bind((0, 0))
    return channel


def request(channel: _socket.socket, messages: list[bytes], acks: int) -> None:
    """Send messages in one call and read `acks` answers; OSError for the first failure."""
    channel.send(b"".join(messages))
    while acks > 0:
        data = channel.recv(64 << 10)
        while len(data) >= 16:
            length = int.from_bytes(data[:4], "little")
            if int.from_bytes(data[4:6], "little") == NLMSG_ERROR:
                acks -= 1
                code = -int.from_bytes(data[16:20], "little", signed=True)
                if code:
                    raise OSError(code, f"netlink: {os.strerror(code)}")
            data = data[(length + 3) & ~3 :]
