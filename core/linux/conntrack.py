"""Makes the kernel forget UDP flows, so that the next packet meets the rules of now.

NAT is decided by a flow's first packet.  UDP has no end: a sender that goes on keeps a flow
alive that was redirected to a container long gone, or was not redirected at all.
linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import _socket
from sys import byteorder

from core.linux.netlink import (
    AF_NETLINK,
    HEADER_BYTES,
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLMSG_ERROR,
    RECEIVE_BYTES,
    attribute,
    attributes,
    message,
    nested,
    number,
    request,
)
from core.linux.sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE = 1, 1, 2
NLM_F_DUMP, NLMSG_DONE = 0x300, 3
CTA_TUPLE_ORIG, CTA_ID, CTA_FILTER = 1, 12, 25
CTA_TUPLE_IP, CTA_TUPLE_PROTO, CTA_IP_V4_DST, CTA_IP_V6_DST = 1, 2, 2, 4
CTA_PROTO_NUM, CTA_PROTO_DST_PORT = 1, 3
CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS = 1, 2
PROTO_NUM, PROTO_DST_PORT = 1 << 3, 1 << 5
"""What a dump is to be filtered by; a kernel before 5.8 sends all flows."""
IPPROTO_UDP = 17
NFGENMSG_BYTES = 4


def forget_udp(places: Sequence[tuple[str, int]]) -> None:
    """Forget the UDP flows to ports of this host, given by address and port.

    The addresses `0.0.0.0` and `::` mean all of the host.  Flows that pass through to other
    hosts' ports of this number stay.  Raises OSError.
    """
    for family in (_socket.AF_INET, _socket.AF_INET6):
        own = [place for place in places if (":" in place[0]) == (family == _socket.AF_INET6)]
        if own:
            _forget(family, own)


def _forget(family: int, places: Sequence[tuple[str, int]]) -> None:
    ports = {port.to_bytes(2, "big"): set[str]() for _, port in places}
    for host_ip, port in places:
        ports[port.to_bytes(2, "big")].add(host_ip)
    anywhere, kind = ("0.0.0.0", CTA_IP_V4_DST)
    if family == _socket.AF_INET6:
        anywhere, kind = ("::", CTA_IP_V6_DST)
    for flow in list(_udp_flows(family, places[0][1] if len(ports) == 1 else 0)):
        original = attributes(flow[CTA_TUPLE_ORIG])
        protocol = attributes(original[CTA_TUPLE_PROTO])
        if protocol[CTA_PROTO_NUM] != bytes((IPPROTO_UDP,)):
            continue
        wanted = ports.get(protocol[CTA_PROTO_DST_PORT], ())
        target = _socket.inet_ntop(family, attributes(original[CTA_TUPLE_IP])[kind])
        if target in wanted or (anywhere in wanted and _is_local(family, target)):
            _delete(family, flow)


def _udp_flows(family: int, port: int) -> Iterator[dict[int, bytes]]:
    """Yield the flows to a port, or to any if it is 0."""
    target = nested(
        CTA_TUPLE_PROTO,
        attribute(CTA_PROTO_NUM, bytes((IPPROTO_UDP,))),
        attribute(CTA_PROTO_DST_PORT, port.to_bytes(2, "big")),
    )
    by = nested(
        CTA_FILTER,
        attribute(CTA_FILTER_ORIG_FLAGS, number(PROTO_NUM | (PROTO_DST_PORT if port else 0))),
        attribute(CTA_FILTER_REPLY_FLAGS, number(0)),
    )
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET
    with Socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_NETFILTER) as channel:
        channel.send(
            message(kind, NLM_F_DUMP, _header(family) + nested(CTA_TUPLE_ORIG, target) + by)
        )
        while True:
            data = channel.recv(RECEIVE_BYTES)
            while len(data) >= HEADER_BYTES:
                length = int.from_bytes(data[:4], byteorder)
                kind = int.from_bytes(data[4:6], byteorder)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    code = -int.from_bytes(data[16:20], byteorder, signed=True)
                    raise OSError(code, "the kernel does not tell of its flows")
                yield attributes(data[HEADER_BYTES + NFGENMSG_BYTES : length])
                data = data[(length + 3) & ~3 :]


def _header(family: int) -> bytes:
    """Return linux/netfilter/nfnetlink.h's struct nfgenmsg."""
    return bytes((family, 0, 0, 0))


def _is_local(family: int, address: str) -> bool:
    with Socket(family, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def _delete(family: int, flow: dict[int, bytes]) -> None:
    kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE
    which = nested(CTA_TUPLE_ORIG, flow[CTA_TUPLE_ORIG]) + attribute(CTA_ID, flow[CTA_ID])
    try:
        request(NETLINK_NETFILTER, [message(kind, NLM_F_ACK, _header(family) + which)])
    except FileNotFoundError:
        pass  # it has timed out meanwhile
