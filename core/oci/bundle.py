"""Reads a bundle's config.json and refuses what cannot be carried out.

https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

from __future__ import annotations

import os

from core.errors import ConfigError, Conflict, NotFound, UsageError
from core.lean_json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = "1.2.0"
"""Of the specification that is followed."""
CONFIG = "config.json"
NAMESPACES = ("user", "cgroup", "ipc", "uts", "network", "pid", "mount", "time")
MAX_ID = 1024
ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
# What belongs to an ipc namespace; proc_sys_kernel(5), proc_sys_fs(5).
IPC_SYSCTLS = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
               "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced")  # fmt: skip


class Wrong(ConfigError):
    """A configuration that cannot be carried out; `subject` is the property."""

    def __init__(self, place: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{CONFIG}: {place}: {problem}", hint=hint, subject=place)


class as_specified:
    """Raises Wrong, inside the `with` block, for what is missing or of another type there."""

    def __init__(self, place: str = "the document") -> None:
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AttributeError | TypeError | KeyError | IndexError):
            text = f"a property is missing or of the wrong type: {error}"
            raise Wrong(self._place, text) from error
        if isinstance(error, ValueError):
            raise Wrong(self._place, str(error)) from error


def check_id(container_id: str) -> None:
    """Raise UsageError unless the ID is one that can name a directory, as runc has it."""
    if (
        not 0 < len(container_id) <= MAX_ID
        or container_id in (".", "..")
        or not ID_CHARACTERS.issuperset(container_id)
    ):
        raise UsageError(
            f"invalid container ID {container_id!r}",
            hint="letters, digits and _ + - . make one",
            subject=container_id,
        )


def read_json(path: str) -> Any:
    """Return a JSON file's content; NotFound, or ConfigError with the reason."""
    try:
        with open(path, "rb") as file:
            return loads(file.read().decode("utf-8", "surrogateescape"))
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file or directory", subject=path) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}", subject=path) from error


def read_bundle(bundle: str, config: str = "") -> dict[str, Any]:
    """Return the checked configuration of a bundle, `root.path` made absolute.

    `config` is another file than the bundle's own config.json.  Raises NotFound, ConfigError.
    """
    if not os.path.isdir(bundle):
        raise NotFound(f"bundle {bundle}: no such directory", subject=bundle)
    document = read_json(config or f"{bundle}/{CONFIG}")
    if not isinstance(document, dict):
        raise Wrong("the document", "is not an object")
    with as_specified():
        check(document)
    document["root"]["path"] = os.path.realpath(os.path.join(bundle, document["root"]["path"]))
    if not os.path.isdir(document["root"]["path"]):
        raise Wrong("root.path", f"{document['root']['path']} is not a directory")
    return document


def check(spec: dict[str, Any]) -> None:
    """Raise Wrong for what this runtime, or any, cannot carry out."""
    version = spec.get("ociVersion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise Wrong("ociVersion", f"{version!r} is not a version 1 of the specification")
    if not isinstance((spec.get("root") or {}).get("path"), str):
        raise Wrong("root.path", "is missing")
    if not spec.get("process"):
        raise Wrong("process", "is missing")
    check_process(spec["process"])
    linux = spec.get("linux") or {}
    kinds = _check_namespaces(linux)
    _check_names(spec, kinds)
    _check_mounts(spec.get("mounts") or [])
    for kind, hooks in (spec.get("hooks") or {}).items():
        if not all(isinstance(hook["path"], str) for hook in hooks or ()):
            raise Wrong(f"hooks.{kind}", "a path is missing")
    for name in linux.get("sysctl") or {}:
        _check_sysctl(name, kinds)
    for part in ("intelRdt", "netDevices", "memoryPolicy"):
        if linux.get(part):
            raise Wrong(f"linux.{part}", "is not supported by this runtime", hint="leave it out")


def check_process(process: dict[str, Any]) -> None:
    """Raise Wrong for a process that cannot be run."""
    words = process.get("args")
    if not words or not all(isinstance(word, str) for word in words):
        raise Wrong("process.args", "must name a program")
    if not str(process.get("cwd") or "").startswith("/"):
        raise Wrong("process.cwd", "must be an absolute path")
    for entry in (*words, *(process.get("env") or ())):
        if "\0" in entry:
            raise Wrong("process", "a word holds a NUL byte")
    types = [limit["type"] for limit in process.get("rlimits") or ()]
    for kind in types:
        if types.count(kind) > 1:
            raise Wrong("process.rlimits", f"{kind} is there twice")


def _check_namespaces(linux: dict[str, Any]) -> dict[str, str]:
    """Return the path of each namespace that is not the runtime's, empty for a new one."""
    kinds: dict[str, str] = {}
    for space in linux.get("namespaces") or ():
        kind = space["type"]
        if kind not in NAMESPACES:
            raise Wrong("linux.namespaces", f"unknown type {kind!r}")
        if kind in kinds:
            raise Wrong("linux.namespaces", f"{kind} is there twice")
        kinds[kind] = space.get("path") or ""
    if kinds.get("mount", "path"):
        raise Wrong(
            "linux.namespaces",
            "a mount namespace of the container's own is needed",
            hint='add {"type": "mount"}',
        )
    if (linux.get("uidMappings") or linux.get("gidMappings")) and "user" not in kinds:
        raise Wrong("linux.uidMappings", "needs a user namespace")
    if "user" in kinds and not kinds["user"]:
        for part in ("uidMappings", "gidMappings"):
            if not linux.get(part):
                raise Wrong(f"linux.{part}", "a new user namespace needs it")
    if linux.get("timeOffsets") and kinds.get("time", "path"):
        raise Wrong("linux.timeOffsets", "needs a new time namespace")
    return kinds


def _check_names(spec: dict[str, Any], kinds: dict[str, str]) -> None:
    for part in ("hostname", "domainname"):
        if spec.get(part) and "uts" not in kinds:
            raise Wrong(part, "needs a uts namespace: it would change the host's")


def _check_mounts(mounts: list[dict[str, Any]]) -> None:
    for mount in mounts:
        if not isinstance(mount.get("destination"), str) or not mount["destination"]:
            raise Wrong("mounts", "a destination is missing")
        if ".." in mount["destination"].split("/"):
            raise Wrong("mounts", f"{mount['destination']}: must not lead upwards")
        if mount.get("uidMappings") and not mount.get("gidMappings"):
            raise Wrong("mounts", f"{mount['destination']}: gidMappings are missing")


def _check_sysctl(name: str, kinds: dict[str, str]) -> None:
    """Refuse a kernel parameter that is the host's."""
    plain = name.replace("/", ".")
    if plain.startswith("net."):
        own = "network" in kinds
    elif plain in IPC_SYSCTLS or plain.startswith("fs.mqueue."):
        own = "ipc" in kinds
    elif plain in ("kernel.domainname", "kernel.hostname"):
        own = "uts" in kinds
    else:
        own = plain.startswith("user.") and "user" in kinds
    if not own:
        raise Wrong("linux.sysctl", f"{name} would change the host")


def wrong_state(problem: str, container_id: str, *, hint: str = "") -> Conflict:
    """Return the error for an operation that a container's state forbids."""
    return Conflict(f"container {container_id} {problem}", hint=hint, subject=container_id)
