"""Users and groups of an image, looked up by hand.

NSS would load the image's libraries into a privileged process (CVE-2019-14271), so the
files are parsed here from bytes that were read under the container's root.
"""

from __future__ import annotations

from core.record import Record


class Identity(Record):
    """Who a process runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def lookup(user: str, passwd: bytes, group: bytes, more: tuple[str, ...] = ()) -> Identity:
    """Resolve docker's USER[:GROUP], names or numbers, empty for root; `more` are groups.

    Raises LookupError naming what was not found, as docker words it.
    """
    name, _, group_name = user.partition(":")
    name = name or "0"
    users = _entries(passwd, 7)
    entry = next((e for e in users if e[0] == name), None)
    if entry is None and name.isdecimal():
        entry = next((e for e in users if e[2] == name), [name, "", name, "0", "", "/", ""])
    if entry is None or not (entry[2].isdecimal() and entry[3].isdecimal()):
        raise LookupError(f"unable to find user {name}: no matching entries in passwd file")
    uid, gid = _number(entry[2]), _number(entry[3])
    groups = _entries(group, 4)
    extra = tuple(_group(name, groups) for name in more)
    if group_name:
        return Identity(uid, _group(group_name, groups), extra, entry[5] or "/")
    own = tuple(_number(e[2]) for e in groups if e[2].isdecimal() and entry[0] in e[3].split(","))
    return Identity(uid, gid, (*own, *extra), entry[5] or "/")


def _group(name: str, groups: list[list[str]]) -> int:
    for entry in groups:
        if name == entry[0] and entry[2].isdecimal():
            return _number(entry[2])
    if name.isdecimal():
        return _number(name)
    raise LookupError(f"unable to find group {name}: no matching entries in group file")


def _number(text: str) -> int:
    value = int(text)
    if value > 0x7FFFFFFF:
        raise LookupError(f"uids and gids must be in range 0-2147483647, not {text}")
    return value


def _entries(data: bytes, width: int) -> list[list[str]]:
    """Return the lines of a passwd or group file that have enough fields."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    return [fields for line in lines if len(fields := line.split(":")) >= width]
