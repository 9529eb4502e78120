"""Words to mounts, as docker writes them: -v, --mount, --tmpfs.

Every function takes one word and raises ValueError saying what was expected.
"""

from __future__ import annotations

import os

from core.commands.options import values
from core.containers.configuration.mounts import PROPAGATIONS
from core.containers.configuration.options import Mount
from core.containers.names import is_name

SELINUX = ("z", "Z")
"""Accepted and without effect: limpet labels nothing."""


def volume(word: str) -> Mount:
    """Parse [SOURCE:]PATH[:OPTIONS]; a source without a slash is a volume's name."""
    source, _, after = word.partition(":")
    if not after:
        source, after = "", word
    target, _, modes = after.partition(":")
    _check_target(target)
    named = source and not source.startswith(("/", "./", "../", "~/")) and source not in (".", "..")
    kind = "volume" if named or not source else "bind"
    if named and not is_name(source):
        raise ValueError(f"{source!r} is neither a volume's name nor a path (write ./{source})")
    mount = Mount(source if kind == "volume" else _host_path(source), target, kind=kind)
    for mode in filter(None, modes.split(",")):
        mount = _with_mode(mount, mode)
    return mount


def _with_mode(mount: Mount, mode: str) -> Mount:
    if mode in ("ro", "rw"):
        return mount.replace(read_only=mode == "ro")
    if mode == "nocopy" and mount.kind == "volume":
        return mount.replace(copy=False)
    if mode in PROPAGATIONS and mount.kind == "bind":
        return mount.replace(propagation=mode)
    if mode in SELINUX:
        return mount
    raise ValueError(f"{mode!r} is no option here; there are ro, rw, nocopy, rshared, rslave, …")


def tmpfs(word: str) -> Mount:
    """Parse PATH[:OPTIONS], options as mount(8) takes them for tmpfs."""
    target, _, data = word.partition(":")
    _check_target(target)
    words = [one for one in data.split(",") if one]
    for one in words:
        name, _, value = one.partition("=")
        if name == "size":
            values.size(value) if not value.endswith("%") else values.number(value[:-1])
        elif name not in TMPFS_WORDS:
            raise ValueError(f"{name!r} is no option of a tmpfs; size=64m and mode=1777 are")
    data = ",".join(one for one in words if one not in ("ro", "rw"))
    return Mount("", target, "ro" in words, kind="tmpfs", data=data)


TMPFS_WORDS = ("mode", "uid", "gid", "nr_inodes", "ro", "rw", "exec", "noexec", "suid", "nosuid",
               "dev", "nodev", "noatime", "relatime")  # fmt: skip


def mount(word: str) -> Mount:
    """Parse type=bind|volume|tmpfs,source=…,target=…[,readonly][,…], docker's --mount.

    Of what only other systems and drivers have, the values that mean none are taken.
    """
    fields: dict[str, str] = {}
    for part in word.split(","):
        name, equals, value = part.partition("=")
        name = ALIASES.get(name, name)
        if name not in FIELDS:
            raise ValueError(f"{name!r} is no field of --mount; they are {', '.join(FIELDS)}")
        fields[name] = value if equals else "true"
    kind = fields.get("type", "volume")
    if kind not in ("bind", "volume", "tmpfs"):
        raise ValueError(f"type={kind} is none of bind, volume, tmpfs")
    strange = [name for name in fields if FIELDS[name] and kind not in FIELDS[name]]
    if strange:
        raise ValueError(f"{strange[0]} is not for type={kind}")
    target, source = fields.get("target", ""), fields.get("source", "")
    _check_target(target)
    if kind == "bind" and not source.startswith(("/", ".", "~")):
        raise ValueError("type=bind needs source=/PATH on the host")
    if kind == "volume" and source and not is_name(source):
        raise ValueError(f"{source!r} is no volume's name; for a path write type=bind")
    propagation = fields.get("bind-propagation", "")
    if propagation and propagation not in PROPAGATIONS:
        raise ValueError(f"bind-propagation={propagation} is none of {', '.join(PROPAGATIONS)}")
    for name, only in CONSTANT.items():
        if fields.get(name, only[0]) not in only:
            raise ValueError(f"{name}={fields[name]} is not among {', '.join(only)}")
    data = [f"{name[6:]}={fields[name]}" for name in ("tmpfs-size", "tmpfs-mode") if name in fields]
    return Mount(
        _host_path(source) if kind == "bind" else source,
        target,
        _switch(fields, "readonly"),
        kind=kind,
        subpath=_subpath(fields.get("volume-subpath", "")),
        propagation=propagation,
        copy=not _switch(fields, "volume-nocopy"),
        data=",".join(data),
        recursive=fields.get("bind-recursive") != "disabled",
    )


ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
FIELDS: dict[str, tuple[str, ...]] = {
    "type": (), "source": ("bind", "volume"), "target": (), "readonly": (),
    "bind-propagation": ("bind",), "volume-nocopy": ("volume",), "volume-subpath": ("volume",),
    "tmpfs-size": ("tmpfs",), "tmpfs-mode": ("tmpfs",), "bind-recursive": ("bind",),
    "consistency": (), "volume-driver": ("volume",),
}  # fmt: skip
"""Each field, and the types it is for; () for all."""
CONSTANT = {
    "bind-recursive": ("enabled", "disabled", "readonly"),
    "consistency": ("default", "consistent", "cached", "delegated"),
    "volume-driver": ("local",),
}
"""What fields can be; a bind that is read-only is so with all below it."""


def _switch(fields: dict[str, str], name: str) -> bool:
    value = fields.get(name, "false")
    if value not in ("true", "1", "false", "0"):
        raise ValueError(f"{name}={value} is neither true nor false")
    return value in ("true", "1")


def _subpath(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"volume-subpath={path} leads out of the volume")
    return path


def _check_target(target: str) -> None:
    if not target.startswith("/") or "\0" in target:
        raise ValueError(f"{target!r} is not an absolute path in the container")


def _host_path(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
