"""The process that reads a container's files; started by `core.containers.files.export` by path.

Arguments: module paths, the layers' directory, the container's, its layers' IDs.
"""

from __future__ import annotations

import os
import sys


def main(modules: str, layers: str, container: str, lower: str) -> None:
    """Mount the layers in a namespace of this process and write the tar to stdout."""
    sys.path[:0] = modules.split(os.pathsep)
    from core.errors import Error
    from core.linux.mount import MS_PRIVATE, MS_RDONLY, MS_REC, mount
    from core.linux.process import CLONE_NEWNS, unshare
    from core.privileges import is_rootless

    try:
        root = f"{container}/upper"
        if lower:
            unshare(CLONE_NEWNS)
            mount("none", "/", "", MS_REC | MS_PRIVATE)
            os.chdir(layers)
            stack = f"lowerdir={os.path.relpath(root)}:{lower}" + ",userxattr" * is_rootless()
            root = f"{container}/rootfs"
            mount("overlay", root, "overlay", MS_RDONLY, stack)
        write_tar(root)
    except (Error, OSError) as error:
        sys.stderr.write(f"{error}\n")
        os._exit(1)


def write_tar(root: str, fd: int = 1) -> None:
    """Write all below a directory as one archive."""
    from core.images.packing.tree_walk import OPEN_DIRECTORY, walk
    from core.images.tar.header import END, header, padding
    from core.images.tar.reader import FILE

    with open(fd, "wb", buffering=1 << 20, closefd=False) as out:
        for found in walk(os.open(root, OPEN_DIRECTORY)):
            entry = found.entry
            if not entry.name or found.is_whiteout or found.is_socket:
                continue
            out.write(header(entry))
            if entry.kind != FILE:
                continue
            for start, length in entry.sparse if entry.sparse is not None else [(0, entry.size)]:
                place, end = start, start + length
                while place < end:
                    wanted = min(1 << 20, end - place)
                    data = os.pread(found.fd, wanted, place) or bytes(wanted)
                    out.write(data)
                    place += len(data)
            out.write(bytes(padding(entry.stored)))
        out.write(END)


if __name__ == "__main__":
    main(*sys.argv[1:])
