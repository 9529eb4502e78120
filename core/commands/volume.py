"""The verbs of named volumes."""

from __future__ import annotations

import os

from core.commands.grammar import Args, Listing, Removing, flag, option, positional, verb
from core.commands.options import absent_options, values
from core.commands.result import Column, Document, Plan, Result, Table, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from core.engine import Engine
    from core.jobs import Job
    from core.volumes.store import Volume


class List(Listing):
    """Options of `volume ls`."""

    size: bool = flag("-s", "--size", help="measure what each takes on disk")
    filter: tuple[Callable[[Volume, Sequence[str]], bool], ...] = option(
        "-f", "--filter", help="name=, label= or dangling=", many=True, metavar="KEY=VALUE",
        convert=lambda word: volume_filter(word),
    )  # fmt: skip


class Create(Args):
    """Options of `volume create`."""

    absent = absent_options.VOLUME

    driver: str = option("-d", "--driver", help="local", default="local", metavar="DRIVER",
                         choices=("local",))  # fmt: skip
    label: tuple[tuple[str, str], ...] = option(
        "-l", "--label", help="NAME=VALUE", many=True, metavar="NAME=VALUE", convert=values.label
    )
    name: str = positional("its name; a random one without", default="", metavar="NAME")


class Named(Args):
    """One or several volumes."""

    volumes: tuple[str, ...] = positional("which", many=True, metavar="VOLUME", complete="volume")


class Inspect(Named):
    """Options of `volume inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")


class Remove(Named):
    """Options of `volume rm`."""

    force: bool = flag("-f", "--force", help="no error for one that is not there")


class Export(Args):
    """Options of `volume export`."""

    output: str = option(
        "-o", "--output", help="a file instead of stdout", metavar="FILE", complete="path",
        writes=True,
    )  # fmt: skip
    volume: str = positional("which", metavar="VOLUME", complete="volume")


class Import(Args):
    """Arguments of `volume import`."""

    volume: str = positional("into which", metavar="VOLUME", complete="volume")
    source: str = positional(
        "a tar, plain or compressed; - for stdin", default="-", metavar="FILE", complete="path"
    )


class Prune(Removing):
    """Options of `volume prune`."""

    all: bool = flag("-a", "--all", help="those with a name of their own too")
    force: bool = flag("-f", "--force", "-y", "--yes", help="do not ask")
    filter: tuple[Callable[[Volume, Sequence[str]], bool], ...] = option(
        "--filter", help="only those with a label=", many=True, metavar="KEY=VALUE",
        convert=lambda word: volume_filter(word),
    )  # fmt: skip


def volume_filter(word: str) -> Callable[[Volume, Sequence[str]], bool]:
    """Parse KEY=VALUE to a test of a volume and the containers that use it."""
    key, equals, wanted = word.partition("=")
    if not equals:
        raise ValueError(f"{word!r} is not KEY=VALUE")
    if key == "name":
        return lambda volume, _: wanted in volume.name
    if key == "dangling":
        if wanted not in ("true", "false"):
            raise ValueError(f"dangling={wanted} is neither true nor false")
        return lambda _, users: bool(users) == (wanted == "false")
    if key == "label":
        name, equals, value = wanted.partition("=")
        return lambda volume, _: volume.labels.get(name) == value if equals else (
            name in volume.labels
        )  # fmt: skip
    raise ValueError(f"{key!r} is no filter; there are name, label, dangling")


@verb("volume ls", List, "List volumes and who uses them", "volume list", changes=False)
def volumes(engine: Engine, args: List) -> Result:
    """One row a volume; sizes are measured only when asked for."""
    users = engine.containers.volume_users()
    rows = [
        {"Name": volume.name, "Driver": "local", "Created": volume.created,
         "Used": ", ".join(users.get(volume.name, ())), "Mountpoint": volume.path,
         "Labels": ",".join(f"{name}={value}" for name, value in volume.labels.items()),
         **({"Size": engine.volumes.size(volume)} if args.size else {})}
        for volume in engine.volumes.list()
        if all(test(volume, users.get(volume.name, ())) for test in args.filter)
    ]  # fmt: skip
    columns = (*COLUMNS, SIZE) if args.size else COLUMNS
    return Table(columns, tuple(rows), args.format, "Name" if args.quiet else "")


@verb("volume create", Create, "Make an empty volume")
def create(engine: Engine, args: Create) -> Result:
    """Answer with its name, as docker does."""
    return Text(engine.volumes.create(args.name, dict(args.label)).name)


@verb("volume inspect", Inspect, "Show volumes: where, how big, used by whom", changes=False)
def inspect(engine: Engine, args: Inspect) -> Result:
    """docker's document, with size and users."""
    found = [engine.volumes.find(name) for name in args.volumes]
    if len(found) == 1:
        used_by = engine.containers.users_of_volume(found[0].name)
        return Document([volume_document(engine, found[0], used_by)], args.format)
    users = engine.containers.volume_users()
    documents = [volume_document(engine, one, users.get(one.name, ())) for one in found]
    return Document(documents, args.format)


