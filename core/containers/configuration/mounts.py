"""The mounts of a new container: docker's own, the image's volumes, and those asked for."""

from __future__ import annotations

import os

from core.errors import UsageError
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.configuration.options import ContainerOptions, Mount

# The mode bits of /dev/pts, and the sizes: moby, oci/defaults.go.
SHM_BYTES = 64 << 20
OWN_FILES = ("resolv.conf", "hostname", "hosts")
PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
TMPFS_OPTIONS = ("nosuid", "nodev", "noexec")


def build_mounts(
    options: ContainerOptions, settings: dict[str, Any], *, directory: str, volumes: str
) -> list[dict[str, Any]]:
    """Return the `mounts` of a runtime configuration, those above before those below.

    `settings` are the image's, `directory` is the container's, `volumes` where named volumes
    lie.  Raises UsageError for two mounts on one place.
    """
    asked = [_asked(mount, directory, volumes) for mount in _with_image_volumes(options, settings)]
    taken = [_place(entry) for entry in asked]
    for place in taken:
        if taken.count(place) > 1:
            raise UsageError(f"two mounts on {place}", hint="leave one of them out", subject=place)
        if place in ("/", "/proc", "/dev") or place.startswith("/proc/"):
            raise UsageError(f"nothing can be mounted on {place}", subject=place)
    standard = _standard(options, directory)
    # Stable: what lies above another comes first, otherwise the order is as asked.
    asked.sort(key=lambda entry: _place(entry).count("/"))
    return [entry for entry in standard if _place(entry) not in taken] + asked


def _place(entry: dict[str, Any]) -> str:
    return str(entry["destination"]).rstrip("/") or "/"


def _standard(options: ContainerOptions, directory: str) -> list[dict[str, Any]]:
    # Who shares another's network has the files that go with it.
    other = options.network.partition("container:")[2]
    names = f"{os.path.dirname(directory)}/{other}" if other else directory
    kernel = ["nosuid", "noexec", "nodev"] + ([] if options.privileged else ["ro"])
    shm = f"size={options.shm_bytes or SHM_BYTES}"
    queues = _entry("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
    if options.ipc == "host":
        shared = [_entry("/dev/shm", "bind", "/dev/shm", "rbind")]
        if os.path.isdir("/dev/mqueue"):
            shared.append(_entry("/dev/mqueue", "bind", "/dev/mqueue", "rbind"))
        elif not is_rootless():
            shared.append(queues)  # which shows the host's, that it has not mounted itself
    elif options.ipc == "none":
        shared = [queues]
    elif options.ipc.startswith("container:"):
        shared = [_entry("/dev/shm", "shm", options.ipc), queues]
    else:
        shared = [
            _entry("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", shm),
            queues,
        ]
    return [
        _entry("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _entry("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _entry("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
               "ptmxmode=0666", "mode=0620", "gid=5"),
        *shared,
        _entry("/sys", "sysfs", "sysfs", *kernel),
        _entry("/sys/fs/cgroup", "cgroup", "cgroup", *kernel),
        *(_entry(f"/etc/{name}", "bind", f"{names}/{name}", "rbind") for name in OWN_FILES),
    ]  # fmt: skip


def _with_image_volumes(options: ContainerOptions, settings: dict[str, Any]) -> list[Mount]:
    """Add what the image declares as a volume and nobody mounts: the container's own."""
    from core.containers.configuration.options import Mount

    taken = {mount.target.rstrip("/") for mount in options.mounts}
    declared = [
        Mount("", target, kind="volume")
        for target in sorted(settings.get("Volumes") or {})
        if target.startswith("/") and target.rstrip("/") not in taken
    ]
    return [*declared, *options.mounts]


def _asked(mount: Mount, directory: str, volumes: str) -> dict[str, Any]:
    access = "ro" if mount.read_only else "rw"
    if mount.kind == "tmpfs":
        given = [word for word in mount.data.split(",") if word]
        mode = [] if any(word.startswith("mode=") for word in given) else ["mode=1777"]
        kept = [word for word in TMPFS_OPTIONS if word.removeprefix("no") not in given]
        return _entry(mount.target, "tmpfs", "tmpfs", *kept, *mode, *given, access)
    words = [access, *filter(None, (mount.propagation,))]
    if mount.kind == "bind":
        how = "rbind" if mount.recursive else "bind"
        return _entry(mount.target, "bind", mount.source, how, *words)
    # The place in the name: it stays the same whatever other mounts are changed later.
    place = mount.target.strip("/").replace("%", "%25").replace("/", "%2F")
    source = f"{volumes}/{mount.source}" if mount.source else f"{directory}/volumes/{place}"
    words += [] if mount.copy else ["nocopy"]
    words += [f"subpath={mount.subpath}"] if mount.subpath else []
    return _entry(mount.target, "volume", source, "rbind", *words)


def _entry(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}
