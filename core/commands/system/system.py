"""The verbs of the host and of limpet itself."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, flag, option, positional, verb
from core.commands.result import Column, Document, Result, Table, Text
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.engine import Engine

VERSION = "0.1.0"
INSPECTED = ("container", "image", "network", "volume")
"""What `inspect` looks for, in this order."""


class Inspect(Args):
    """Options of `inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    type: str = option(
        "--type", help="only what is of this kind", metavar="TYPE",
        choices=("container", "image", "network", "volume"),
    )  # fmt: skip
    size: bool = flag("-s", "--size", help="measure what containers have written")
    names: tuple[str, ...] = positional(
        "containers, images, networks, volumes", many=True, metavar="NAME", complete="container"
    )


class Nothing(Args):
    """No arguments."""


class Doctor(Listing):
    """Options of `doctor`."""


class Format(Args):
    """Only a format."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")


@verb(
    "system inspect",
    Inspect,
    "Show everything about containers, images, networks or volumes as JSON",
    "inspect",
    changes=False,
)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Look for a container of the name first, then for an image, a network, a volume."""
    kinds = [kind for kind in INSPECTED if args.type in ("", kind)]
    found = [_first(engine, name, kinds) for name in args.names]
    if args.size:
        for document in found:
            if "State" in document:
                written, whole = engine.containers.size(document["Id"])
                document |= {"SizeRw": written, "SizeRootFs": whole}
    return Document(found, args.format)


def _first(engine: Engine, name: str, kinds: Sequence[str]) -> dict[str, Any]:
    """Return the document of the first kind of thing that has the name; NotFound."""
    from core.errors import NotFound

    for kind in kinds:
        try:
            return _inspect_one(engine, name, kind)
        except NotFound:
            continue
    raise NotFound(
        f"no {' and no '.join(kinds)} is called {name!r}",
        hint="ps -a, images, network ls and volume ls list what there is",
        subject=name,
    )


def _inspect_one(engine: Engine, name: str, kind: str) -> dict[str, Any]:
    from core.errors import NotFound

    if kind == "container":
        return engine.containers.inspect(name)
    if kind == "image":
        from core.commands.image.image import inspect_image

        return inspect_image(engine, name)
    if kind == "network":
        known = [word for one in engine.network.all() for word in (one.name, one.id)]
        if name in ("none", "host", *known):
            from core.commands.network import network_document

            return network_document(engine, name)
    else:
        volume = next((one for one in engine.volumes.list() if one.name == name), None)
        if volume is not None:
            from core.commands.volume import volume_document

            return volume_document(engine, volume, engine.containers.users_of_volume(name))
    raise NotFound(name)


@verb("system info", Format, "Show what this host and this store are", "info", changes=False)
def info(engine: Engine, args: Format) -> Result:
    """Collect the facts."""
    import os

    containers = engine.containers.list()
    states = [container.state for container in containers]
    uname = os.uname()
    return Document(
        {
            "Version": VERSION,
            "ServerVersion": VERSION,
            "Containers": len(containers),
            "ContainersRunning": states.count("running"),
            "ContainersPaused": states.count("paused"),
            "ContainersStopped": states.count("exited") + states.count("created"),
            "Images": len(engine.images.list()),
            "DataRoot": engine.paths.data,
            "RunRoot": engine.paths.run,
            "ConfigFiles": list(engine.config.files),
            "KernelVersion": uname.release,
            "Architecture": uname.machine,
            "NCPU": os.cpu_count(),
            "CgroupVersion": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
            "Rootless": is_rootless(),
        },
        args.format,
    )


@verb(
    "system doctor", Doctor, "Show what this host lacks, and what mends it", "doctor", changes=False
)
def doctor(engine: Engine, args: Doctor) -> Result:
    """One row a check; what is wrong comes first."""
    from core.commands import key_changes

    settings = engine.config
    where = ", ".join(settings.files) or "config.toml"
    keys = key_changes.facts(settings.keys, settings.aliases, where)
    facts = sorted((*engine.examine_host(), *keys), key=lambda fact: fact.ok)
    rows = tuple(
        {
            "Check": fact.name,
            "State": "ok" if fact.ok else "WRONG",
            "Finding": fact.text,
            "Remedy": fact.hint,
        }
        for fact in facts
    )
    return Table(DOCTOR_COLUMNS, rows, args.format, "Check" if args.quiet else "")


DOCTOR_COLUMNS = (
    Column("Check", "CHECK"),
    Column("State", "STATE"),
    Column("Finding", "FINDING", "words"),
    Column("Remedy", "REMEDY", "words"),
)


@verb("system version", Format, "Show limpet's version", "version", changes=False)
def version(engine: Engine, args: Format) -> Result:
    """Show it; a template finds it where docker's has it, for client and server are one."""
    if not args.format:
        return Text(f"limpet {VERSION}")
    import os

    uname = os.uname()
    facts = {"Version": VERSION, "Os": uname.sysname.lower(), "Arch": uname.machine,
             "KernelVersion": uname.release}  # fmt: skip
    return Document({"Client": facts, "Server": facts}, args.format)


@verb("system config", Nothing, "Show the settings in force", "config", changes=False)
def config(engine: Engine, args: Nothing) -> Result:
    """Show every key with its value and the files they were read from."""
    import json

    from core.commands.key_changes import problems
    from core.config import SECTIONS

    lines = [f"# {path}" for path in engine.config.files] or ["# no file, all defaults"]
    for section, keys in SECTIONS.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key.name} = {engine.config[section, key.name]!r}" for key in keys]
    for section, values in (("aliases", engine.config.aliases), ("keys", engine.config.keys)):
        lines += ["", f"[{section}]"] if values else []
        lines += [f"{json.dumps(word)} = {json.dumps(line)}" for word, line in values.items()]
    wrong = problems(engine.config.keys, engine.config.aliases)
    lines += [f"# {problem}" for problem in wrong]
    return Text("\n".join(lines))
