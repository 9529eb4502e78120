"""What is asked of a file system: its kind, to be on the disk, soon, and where it puts what."""

from __future__ import annotations

import fcntl
import os

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
# linux/fs.h
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_TOPDIR_FL = 0x00020000
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


def spread_subdirectories(path: str) -> None:
    """Have ext4 place each directory that is made in this one far from the others: chattr(1) +T.

    It passes over inodes that were freed in the last minutes one by one, for every new one: a
    tree of files takes several times as long where another has just been removed.  Other file
    systems know no such wish.
    """
    flags = bytearray(8)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, FS_IOC_GETFLAGS, flags)
        wanted = int.from_bytes(flags[:4], "little") | FS_TOPDIR_FL
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, wanted.to_bytes(8, "little"))
    except OSError:
        return
    finally:
        os.close(fd)
