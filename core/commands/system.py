"""The verbs of the host and of limpet itself."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, option, positional, verb
from core.commands.result import Column, Document, Result, Table, Text
from core.privileges import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.engine import Engine

VERSION = "0.1.0"


class Inspect(Args):
    """Options of `inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    names: tuple[str, ...] = positional(
        "containers or images", many=True, metavar="NAME", complete="container"
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
    "Show everything about containers or images as JSON",
    "inspect",
    changes=False,
)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Look for a container of the name first, then for an image."""
    from core.commands.image import inspect_image
    from core.errors import NotFound

    found: list[dict[str, Any]] = []
    for name in args.names:
        try:
            found.append(engine.lifecycle.inspect(name))
        except NotFound:
            try:
                found.append(inspect_image(engine, name))
            except NotFound:
                raise NotFound(
                    f"no container and no image is called {name!r}",
                    hint="ps -a and images list what there is",
                    subject=name,
                ) from None
    return Document(found, args.format)


@verb("system info", Format, "Show what this host and this store are", "info", changes=False)
def info(engine: Engine, args: Format) -> Result:
    """Collect the facts."""
    import os

    containers = engine.containers()
    states = [container.state for container in containers]
    uname = os.uname()
    return Document(
        {
            "Version": VERSION,
            "Containers": len(containers),
            "ContainersRunning": states.count("running"),
            "ContainersPaused": states.count("paused"),
            "Images": len(engine.images()),
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
    facts = sorted(engine.examine_host(), key=lambda fact: fact.ok)
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
    Column("Finding", "FINDING"),
    Column("Remedy", "REMEDY"),
)


@verb("system version", Nothing, "Show limpet's version", "version", changes=False)
def version(engine: Engine, args: Nothing) -> Result:
    """Show it."""
    return Text(f"limpet {VERSION}")


@verb("system config", Nothing, "Show the settings in force", "config", changes=False)
def config(engine: Engine, args: Nothing) -> Result:
    """Show every key with its value and the files they were read from."""
    from core.config import SECTIONS

    lines = [f"# {path}" for path in engine.config.files] or ["# no file, all defaults"]
    for section, keys in SECTIONS.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key.name} = {engine.config[section, key.name]!r}" for key in keys]
    return Text("\n".join(lines))