def volume_document(engine: Engine, volume: Volume, users: Sequence[str]) -> dict[str, Any]:
    """Return docker's document of a volume, with its size and the containers that use it."""
    from core.containers.log.writer import timestamp

    return {
        "Name": volume.name,
        "Driver": "local",
        "Scope": "local",
        "Mountpoint": volume.path,
        "CreatedAt": timestamp(int(volume.created * 1e9)).decode(),
        "Labels": volume.labels,
        "Options": {},
        "UsageData": {"Size": engine.volumes.size(volume), "RefCount": len(users)},
        "UsedBy": list(users),
    }


@verb(
    "volume export",
    Export,
    "Write what is in a volume as a tar",
    changes=False,
    examples=("volume export -o data.tar data", "volume export data | zstd > data.tar.zst"),
)
def export(engine: Engine, args: Export) -> Result:
    """Write to the file, or to stdout."""
    from core.commands.transfer import write_out
    from core.containers.copy.volume_archive import export_volume

    volume = engine.volumes.find(args.volume)
    engine.volumes.make_directory(volume)

    def write(fd: int, job: Job | None) -> None:
        check, progress = _told_to(job, volume.name)
        export_volume(volume.path, fd, check, progress)

    return write_out(engine, f"volume export {volume.name}", args.output, write)


@verb(
    "volume import",
    Import,
    "Put the files of a tar into a volume",
    examples=("volume import data data.tar.zst", "volume import data < data.tar"),
)
def import_(engine: Engine, args: Import) -> Result:
    """Read the file, or stdin; the volume is made when it is missing."""
    from core.commands.transfer import read_in
    from core.containers.copy.volume_archive import import_volume

    volume = engine.volumes.create(args.volume, {})

    def read(fd: int, job: Job | None) -> Result:
        check, progress = _told_to(job, volume.name)
        import_volume(volume.path, lambda count: os.read(fd, count), check, progress)
        return Text(volume.name)

    return read_in(engine, f"volume import {volume.name}", args.source, read)


def _told_to(job: Job | None, name: str) -> tuple[Callable[[], None], Callable[[int], None]]:
    """Return what asks a job whether to go on, and what tells it how far a volume is."""
    if job is None:
        return lambda: None, lambda _: None
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        job.progress(name, done, 0, "copying")

    return job.check, progress


@verb("volume rm", Remove, "Remove volumes and all that is in them", "volume remove")
def remove(engine: Engine, args: Remove) -> Result:
    """Show what is lost; none is removed while a container uses one of them."""
    from core.errors import NotFound
    from core.volumes.store import in_use

    found: list[Volume] = []
    for name in args.volumes:
        try:
            found.append(engine.volumes.find(name))
        except NotFound:
            if not args.force:
                raise
    for volume in found:
        if held := engine.containers.users_of_volume(volume.name):
            raise in_use(volume.name, held)  # before anybody is asked
    return _removal(engine, "remove volumes", found, ask=False)


@verb("volume prune", Prune, "Remove the volumes that no container uses")
def prune(engine: Engine, args: Prune) -> Result:
    """Only those with a random name, unless all are meant: as docker does since 23."""
    users = engine.containers.volume_users()
    found = [
        volume
        for volume in engine.volumes.list()
        if volume.name not in users
        and (args.all or is_random(volume.name))
        and all(test(volume, ()) for test in args.filter)
    ]
    if not found:
        return Text("Total reclaimed space: 0B")
    return _removal(engine, "remove volumes that nothing uses", found, ask=not args.force).unless(
        args.dry_run
    )


def is_random(name: str) -> bool:
    """Return whether a volume's name was made up by `volume create`."""
    return len(name) == 64 and set("0123456789abcdef").issuperset(name)


def _removal(engine: Engine, title: str, found: Sequence[Volume], *, ask: bool) -> Plan:
    sizes = [engine.volumes.size(volume) for volume in found]

    def apply() -> Result:
        for volume in found:
            engine.volumes.remove(volume.name, engine.containers.users_of_volume)
        return Text("\n".join(volume.name for volume in found))

    lines = tuple(f"volume {volume.name}" for volume in found)
    return Plan(title, lines, apply, bytes_back=sum(sizes), ask=ask)


COLUMNS = (
    Column("Name", "VOLUME"),
    Column("Used", "USED BY"),
    Column("Created", "CREATED", "age"),
    Column("Mountpoint", "PATH"),
)
SIZE = Column("Size", "SIZE", "size")
