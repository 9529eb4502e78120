"""An image out of nothing but this host's own programs: a first container without a network.

busybox when the host has it (one static file and a link for each of its commands), else a
shell and core tools with the shared libraries that they are linked to.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from core.errors import NotSupported
from core.images.assemble import make_image
from core.images.digest import digest_of
from core.images.manifest import OCI_LAYER, Descriptor
from core.images.store import STARTER
from core.images.tar.pack import Member, compress, pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo

TOOLS = (
    "sh",
    "bash",
    "cat",
    "chmod",
    "cp",
    "date",
    "df",
    "echo",
    "env",
    "false",
    "grep",
    "head",
    "hostname",
    "id",
    "ip",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mount",
    "mv",
    "ps",
    "pwd",
    "rm",
    "rmdir",
    "sed",
    "sleep",
    "sort",
    "tail",
    "touch",
    "true",
    "uname",
    "wc",
    "whoami",
)
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = b"root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"
FOLDERS = {"bin": 0o755, "dev": 0o755, "etc": 0o755, "home": 0o755, "proc": 0o755,
           "root": 0o700, "sys": 0o755, "tmp": 0o1777, "usr": 0o755, "usr/bin": 0o755,
           "var": 0o755}  # fmt: skip


def make_starter(store: ImageStore, job: Job) -> ImageInfo:
    """Make the image `starter` and return it; the same host makes the same digest.

    Raises NotSupported when this host has neither busybox nor a shell.
    """
    members, comment = _programs()
    job.check()
    job.progress("starter", 0, 0, "packing")
    tar = pack([*members, *_skeleton()])
    blob = compress(tar)
    layer = Descriptor(OCI_LAYER + "+gzip", digest_of(blob), len(blob))
    store.blobs.write(layer.digest, [blob])
    store.layers.add(
        store.blobs.path(layer.digest), layer, digest_of(tar), lambda _: None, job.check
    )
    job.progress("starter", len(blob), len(blob), "done")
    return make_image(store, _config(comment), [(layer, digest_of(tar))], [STARTER])


def _programs() -> tuple[list[Member], str]:
    busybox = shutil.which(
        "busybox", path="/bin:/usr/bin:/sbin:/usr/sbin:" + os.environ.get("PATH", "")
    )
    if busybox and not _libraries(busybox):
        return _busybox(busybox), "busybox of this host"
    if not shutil.which("sh"):
        raise NotSupported(
            "this host has neither busybox nor a shell to make an image of",
            hint="apt install busybox-static, then: image starter",
        )
    return _tools(), "shell and core tools of this host"


def _busybox(program: str) -> list[Member]:
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    links = [name for name in names.stdout.split() if name != "busybox" and "/" not in name]
    return [
        Member("bin/busybox", "file", source=program),
        *(Member(f"bin/{name}", "hardlink", link="bin/busybox") for name in links),
    ]


def _tools() -> list[Member]:
    found = {name: path for name in TOOLS if (path := shutil.which(name))}
    members = [Member(f"bin/{name}", "file", source=path) for name, path in found.items()]
    libraries = {library for path in found.values() for library in _libraries(path)}
    folders = set()
    for library in libraries:
        members.append(Member(library.lstrip("/"), "file", source=library))
        parts = library.strip("/").split("/")[:-1]
        folders |= {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
    members += [Member(folder, "dir") for folder in folders - FOLDERS.keys()]
    return members


def _libraries(program: str) -> list[str]:
    """Return the shared libraries and the loader of a program, [] for a static one."""
    done = subprocess.run(
        ["ldd", program],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    words = [word for line in done.stdout.splitlines() for word in line.split()]
    return sorted({word for word in words if word.startswith("/") and os.path.isfile(word)})


def _skeleton() -> list[Member]:
    return [
        *(Member(path, "dir", mode) for path, mode in FOLDERS.items()),
        Member("etc/passwd", "file", 0o644, content=PASSWD),
        Member("etc/group", "file", 0o644, content=GROUP),
    ]


def _config(comment: str) -> dict[str, object]:
    return {
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["sh"],
            "WorkingDir": "/",
        },
        "history": [
            {
                "created": "1970-01-01T00:00:00Z",
                "created_by": "limpet image starter",
                "comment": comment,
            }
        ],
    }
