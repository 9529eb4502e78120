"""Batches of raw netlink messages: what a container's start needs, in one system call.

pyroute2 does the rest of the netlink work; here a start would pay twenty milliseconds for
it, and its import ten times that.  netlink(7), rtnetlink(7), linux/if_link.h.
"""

from __future__ import annotations

import _socket
import errno
import os
from sys import byteorder

from core.linux.sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AF_NETLINK, NETLINK_ROUTE, NETLINK_NETFILTER = 16, 0, 12
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x200, 0x400
NLM_F_ACK_TLVS, NLM_F_DUMP = 0x200, 0x300
NLMSG_ERROR, NLMSG_DONE, NLMSGERR_ATTR_MSG = 2, 3, 1
NLA_F_NESTED, NLA_TYPE_MASK = 0x8000, 0x3FFF
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_GETADDR, RTM_NEWROUTE = 20, 22, 24
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER = 1, 3, 4, 10
IFLA_LINKINFO, IFLA_NET_NS_FD = 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER = 1, 2, 1
IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, IFLA_BRPORT_MODE = 4, 5, 4
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
RTA_OIF, RTA_GATEWAY = 4, 5
RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 3, 0, 1
IFA_F_NODAD = 2
"""Usable at once: nobody else can have an address that limpet leased."""
IFF_UP = 1
LOOPBACK_INDEX = 1
"""Of `lo`, in every network namespace: the kernel's LOOPBACK_IFINDEX."""

HEADER_BYTES = 16
RECEIVE_BYTES = 32 << 10


def number(value: int, size: int = 4) -> bytes:
    """Return a number in the byte order of this machine, as rtnetlink takes it."""
    return value.to_bytes(size, byteorder)


def text(value: str) -> bytes:
    """Return a name with the zero byte that ends it."""
    return value.encode() + b"\0"


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    length = len(value) + 4
    return number(length, 2) + number(kind, 2) + value + bytes(-length % 4)


def nested(kind: int, *values: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(values))


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return one request with its header."""
    length = HEADER_BYTES + len(body)
    header = number(length) + number(kind, 2) + number(flags | NLM_F_REQUEST, 2) + bytes(8)
    return header + body + bytes(-length % 4)


def link(kind: int, flags: int, *attributes: bytes, index: int = 0, up: bool = False) -> bytes:
    """Return an RTM_NEWLINK or RTM_DELLINK message; `up` sets the device up."""
    state = number(IFF_UP if up else 0)
    info = bytes(4) + number(index) + state + state
    return message(kind, flags | NLM_F_ACK, info + b"".join(attributes))


def bridge(name: str, mac: bytes, mtu: int) -> bytes:
    """Return a message that makes a bridge."""
    return link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        attribute(IFLA_IFNAME, text(name)),
        attribute(IFLA_ADDRESS, mac),
        attribute(IFLA_MTU, number(mtu)),
        nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bridge")),
    )


def veth(name: str, peer: str, netns_fd: int, *, master: int, peer_mac: bytes, mtu: int) -> bytes:
    """Return a message that makes a veth pair.

    `name` is made here, set up and put into bridge `master`; `peer` is made in the network
    namespace `netns_fd`.  The peer cannot be set up by the same message: the kernel does
    that before the two ends know each other and fails with ENOTCONN.
    """
    other = (
        bytes(16)
        + attribute(IFLA_IFNAME, text(peer))
        + attribute(IFLA_ADDRESS, peer_mac)
        + attribute(IFLA_MTU, number(mtu))
        + attribute(IFLA_NET_NS_FD, number(netns_fd))
    )
    return link(
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        attribute(IFLA_IFNAME, text(name)),
        attribute(IFLA_MTU, number(mtu)),
        attribute(IFLA_MASTER, number(master)),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_KIND, b"veth"),
            nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, other)),
        ),
        up=True,
    )


def hairpin(name: str) -> bytes:
    """Return a message that lets a bridge send packets back where they came from.

    A container that asks for its own published port needs it where br_netfilter is loaded:
    the redirected packet is then bridged, not routed.
    """
    return link(
        RTM_NEWLINK,
        0,
        attribute(IFLA_IFNAME, text(name)),
        nested(
            IFLA_LINKINFO,
            attribute(IFLA_INFO_SLAVE_KIND, b"bridge"),
            nested(IFLA_INFO_SLAVE_DATA, attribute(IFLA_BRPORT_MODE, b"\1")),
        ),
    )


def delete_link(name: str) -> bytes:
    """Return a message that removes a device by name."""
    return link(RTM_DELLINK, 0, attribute(IFLA_IFNAME, text(name)))


def delete_index(index: int) -> bytes:
    """Return a message that removes a device by its index, which no other will have."""
    return link(RTM_DELLINK, 0, index=index)


def link_up(index: int) -> bytes:
    """Return a message that sets a device up."""
    return link(RTM_NEWLINK, 0, index=index, up=True)


def address(index: int, ip: str, prefix: int, broadcast: str = "") -> bytes:
    """Return a message that gives a device an IPv4 or IPv6 address."""
    family, own = packed(ip)
    other = attribute(IFA_BROADCAST, _socket.inet_aton(broadcast)) if broadcast else b""
    flags = IFA_F_NODAD if family == _socket.AF_INET6 else 0
    return message(
        RTM_NEWADDR,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        bytes((family, prefix, flags, 0))
        + number(index)
        + attribute(IFA_LOCAL, own)
        + attribute(IFA_ADDRESS, own)
        + other,
    )


def link_of(index: int) -> bytes:
    """Return a message that asks for a device."""
    return message(RTM_GETLINK, NLM_F_ACK, bytes(4) + number(index) + bytes(8))


def members(index: int) -> bytes:
    """Return a message that asks for all devices in a bridge."""
    return message(RTM_GETLINK, NLM_F_DUMP, bytes(16) + attribute(IFLA_MASTER, number(index)))


def addresses(index: int) -> bytes:
    """Return a message that asks for all addresses of a device."""
    return message(RTM_GETADDR, NLM_F_DUMP, bytes(4) + number(index))


def default_route(index: int, gateway: str) -> bytes:
    """Return a message that sends everything else of a gateway's family through it."""
    route = (RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST)
    family, through = packed(gateway)
    return message(
        RTM_NEWROUTE,
        NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
        bytes((family, 0, 0, 0, *route, 0, 0, 0, 0))
        + attribute(RTA_OIF, number(index))
        + attribute(RTA_GATEWAY, through),
    )


