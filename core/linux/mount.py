"""Mounts: the classic calls and the descriptor-based ones of Linux 5.2 and later."""

from __future__ import annotations

import os

from core.linux.libc import address, c_char_p, c_int, c_ulong, check, function, string, syscall

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_BIND, MS_MOVE, MS_REC = 32, 1024, 4096, 8192, 16384
MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_RELATIME, MS_STRICTATIME = (
    1 << 18,
    1 << 19,
    1 << 20,
    1 << 21,
    1 << 24,
)
MNT_DETACH = 2
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, AT_RECURSIVE, AT_EMPTY_PATH = 1, os.O_CLOEXEC, 0x8000, 0x1000
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 4, 0x40
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = 1
MOUNT_ATTR_RDONLY = 1
AT_FDCWD = -100

_mount = function("mount", c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_umount2 = function("umount2", c_char_p, c_int)

# Numbers that x86 and arm share (asm-generic and unistd_64.h agree from 424 on).
NR_OPEN_TREE, NR_MOVE_MOUNT, NR_FSOPEN, NR_FSCONFIG, NR_FSMOUNT = 428, 429, 430, 431, 432
NR_MOUNT_SETATTR = 442
NR_PIVOT_ROOT = {"x86_64": 155}.get(os.uname().machine, 41)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call mount(2)."""
    result = _mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(data)
    )
    check(result, "mount", target)


def umount2(target: str, flags: int = MNT_DETACH) -> None:
    """Call umount2(2)."""
    check(_umount2(os.fsencode(target), flags), "umount2", target)


def pivot_root(new: str, old: str) -> None:
    """Call pivot_root(2)."""
    first, second = string(new), string(old)
    syscall("pivot_root", NR_PIVOT_ROOT, address(first), address(second), path=new)


def open_tree(dir_fd: int, path: str, flags: int) -> int:
    """Call open_tree(2); returns a descriptor."""
    text = string(path)
    return syscall("open_tree", NR_OPEN_TREE, dir_fd, address(text), flags, path=path)


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int) -> None:
    """Call move_mount(2)."""
    source, target = string(from_path), string(to_path)
    syscall(
        "move_mount",
        NR_MOVE_MOUNT,
        from_fd,
        address(source),
        to_fd,
        address(target),
        flags,
        path=to_path or from_path,
    )


def fsopen(kind: str) -> int:
    """Call fsopen(2); returns a descriptor."""
    text = string(kind)
    return syscall("fsopen", NR_FSOPEN, address(text), FSOPEN_CLOEXEC, path=kind)


def fsconfig(fd: int, command: int, key: str = "", value: str = "") -> None:
    """Call fsconfig(2) with a flag, a string or a command."""
    name, text = string(key), string(value)
    syscall(
        "fsconfig",
        NR_FSCONFIG,
        fd,
        command,
        address(name) if key else 0,
        address(text) if command == FSCONFIG_SET_STRING else 0,
        0,
        path=f"{key}={value}",
    )


def fsmount(fd: int, attributes: int = 0) -> int:
    """Call fsmount(2); returns a descriptor of the detached mount."""
    return syscall("fsmount", NR_FSMOUNT, fd, FSMOUNT_CLOEXEC, attributes)


def mount_setattr(
    fd: int,
    set_bits: int,
    *,
    clear: int = 0,
    propagation: int = 0,
    user_namespace: int = 0,
    recursive: bool = False,
) -> None:
    """Call mount_setattr(2) on a mount's own descriptor.

    `user_namespace` is the descriptor that MOUNT_ATTR_IDMAP takes.
    """
    values = (set_bits, clear, propagation, user_namespace)
    attributes = bytearray(b"".join(value.to_bytes(8, "little") for value in values))
    empty = string("")
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall(
        "mount_setattr",
        NR_MOUNT_SETATTR,
        fd,
        address(empty),
        flags,
        address(attributes),
        len(attributes),
    )


def attach(mount_fd: int, target_fd: int) -> None:
    """Put a detached mount on what `target_fd` (O_PATH) refers to, by descriptors alone."""
    move_mount(mount_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)


def bind(source_fd: int, target_fd: int, *, read_only: bool, recursive: bool) -> None:
    """Bind what one descriptor refers to onto what another does."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    clone = open_tree(source_fd, "", flags)
    try:
        if read_only:
            mount_setattr(clone, MOUNT_ATTR_RDONLY, recursive=recursive)
        attach(clone, target_fd)
    finally:
        os.close(clone)
