"""The process that unpacks one layer; started by `core.images.unpack` by this file's path.

It has one job, so it may change its root.  Lines on stdout: `bytes N` as it
goes, then `done SIZE FILES`, or `failed CODE MESSAGE`.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Unpack: arguments are module paths, blob, target, index, media type, digests, limits."""
    modules, blob, target, index, media_type, digest, diff_id, max_bytes, max_files = sys.argv[1:]
    sys.path[:0] = modules.split(os.pathsep)
    from core.errors import Error

    try:
        size, files = unpack(
            blob, target, index, media_type, digest, diff_id, int(max_bytes), int(max_files)
        )
    except Error as error:
        say(f"failed {error.code} {error.message}\n{error.hint}")
        os._exit(1)
    except OSError as error:
        say(f"failed host {error.errno} {error.strerror}")
        os._exit(1)
    say(f"done {size} {files}")


def say(line: str) -> None:
    """Write one line for the parent."""
    os.write(1, line.replace("\n", "\x1f").encode("utf-8", "backslashreplace") + b"\n")


def unpack(
    blob: str,
    target: str,
    index: str,
    media_type: str,
    digest: str,
    diff_id: str,
    max_bytes: int,
    max_files: int,
) -> tuple[int, int]:
    """Unpack and verify; returns bytes of files and their number."""
    # Everything is imported before the root changes.
    import shutil  # noqa: F401 - used by the extractor when a directory gives way

    from core.errors import Corrupt
    from core.images.compression import Hashed, open_layer
    from core.images.digest import hasher, split_digest
    from core.images.extract import Extractor
    from core.images.tar_stream import TarStream
    from core.privileges import is_rootless

    compressed, plain = hasher(split_digest(digest)[0]), hasher(split_digest(diff_id)[0])
    with open(blob, "rb", buffering=0) as file:
        source = Hashed(file, compressed)
        # Opened now: it lies outside the root that is about to be taken.
        index_fd = os.open(index, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        layer = open_layer(source, media_type)
        rootless = is_rootless()  # asked of /proc, which lies outside
        if os.geteuid() == 0:
            os.chroot(target)
            os.chdir("/")
        os.umask(0)
        stream = TarStream(
            layer, source, plain, 2 * max_bytes + (1 << 30), lambda read: say(f"bytes {read}")
        )
        extractor = Extractor(
            root, stream.read, stream.ended, max_files=max_files, max_bytes=max_bytes,
            rootless=rootless,
        )  # fmt: skip
        try:
            extractor.run()
            stream.finish()
        except Corrupt as error:
            # A blob that is not what its digest says explains whatever was wrong inside.
            stream.abandon()
            _compare(compressed.hexdigest(), digest, "blob")
            raise error from None
    _compare(compressed.hexdigest(), digest, "blob")
    _compare(plain.hexdigest(), diff_id, "content of layer")
    extractor.index.write(index_fd)
    _sync(root)
    return extractor.size, extractor.index.count


def _sync(fd: int) -> None:
    """Bring the layer to the disk before anybody relies on it: one syncfs(2)."""
    from core.linux.libc import c_int, check, function

    check(function("syncfs", c_int)(fd), "syncfs")


def _compare(actual: str, digest: str, what: str) -> None:
    from core.errors import Corrupt

    if digest.partition(":")[2] != actual:
        raise Corrupt(
            f"{what} {digest} has digest {actual}",
            hint="fetch it again; if that does not help, the registry's copy is damaged",
        )


if __name__ == "__main__":
    main()