def packed(ip: str) -> tuple[int, bytes]:
    """Return an address's family and its bytes; OSError for what is none."""
    family = _socket.AF_INET6 if ":" in ip else _socket.AF_INET
    return family, _socket.inet_pton(family, ip)


def request(
    protocol: int, messages: Sequence[bytes], leave_open: list[Socket] | None = None
) -> None:
    """Send messages in one call, in the network namespace of the calling thread.

    rtnetlink carries them out one by one, nfnetlink a batch as a whole.  The socket is added
    to `leave_open` if there is such a list, else closed.  Raises OSError for the first that
    failed, with the kernel's own words where it has some.
    """
    channel = Socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    try:
        channel.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        channel.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        channel.send(b"".join(messages))
        _check_answers(channel)
    finally:
        if leave_open is None:
            channel.close()
        else:
            leave_open.append(channel)


def ask(protocol: int, question: bytes) -> list[bytes]:
    """Return the bodies of the answers to a message that asks for something, or for all of it.

    In the network namespace of the calling thread.  Raises OSError.
    """
    channel = Socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    found: list[bytes] = []
    try:
        channel.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        channel.send(question)
        while True:
            for kind, answer in _answers(channel.recv(RECEIVE_BYTES)):
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    _check(answer)
                    return found
                found.append(answer[HEADER_BYTES:])
    finally:
        channel.close()


def _answers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the messages in what was received: type, and all of it."""
    while len(data) >= HEADER_BYTES:
        length = int.from_bytes(data[:4], byteorder)
        yield int.from_bytes(data[4:6], byteorder), data[:length]
        data = data[(max(length, HEADER_BYTES) + 3) & ~3 :]


def _check_answers(channel: Socket) -> None:
    """Read what is there: the kernel has answered everything when send(2) returns."""
    answered = False
    while True:
        try:
            data = channel.recv(RECEIVE_BYTES, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            break
        for kind, answer in _answers(data):
            answered = True
            if kind == NLMSG_ERROR:
                _check(answer)
    if not answered:
        raise OSError(errno.EPROTO, "netlink: the kernel did not answer")


def _check(answer: bytes) -> None:
    """Raise OSError unless an NLMSG_ERROR says that all is well; it then has code 0."""
    code = -int.from_bytes(answer[16:20], byteorder, signed=True)
    if not code:
        return
    cause = os.strerror(code)
    if int.from_bytes(answer[6:8], byteorder) & NLM_F_ACK_TLVS:
        words = attributes(answer[HEADER_BYTES + 4 + HEADER_BYTES :]).get(NLMSGERR_ATTR_MSG, b"")
        if words:
            cause += f" ({words.rstrip(bytes(1)).decode('utf-8', 'replace')})"
    raise OSError(code, cause)


def attributes(data: bytes) -> dict[int, bytes]:
    """Return the attributes in `data` by type; of several of one type the last."""
    return dict(each_attribute(data))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the types and values of the attributes in `data`."""
    while len(data) >= 4:
        length = int.from_bytes(data[:2], byteorder)
        if length < 4:
            break
        yield int.from_bytes(data[2:4], byteorder) & NLA_TYPE_MASK, data[4:length]
        data = data[(length + 3) & ~3 :]
