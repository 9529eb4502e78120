"""The documents of `spec` and `features`.

https://github.com/opencontainers/runtime-spec/blob/main/features.md
"""

from __future__ import annotations

from core.containers.configuration.spec import DEFAULT_PATH, MASKED_PATHS, READONLY_PATHS
from core.linux.capabilities import NAMES
from core.oci.bundle import NAMESPACES, VERSION
from core.oci.mounts import ATTRIBUTES, CLEAR, CLEARED, PROPAGATIONS, SET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")


def example(*, user: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return a configuration to begin with; `user` is who maps to its root without privileges."""
    spec: dict[str, Any] = {
        "ociVersion": "1.0.2",  # all that it uses; older runtimes take it as well
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [f"PATH={DEFAULT_PATH}", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "limpet",
        "mounts": _mounts(),
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [
                {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")
            ],
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READONLY_PATHS),
        },
    }
    if user is not None:
        _for_user(spec, *user)
    return spec


def _for_user(spec: dict[str, Any], uid: int, gid: int) -> None:
    linux = spec["linux"]
    linux["namespaces"] = [s for s in linux["namespaces"] if s["type"] != "network"]
    linux["namespaces"].append({"type": "user"})
    linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
    del linux["resources"]
    for mount in spec["mounts"]:
        mount["options"] = [option for option in mount.get("options", ()) if option != "gid=5"]


def _mounts() -> list[dict[str, Any]]:
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": [*quiet, "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": quiet},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*quiet, "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": [*quiet, "relatime", "ro"]},
    ]  # fmt: skip


def features() -> dict[str, Any]:
    """Return what this runtime can do, as the specification's `features` document."""
    from core.containers.configuration.seccomp_file import ACTIONS, WITH_NUMBER
    from core.oci.syscall_filter import ARCHITECTURES, FLAGS

    words = {*SET, *CLEAR, *PROPAGATIONS, "bind", "rbind", "tmpcopyup", "idmap", "ridmap",
             *(f"r{word}" for word in (*ATTRIBUTES, *CLEARED))}  # fmt: skip
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                  "poststop"],
        "mountOptions": sorted(words),
        "linux": {
            "namespaces": list(NAMESPACES),
            "capabilities": [f"CAP_{name}" for name in NAMES],
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": True,
                       "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted((*ACTIONS, *WITH_NUMBER)),
                "operators": ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE",
                              "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"],
                "archs": list(ARCHITECTURES),
                "knownFlags": list(FLAGS),
                "supportedFlags": list(FLAGS),
            },
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "potentiallyUnsafeConfigAnnotations": [],
    }  # fmt: skip
