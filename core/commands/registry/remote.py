"""The verbs that look into registries and delete there."""

from __future__ import annotations

from core.commands.grammar import Args, Listing, flag, option, positional, verb
from core.commands.result import Column, Document, Plan, Result, Table, Text
from core.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.engine import Engine
    from core.images.reference import Reference
    from core.registry.client import RegistryClient

REMOTE = "HOST/NAME[:TAG|@DIGEST], or NAME in the default registry"


class Search(Listing):
    """Options of `search`."""

    limit: int = option("--limit", help="at most so many", default=25, metavar="N", convert=int)
    host: str = option(
        "--registry", help="the registry to search; none: the default one", metavar="HOST",
        complete="registry",
    )  # fmt: skip
    term: str = positional("part of a name, or HOST/TERM")


class Inspect(Args):
    """Options of `registry inspect`."""

    format: str = option("-f", "--format", help="a Go-like template", metavar="FORMAT")
    platform: str = option("--platform", help="which image of an index", metavar="PLATFORM")
    image: str = positional(REMOTE, complete="remote-image")


class History(Listing):
    """Options of `registry history`."""

    no_trunc: bool = flag("--no-trunc", help="whole instructions")
    platform: str = option("--platform", help="which image of an index", metavar="PLATFORM")
    image: str = positional(REMOTE, complete="remote-image")


class Files(Listing):
    """Options of `registry files`."""

    layer: int = option(
        "--layer", help="only this layer, counted from 1", default=0, metavar="N", convert=int
    )
    platform: str = option("--platform", help="which image of an index", metavar="PLATFORM")
    image: str = positional(REMOTE, complete="remote-image")


class Referrers(Listing):
    """Options of `registry referrers`."""

    image: str = positional(REMOTE, complete="remote-image")


class Remove(Args):
    """Options of `registry rm`."""

    force: bool = flag("-f", "--force", help="also when other tags stand for the same digest")
    image: str = positional("HOST/NAME:TAG or HOST/NAME@DIGEST", complete="remote-image")


@verb("search", Search, "Find repositories in a registry", changes=False)
def search(engine: Engine, args: Search) -> Result:
    """Ask the registry's search, or go through its catalog."""
    from core.registry.browse import search as find
    from core.registry.client import RegistryClient

    head, slash, tail = args.term.partition("/")
    named = slash and ("." in head or ":" in head or head == "localhost")
    host, term = (head, tail) if named else (args.host, args.term)
    with RegistryClient(host or engine.config["registry", "default"], engine.config) as client:
        rows = tuple(
            {
                "Name": hit.name,
                "Description": hit.description,
                "StarCount": hit.stars,
                "IsOfficial": "[OK]" if hit.official else "",
            }
            for hit in find(client, term, args.limit)
        )
    return Table(SEARCH_COLUMNS, rows, args.format, "Name" if args.quiet else "")


@verb("registry inspect", Inspect, "Show a remote image as JSON without a pull", changes=False)
def inspect(engine: Engine, args: Inspect) -> Result:
    """Ask for manifest, config and referrers."""
    from core.registry.browse import inspect as look
    from core.registry.client import RegistryClient

    reference = engine.reference(args.image)
    with RegistryClient(reference.host, engine.config) as client:
        return Document([look(client, reference, args.platform)], args.format)


@verb("registry history", History, "Show a remote image's steps without a pull", changes=False)
def history(engine: Engine, args: History) -> Result:
    """Newest first, as `history` does; sizes are those of the blobs."""
    from core.images.manifest import created_at
    from core.registry.browse import inspect as look
    from core.registry.client import RegistryClient

    reference = engine.reference(args.image)
    with RegistryClient(reference.host, engine.config) as client:
        found = look(client, reference, args.platform)
    layers = iter(found["Manifest"].get("layers") or [])
    rows = []
    for step in found.get("Config", {}).get("history") or []:
        words = str(step.get("created_by") or "")
        layer: dict[str, Any] = {} if step.get("empty_layer") else next(layers, {})
        rows.append(
            {
                "ID": str(layer.get("digest") or "<missing>"),
                "CreatedAt": created_at(step.get("created")),
                "CreatedBy": words if args.no_trunc or len(words) <= 60 else words[:59] + "…",
                "Size": layer.get("size") or 0,
            }
        )
    rows += [
        {"ID": layer["digest"], "CreatedAt": 0.0, "CreatedBy": "", "Size": layer.get("size") or 0}
        for layer in layers
    ]
    quiet = "ID" if args.quiet else ""
    return Table(HISTORY_COLUMNS, tuple(reversed(rows)), args.format, quiet, full=args.no_trunc)


