"""What is asked of a file system: its kind, fstatfs(2), to be on the disk, syncfs(2), soon."""

from __future__ import annotations

from core.linux.libc import address, c_int, c_long, c_ulong, check, function

STATFS_BYTES = 256
"""More than any architecture's struct statfs; its first long is the type."""
# linux/magic.h: what the kernel makes up while it is read.
KERNEL_MADE = frozenset((
    0x9FA0,  # proc
    0x62656572,  # sysfs
    0x27E0EB,  # cgroup
    0x63677270,  # cgroup2
    0x1CD1,  # devpts
    0x19800202,  # mqueue
    0x64626720,  # debugfs
    0x74726163,  # tracefs
    0x73636673,  # securityfs
    0xCAFE4A11,  # bpf
    0x6165676C,  # pstore
    0xDE5E81E4,  # efivarfs
))  # fmt: skip

SYNC_FILE_RANGE_WRITE = 2
_syncfs = function("syncfs", c_int)
_sync_file_range = function("sync_file_range", c_int, c_long, c_long, c_int)
_fstatfs = function("fstatfs", c_int, c_ulong)


def is_kernel_made(fd: int) -> bool:
    """Return whether a descriptor's file system holds no files of anybody's: /proc, /sys, …"""
    facts = bytearray(STATFS_BYTES)
    check(_fstatfs(fd, address(facts)), "fstatfs")
    return int.from_bytes(facts[:4], "little") in KERNEL_MADE


def sync_file_system(fd: int) -> None:
    """Return when all that was written to a descriptor's file system is on the disk."""
    check(_syncfs(fd), "syncfs")


def start_writing(fd: int, start: int, length: int) -> None:
    """Have the kernel begin to bring a part of a file to the disk: sync_file_range(2)."""
    check(_sync_file_range(fd, start, length, SYNC_FILE_RANGE_WRITE), "sync_file_range")
