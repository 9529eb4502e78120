"""What `RUN --mount` asks for.

https://docs.docker.com/reference/dockerfile/#run---mount
"""

from __future__ import annotations

from core.record import Record

KINDS = ("bind", "cache", "tmpfs", "secret")
MAX_MODE, MAX_ID = 0o7777, (1 << 32) - 2
SHARING = ("shared", "private", "locked")
KEYS = {
    "bind": ("target", "source", "from", "rw"),
    "cache": ("id", "target", "ro", "sharing", "from", "source", "mode", "uid", "gid"),
    "tmpfs": ("target", "size"),
    "secret": ("id", "target", "required", "mode", "uid", "gid", "env"),
}
SAME = {"dst": "target", "destination": "target", "src": "source", "readwrite": "rw",
        "readonly": "ro"}  # fmt: skip


class RunMount(Record):
    """One mount of a RUN; paths may hold variables."""

    kind: str
    target: str
    source: str = ""
    stage: str = ""
    """from=: a stage or an image; empty: the context."""
    read_only: bool = False
    id: str = ""
    sharing: str = "shared"
    required: bool = False
    env: str = ""
    size: int = 0
    mode: int = -1
    uid: int = 0
    gid: int = 0


def parse_mount(text: str) -> RunMount:
    """Parse `type=cache,target=/root/.cache,…`; ValueError tells what was expected."""
    import csv

    from core.build.dockerfile.source import guess

    given: dict[str, str] = {}
    try:
        parts = next(csv.reader([text]))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        name = SAME.get(name, name)
        if not equals and name not in ("ro", "rw", "required"):
            raise ValueError(f"{part!r} is not NAME=VALUE")
        given[name] = value if equals else "true"
    kind = given.pop("type", "bind")
    if kind == "ssh":
        raise ValueError("forwarding an SSH agent is not supported; use type=secret for a key")
    if kind not in KINDS:
        raise ValueError(f"there is no mount of type {kind}{guess(kind, KINDS)}")
    for name in given:
        known = (*KEYS[kind], "ro", "rw") if kind == "bind" else KEYS[kind]
        if name not in known:
            raise ValueError(f"a {kind} mount has no {name!r}{guess(name, known)}")
    target = given.get("target", "")
    ident = given.get("id", "")
    if kind == "secret":
        if not ident and not target:
            raise ValueError("a secret needs id=NAME")
        ident = ident or target.rpartition("/")[2]
        if not target and "env" not in given:
            target = f"/run/secrets/{ident}"
    elif not target:
        raise ValueError(f"a {kind} mount needs target=PATH")
    sharing = given.get("sharing", "shared")
    if sharing not in SHARING:
        raise ValueError(f"sharing={sharing} is none of {', '.join(SHARING)}")
    read_only = _switch(given, "ro")
    if kind == "bind":
        read_only = not _switch(given, "rw") if "rw" in given else given.get("ro") != "false"
    return RunMount(
        kind, target, given.get("source", ""), given.get("from", ""), read_only, ident or target,
        sharing, _switch(given, "required"), given.get("env", ""), _size(given.get("size", "0")),
        _number(given, "mode", 8, -1), _number(given, "uid", 10, 0), _number(given, "gid", 10, 0),
    )  # fmt: skip


def _switch(given: dict[str, str], name: str) -> bool:
    value = given.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise ValueError(f"{name} takes true or false")
    return value in ("true", "1")


def _number(given: dict[str, str], name: str, base: int, default: int) -> int:
    if name not in given:
        return default
    try:
        number = int(given[name], base)
    except ValueError:
        raise ValueError(f"{name}={given[name]} is not a number") from None
    most = MAX_MODE if name == "mode" else MAX_ID
    if not 0 <= number <= most:
        raise ValueError(f"{name}={given[name]} is more than can be, or less than 0")
    return number


def _size(text: str) -> int:
    digits = text.rstrip("bBkKmMgG")
    unit = text[len(digits) :].lower().removesuffix("b") or ""
    if not digits.isdecimal() or unit not in ("", "k", "m", "g"):
        raise ValueError(f"size={text} is not a size such as 64m")
    return int(digits) << {"": 0, "k": 10, "m": 20, "g": 30}[unit]