@verb("registry files", Files, "List a remote image's files without a pull", changes=False)
def files(engine: Engine, args: Files) -> Result:
    """Read the headers of each layer as it comes; nothing is stored."""
    from core.commands.show import counted
    from core.registry.browse import files as stream
    from core.registry.client import RegistryClient
    from core.registry.pull import find

    reference = engine.reference(args.image)
    most = engine.config["image", "max_layer_files"]
    rows = []
    with RegistryClient(reference.host, engine.config) as client:
        found = find(client, reference, args.platform, lambda _: None)
        layers = list(enumerate(found.layers, 1))
        if args.layer and args.layer not in dict(layers):
            known = counted(len(layers), "layer")
            raise NotFound(f"{args.image} has no layer {args.layer}", hint=f"it has {known}")
        for number, layer in layers:
            if args.layer in (0, number):
                blob = layer.descriptor
                rows += [
                    {
                        "Layer": number,
                        "Mode": f"{entry.mode:04o}",
                        "Size": entry.size,
                        "Path": entry.name.decode("utf-8", "surrogateescape"),
                    }
                    for entry in stream(client, reference.path, blob.digest, blob.media_type, most)
                ]
    return Table(FILE_COLUMNS, tuple(rows), args.format, "Path" if args.quiet else "")


@verb(
    "registry referrers",
    Referrers,
    "List signatures, SBOMs and attestations of a remote image",
    changes=False,
)
def referrers(engine: Engine, args: Referrers) -> Result:
    """Ask the referrers API and the tags that stand in for it."""
    from core.registry.browse import referrers as look
    from core.registry.client import RegistryClient

    reference = engine.reference(args.image)
    with RegistryClient(reference.host, engine.config) as client:
        digest = _digest(client, reference)
        rows = tuple(
            {"Digest": item.digest, "ArtifactType": item.artifact_type, "Size": item.size}
            for item in look(client, reference.path, digest)
        )
    return Table(REFERRER_COLUMNS, rows, args.format, "Digest" if args.quiet else "")


@verb(
    "registry rm",
    Remove,
    "Delete a tag or a digest in a registry",
    examples=("registry rm localhost:5000/app:old", "registry rm -f localhost:5000/app@sha256:…"),
)
def remove(engine: Engine, args: Remove) -> Result:
    """Plan it: the lines name all tags that stop working."""
    from core.registry.browse import delete_manifest, sharing_tags
    from core.registry.client import RegistryClient

    reference = engine.reference(args.image)
    path = reference.path
    with RegistryClient(reference.host, engine.config) as client:
        digest = _digest(client, reference)
        tags = sharing_tags(client, path, digest)
    others = [tag for tag in tags if tag != reference.tag]
    if reference.digest and others and not args.force:
        raise Conflict(
            f"{args.image} is what {', '.join(others)} stand for: they would go with it",
            hint=f"registry rm -f {args.image}",
            subject=args.image,
        )
    lines = [f"Untagged: {reference.repository}:{tag}" for tag in tags]
    if others and not (reference.digest or args.force):
        lines = [f"Untagged: {reference.canonical}"]
        kept = f"Kept for {', '.join(others)}: {digest}"
    else:
        kept = f"Deleted: {reference.repository}@{digest}"

    def apply() -> Result:
        with RegistryClient(reference.host, engine.config) as client:
            if kept.startswith("Deleted"):
                delete_manifest(client, path, digest)
            elif not delete_manifest(client, path, reference.tag):
                raise Conflict(
                    f"{reference.host} deletes by digest only: {', '.join(others)} would go, too",
                    hint=f"registry rm -f {args.image} takes them all",
                    subject=args.image,
                )
        note = "the registry gives the space back when it next collects garbage"
        return Text("\n".join([*lines, kept, note]))

    return Plan(f"delete {reference.canonical} in the registry", (*lines, kept), apply)


def _digest(client: RegistryClient, reference: Reference) -> str:
    if reference.digest:
        return reference.digest
    digest = client.digest_of_manifest(reference.path, reference.tag)
    if not digest:
        raise NotFound(
            f"{reference.canonical} is not there",
            hint=f"limpet registry tags {reference.repository}",
            subject=reference.canonical,
        )
    return digest


SEARCH_COLUMNS = (
    Column("Name", "NAME"),
    Column("Description", "DESCRIPTION"),
    Column("StarCount", "STARS"),
    Column("IsOfficial", "OFFICIAL"),
)
HISTORY_COLUMNS = (
    Column("ID", "BLOB", "id"),
    Column("CreatedAt", "CREATED", "age"),
    Column("CreatedBy", "CREATED BY"),
    Column("Size", "SIZE", "size"),
)
FILE_COLUMNS = (
    Column("Layer", "LAYER"),
    Column("Mode", "MODE"),
    Column("Size", "SIZE", "size"),
    Column("Path", "PATH"),
)
REFERRER_COLUMNS = (
    Column("Digest", "DIGEST"),
    Column("ArtifactType", "TYPE"),
    Column("Size", "SIZE", "size"),
)
