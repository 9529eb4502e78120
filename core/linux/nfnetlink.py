"""Elements of nftables maps, put in, read and taken out without the program nft; tables removed.

A batch is carried out as a whole or not at all.  linux/netfilter/nfnetlink.h and
nf_tables.h; the layout of concatenated keys: https://wiki.nftables.org (Concatenations).
"""

from __future__ import annotations

from core.linux.netlink import (
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    ask,
    attribute,
    attributes,
    each_attribute,
    message,
    nested,
    request,
    text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NFNL_SUBSYS_NFTABLES, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 10, 16, 17
NFT_MSG_DELTABLE, NFTA_TABLE_NAME = 2, 1
NFT_MSG_GETCHAIN, NFT_MSG_NEWSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM = 4, 12, 13, 14
NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME = 1, 3
NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_ELEMENTS = 1, 2, 3
NFTA_LIST_ELEM, NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_DATA, NFTA_DATA_VALUE = 1, 1, 2, 1
NFPROTO_INET = 1
FAMILY = bytes((NFPROTO_INET, 0, 0, 0))
MESSAGE_ELEMENTS = 1000
"""Elements in one message: an attribute's length has 16 bits."""


def add_elements(table: str, elements: Sequence[tuple[str, bytes, bytes]]) -> list[bytes]:
    """Return the batch that puts (map, key, value) into maps of an `inet` table.

    It fails with EEXIST when a key is there already, with ENOENT without table or map.
    """
    flags = NLM_F_CREATE | NLM_F_EXCL
    return _batch(_of_maps(table, NFT_MSG_NEWSETELEM, flags, _by_map(elements, values=True)))


def delete_elements(table: str, elements: Sequence[tuple[str, bytes, bytes]]) -> list[bytes]:
    """Return the batch that takes elements away; it fails with ENOENT when one is not there."""
    return _batch(_of_maps(table, NFT_MSG_DELSETELEM, 0, _by_map(elements, values=False)))


def elements(table: str, name: str) -> list[tuple[bytes, bytes]]:
    """Return the keys and values in a map of an `inet` table; ENOENT without table or map."""
    names = attribute(NFTA_SET_ELEM_LIST_TABLE, text(table))
    names += attribute(NFTA_SET_ELEM_LIST_SET, text(name))
    kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETSETELEM
    answers = ask(NETLINK_NETFILTER, message(kind, NLM_F_DUMP, FAMILY + names))
    found = []
    for answer in answers:
        listed = attributes(answer[len(FAMILY) :]).get(NFTA_SET_ELEM_LIST_ELEMENTS, b"")
        for _, data in each_attribute(listed):
            element = attributes(data)
            found.append((_value(element[NFTA_SET_ELEM_KEY]), _value(element[NFTA_SET_ELEM_DATA])))
    return found


def delete_table(table: str) -> list[bytes]:
    """Return the batch that removes an `inet` table; it fails with ENOENT when there is none."""
    body = FAMILY + attribute(NFTA_TABLE_NAME, text(table))
    return _batch([message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE, NLM_F_ACK, body)])


def has_chain(table: str, chain: str) -> bool:
    """Return whether an `inet` table is there and has this chain; OSError for other failures."""
    names = attribute(NFTA_CHAIN_TABLE, text(table)) + attribute(NFTA_CHAIN_NAME, text(chain))
    query = message(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN, NLM_F_ACK, FAMILY + names)
    try:
        request(NETLINK_NETFILTER, [query])
    except FileNotFoundError:
        return False
    return True


def _value(data: bytes) -> bytes:
    return attributes(data)[NFTA_DATA_VALUE]


def _by_map(
    elements: Sequence[tuple[str, bytes, bytes]], *, values: bool
) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, key, value in elements:
        parts = [nested(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, key))]
        if values:
            parts.append(nested(NFTA_SET_ELEM_DATA, attribute(NFTA_DATA_VALUE, value)))
        found.setdefault(name, []).append(nested(NFTA_LIST_ELEM, *parts))
    return found


def _of_maps(table: str, kind: int, flags: int, items: dict[str, list[bytes]]) -> list[bytes]:
    messages = []
    for name, encoded in items.items():
        for start in range(0, len(encoded), MESSAGE_ELEMENTS):
            body = (
                FAMILY
                + attribute(NFTA_SET_ELEM_LIST_TABLE, text(table))
                + attribute(NFTA_SET_ELEM_LIST_SET, text(name))
                + nested(NFTA_SET_ELEM_LIST_ELEMENTS, *encoded[start : start + MESSAGE_ELEMENTS])
            )
            messages.append(message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags | NLM_F_ACK, body))
    return messages


def _batch(messages: list[bytes]) -> list[bytes]:
    edge = bytes((0, 0)) + NFNL_SUBSYS_NFTABLES.to_bytes(2, "big")
    return [
        message(NFNL_MSG_BATCH_BEGIN, 0, edge),
        *messages,
        message(NFNL_MSG_BATCH_END, 0, edge),
    ]
