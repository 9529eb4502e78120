"""The mounts of a configuration: their options, as mount(8) and the specification name them.

Pure.  https://github.com/opencontainers/runtime-spec/blob/main/config.md#linux-mount-options
"""

from __future__ import annotations

from core.linux import mount
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# linux/mount.h
MS_SYNCHRONOUS, MS_MANDLOCK, MS_DIRSYNC, MS_NOSYMFOLLOW, MS_NODIRATIME = 16, 64, 128, 256, 2048
MS_SILENT, MS_UNBINDABLE, MS_I_VERSION, MS_LAZYTIME = 32768, 1 << 17, 1 << 23, 1 << 25
ATTR_ATIME, ATTR_NOATIME, ATTR_STRICTATIME, ATTR_NODIRATIME = 0x70, 0x10, 0x20, 0x80
ATTR_NOSYMFOLLOW = 0x200000

SET = {"ro": mount.MS_RDONLY, "nosuid": mount.MS_NOSUID, "nodev": mount.MS_NODEV,
       "noexec": mount.MS_NOEXEC, "sync": MS_SYNCHRONOUS, "mand": MS_MANDLOCK,
       "dirsync": MS_DIRSYNC, "nosymfollow": MS_NOSYMFOLLOW, "noatime": mount.MS_NOATIME,
       "nodiratime": MS_NODIRATIME, "silent": MS_SILENT, "iversion": MS_I_VERSION,
       "relatime": mount.MS_RELATIME, "strictatime": mount.MS_STRICTATIME,
       "lazytime": MS_LAZYTIME, "remount": mount.MS_REMOUNT, "defaults": 0}  # fmt: skip
CLEAR = {"rw": mount.MS_RDONLY, "suid": mount.MS_NOSUID, "dev": mount.MS_NODEV,
         "exec": mount.MS_NOEXEC, "async": MS_SYNCHRONOUS, "nomand": MS_MANDLOCK,
         "symfollow": MS_NOSYMFOLLOW, "atime": mount.MS_NOATIME, "diratime": MS_NODIRATIME,
         "loud": MS_SILENT, "noiversion": MS_I_VERSION, "norelatime": mount.MS_RELATIME,
         "nostrictatime": mount.MS_STRICTATIME, "nolazytime": MS_LAZYTIME}  # fmt: skip
ATTRIBUTES = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "noatime": ATTR_NOATIME,
              "strictatime": ATTR_STRICTATIME, "relatime": 0, "nodiratime": ATTR_NODIRATIME,
              "nosymfollow": ATTR_NOSYMFOLLOW}  # fmt: skip
"""What a bind can be given of its own (mount_setattr(2)); with `r` before it, for the tree."""
CLEARED = {"rw": 1, "suid": 2, "dev": 4, "exec": 8, "diratime": ATTR_NODIRATIME,
           "symfollow": ATTR_NOSYMFOLLOW}  # fmt: skip
ATIMES = ("noatime", "strictatime", "relatime")
PROPAGATIONS = {"private": mount.MS_PRIVATE, "shared": mount.MS_SHARED, "slave": mount.MS_SLAVE,
                "unbindable": MS_UNBINDABLE}  # fmt: skip
PROPAGATIONS |= {f"r{word}": flag | mount.MS_REC for word, flag in PROPAGATIONS.items()}


class Attributes(Record):
    """What mount_setattr(2) sets and clears."""

    set_bits: int = 0
    clear: int = 0


class Options(Record):
    """A mount's options, read."""

    bind: bool
    recursive: bool
    flags: int
    """MS_*, for a file system of its own."""
    own: Attributes
    """Of the top mount of a bind."""
    tree: Attributes
    """Of all mounts of a recursive bind."""
    propagation: int
    """MS_SHARED and the like, MS_REC with it; 0 if none was asked for."""
    data: str
    """What is the file system's own."""
    copy_up: bool
    id_map: str
    """`idmap` for the top mount, `ridmap` for all; empty for none."""


def read_options(kind: str, options: Sequence[str]) -> Options:
    """Return a mount's options; what is not known is the file system's own."""
    flags = own_set = own_clear = tree_set = tree_clear = propagation = 0
    id_map, data = "", []
    for word in options:
        plain = word[1:] if word[:1] == "r" else ""
        if word in PROPAGATIONS:
            propagation = PROPAGATIONS[word]
        elif word in SET:
            flags |= SET[word]
            own_set |= ATTRIBUTES.get(word, 0)
            own_clear |= ATTR_ATIME if word in ATIMES else 0
        elif word in CLEAR:
            flags &= ~CLEAR[word]
            own_set &= ~CLEARED.get(word, 0)
        elif plain in ATTRIBUTES:
            tree_set |= ATTRIBUTES[plain]
            tree_clear |= ATTR_ATIME if plain in ATIMES else 0
        elif plain in CLEARED:
            tree_clear |= CLEARED[plain]
        elif word in ("idmap", "ridmap"):
            id_map = word
        elif word not in ("bind", "rbind", "tmpcopyup"):
            data.append(word)
    bind = kind == "bind" or "bind" in options or "rbind" in options
    return Options(
        bind=bind,
        recursive="rbind" in options,
        flags=flags,
        own=Attributes(own_set, own_clear),
        tree=Attributes(tree_set, tree_clear),
        propagation=propagation,
        data=",".join(data),
        copy_up="tmpcopyup" in options,
        id_map=id_map,
    )
