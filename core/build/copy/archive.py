"""Archives that ADD unpacks and that may be a whole context."""

from __future__ import annotations

import os
import tarfile

from core.build.copy.selection import SelectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


def is_archive(path: str) -> bool:
    """Return whether a file is a tar, compressed or not; the name does not count."""
    try:
        with open(path, "rb") as file, open_stream(file) as tar:
            return tar.next() is not None
    except (tarfile.TarError, OSError, EOFError, ValueError):
        return False


def open_stream(file: BinaryIO) -> tarfile.TarFile:
    """Open a tar that can be read only once; tarfile.TarError if it is none."""
    import io

    reader = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    if reader.peek(8)[:4] == ZSTD:
        import zstandard

        stream = zstandard.ZstdDecompressor().stream_reader(reader, read_across_frames=True)
        try:
            return tarfile.open(fileobj=stream, mode="r|")
        except zstandard.ZstdError as error:
            raise tarfile.ReadError(f"the zstd data is damaged: {error}") from None
    return tarfile.open(fileobj=reader, mode="r|*")


def unpack_below(root_fd: int, path: str, target: str, owner: list[int] | None) -> None:
    """Unpack an archive into a directory of the root; SelectionError when it is damaged.

    Done by a child that has changed its root: no name and no link in it can lead outside.
    """
    import bz2  # noqa: F401 - all is loaded before the root changes
    import grp  # noqa: F401
    import lzma  # noqa: F401
    import pwd  # noqa: F401

    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb")
    try:
        tar = open_stream(file)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise SelectionError(str(error)) from None
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.fchdir(os.open(f"/proc/self/fd/{root_fd}", os.O_RDONLY | os.O_DIRECTORY))
            os.chroot(".")
            _extract(tar, target, owner)
            code = 0
        except BaseException as error:  # noqa: BLE001 - a child must never return
            os.write(write, f"{type(error).__name__}: {error}".encode()[:4000])
        finally:
            os._exit(code)
    os.close(write)
    with open(read, "rb") as file:
        problem = file.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if status:
        raise SelectionError(f"the archive cannot be unpacked: {problem or status}")


def _extract(tar: tarfile.TarFile, target: str, owner: list[int] | None) -> None:
    tar.errorlevel = 1
    os.umask(0o022)  # for directories that have no entry of their own
    # Where Python has filters they are not needed: the root is the target's own.
    trusted = getattr(tarfile, "fully_trusted_filter", None)
    if trusted is not None:
        tar.extraction_filter = trusted
    directories = []
    for member in tar:
        member.name = member.name.lstrip("/")
        if owner:
            member.uid, member.gid = owner
        tar.extract(member, target, set_attrs=not member.isdir(), numeric_owner=True)
        if member.isdir():
            directories.append(member)
    for member in sorted(directories, key=lambda one: one.name, reverse=True):
        place = os.path.join(target, member.name)
        os.chown(place, member.uid, member.gid, follow_symlinks=False)
        os.chmod(place, member.mode)
        os.utime(place, (member.mtime, member.mtime))
