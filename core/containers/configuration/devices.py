"""Which devices a container gets: nodes in its /dev, and the rules that let it use them."""

from __future__ import annotations

import os
import stat

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.containers.configuration.options import ContainerOptions

# moby: oci/devices, the v1 syntax of devices.allow
DEVICE_RULES = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
    "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm",
)  # fmt: skip


def build_devices(options: ContainerOptions) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the nodes as OCI's `linux.devices`, and the rules; no rules: every device.

    A directory of the host stands for all devices in it.  Raises UsageError for a device
    that does not exist.
    """
    nodes: list[dict[str, Any]] = []
    rules = list(DEVICE_RULES)
    for host, inside, rights in options.devices:
        for path in _expand(host):
            node = _node(path, inside + path[len(host) :])
            nodes.append(node)
            rules.append(f"{node['type']} {node['major']}:{node['minor']} {rights}")
    rules += options.device_rules
    return nodes, [] if options.privileged else rules


def numbers(path: str) -> dict[str, int]:
    """Return major and minor number of a host's device; UsageError if it is none."""
    node = _node(path, path)
    return {"major": node["major"], "minor": node["minor"]}


def _expand(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    found = [entry.path for entry in os.scandir(path) if not entry.is_symlink()]
    return [inner for entry in sorted(found) for inner in _expand(entry)]


def _node(path: str, inside: str) -> dict[str, Any]:
    try:
        facts = os.stat(path)
    except OSError as error:
        raise UsageError(
            f"device {path}: {error.strerror}", hint="ls /dev shows what there is", subject=path
        ) from error
    if not (stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)):
        raise UsageError(f"{path} is not a device", hint="share files with -v", subject=path)
    return {
        "path": inside,
        "type": "c" if stat.S_ISCHR(facts.st_mode) else "b",
        "major": os.major(facts.st_rdev),
        "minor": os.minor(facts.st_rdev),
        "fileMode": stat.S_IMODE(facts.st_mode),
        "uid": facts.st_uid,
        "gid": facts.st_gid,
        "host": path,
    }
