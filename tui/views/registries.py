"""Screens that look into a registry: its repositories, a repository's tags, one image.

Nothing is pulled for them.  They are read anew when asked to, and every few minutes.
"""

from __future__ import annotations

from functools import partial

from core.commands.result import Column, Table
from tui.screens.listing import ListingScreen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

    from core.engine import Engine
    from core.images.reference import Reference
    from tui.keymap import Keymap
    from tui.screens.detail.tab import Line, Tab

    Run = Callable[[str], None]

CALM_S = 300.0
REPOSITORIES = (Column("Repository", "REPOSITORY"), Column("Here", "HERE"), Column("Sync", "SYNC"))
TAGS = (
    Column("Tag", "TAG"),
    Column("Size", "SIZE", "size"),
    Column("CreatedAt", "CREATED", "age"),
    Column("Platforms", "PLATFORMS"),
    Column("Same", "SAME AS"),
    Column("Kind", "KIND"),
    Column("Digest", "DIGEST", "id"),
)


def registry(engine: Engine, place: str, run: Run, keymap: Keymap) -> Screen[None]:
    """Return the screen of `HOST`, `HOST/NAME` or `HOST/NAME:TAG`."""
    if "/" not in place:
        return _repositories(engine, place, run, keymap)
    last = place.rpartition("/")[2]
    if ":" in last or "@" in last:
        return _image(engine, engine.reference(place), run, keymap)
    return _tags(engine, engine.reference(place), run, keymap)


def layers(engine: Engine, image: str) -> Screen[None]:
    """Return the browser of an image that is in a registry: `HOST/NAME:TAG`."""
    from tui.screens.layers.screen import LayersScreen
    from tui.views.layer_sources import RemoteSource

    return LayersScreen(RemoteSource(engine, image))


def _repositories(engine: Engine, host: str, run: Run, keymap: Keymap) -> ListingScreen:
    def read() -> Table:
        from core.registry.client import RegistryClient

        here: dict[str, int] = {}
        for info in engine.images.list():
            for tag in info.tags:
                repository = engine.reference(tag).repository
                here[repository] = here.get(repository, 0) + 1
        with RegistryClient(host, engine.config) as client:
            rows = tuple(
                {
                    "Repository": name,
                    "Here": here.get(f"{client.host}/{name}", ""),
                    "Sync": sync_words(engine, f"{client.host}/{name}"),
                }
                for name in client.catalog()
            )
        return Table(REPOSITORIES, rows)

    return ListingScreen(
        host,
        read,
        rows="repositories",
        empty=f"no repositories, or none that are told: push {host}/NAME brings one",
        keys=keymap.of("repositories"),
        prefix=f"{host}/",
        run=run,
        refuses=keymap.refuses,
        every_s=CALM_S,
    )


def _tags(engine: Engine, reference: Reference, run: Run, keymap: Keymap) -> ListingScreen:
    name = reference.repository

    def read() -> Table:
        from core.registry.browse import describe_tags
        from core.registry.client import RegistryClient

        with RegistryClient(reference.host, engine.config) as client:
            found = describe_tags(client, reference.path, client.tags(reference.path))
        shared: dict[str, list[str]] = {}
        for tag in found:
            shared.setdefault(tag.digest, []).append(tag.tag)
        rows = tuple(
            {
                "Tag": tag.tag,
                "Size": tag.size,
                "CreatedAt": tag.created or "",
                "Platforms": ", ".join(tag.platforms),
                "Same": ", ".join(other for other in shared[tag.digest] if other != tag.tag),
                "Kind": tag.kind,
                "Digest": tag.digest,
            }
            for tag in found
        )
        return Table(TAGS, rows)

    sync = sync_words(engine, name)
    return ListingScreen(
        f"{name}{f', sync {sync}' if sync else ''} ",
        read,
        rows="tags",
        empty=f"no tags: push {name}:TAG brings one",
        keys=keymap.of("tags"),
        prefix=f"{name}:",
        run=run,
        refuses=keymap.refuses,
        every_s=CALM_S,
    )


def _image(engine: Engine, reference: Reference, run: Run, keymap: Keymap) -> Screen[None]:
    from tui.screens.detail.own_key import OwnKey
    from tui.screens.detail.screen import DetailScreen
    from tui.views.commands import answer_tab

    name = reference.canonical

    def read() -> list[Tab]:
        from core.registry.browse import inspect
        from core.registry.client import RegistryClient
        from tui.screens.detail.tab import Tab

        with RegistryClient(reference.host, engine.config) as client:
            document = inspect(client, reference)
        return [
            Tab("Overview", tuple(_overview(document))),
            *answer_tab(engine, "History", ("registry", "history", name)),
            *answer_tab(engine, "Referrers", ("registry", "referrers", name)),
            Tab("Same digest", load=lambda: _sharing(engine, reference)),
            Tab("Inspect", data=document),
        ]

    lines = {
        "v": ("layers, files", f"go registries {reference.familiar} layers"),
        "p": ("pull", f"pull {name}"),
        "d": ("delete there", f"registry rm {name}"),
    }
    keys = {
        key: OwnKey(words, partial(run, line))
        for key, (words, line) in lines.items()
        if not keymap.refuses(line)
    }
    return DetailScreen(name, read, keys=keys, read_every_s=CALM_S)


def _overview(document: dict[str, object]) -> list[Line]:
    from core.commands.show import size
    from tui.answers import visible
    from tui.views.details import command_line

    facts: dict[str, object] = {
        "digest": document["Digest"],
        "type": document["MediaType"],
        "size": size(int(str(document["Size"]))),
    }
    manifest, config = document.get("Manifest"), document.get("Config")
    if isinstance(manifest, dict):
        facts["layers"] = len(manifest.get("layers") or ())
    if isinstance(config, dict):
        facts["made"] = config.get("created") or ""
        facts["platform"] = f"{config.get('os')}/{config.get('architecture')}"
        inner = config.get("config")
        if isinstance(inner, dict):
            for key in ("Entrypoint", "Cmd"):
                facts[key.lower()] = command_line(inner.get(key))
            facts["user"] = inner.get("User") or ""
    index = document.get("Index")
    lines: list[Line] = [
        [(f"{key:<13} ", "dim"), (visible(str(value)), "")] for key, value in facts.items() if value
    ]
    if isinstance(index, dict):
        for entry in index.get("manifests") or ():
            shown = entry.get("platform") or {} if isinstance(entry, dict) else {}
            words = f"{shown.get('os')}/{shown.get('architecture')}  {entry.get('digest')}"
            lines.append([("image         ", "dim"), (visible(words), "")])
    return lines


def _sharing(engine: Engine, reference: Reference) -> list[Line]:
    """Return the tags that would go with this one, were its digest deleted."""
    from core.registry.browse import sharing_tags
    from core.registry.client import RegistryClient

    with RegistryClient(reference.host, engine.config) as client:
        digest = reference.digest or client.digest_of_manifest(reference.path, reference.tag)
        tags = sharing_tags(client, reference.path, digest)
    return [[(tag, "accent" if tag == reference.tag else "")] for tag in tags]


def sync_words(engine: Engine, repository: str) -> str:
    """Return which sync rules name a repository as an end, and how they went last."""
    from core.errors import ConfigError
    from tui.screens.dashboard.tables import age

    try:
        states = engine.sync.states()
    except ConfigError:
        return ""  # `sync ls` tells what is wrong with the rules
    found = []
    for state in states:
        ends = (state.rule.source, state.rule.target)
        if any(_means(end, repository) for end in ends):
            how = "failed" if state.error else f"{age(state.ended)} ago" if state.ended else "never"
            found.append(f"{state.rule.name} {how}")
    return ", ".join(found)


def _means(end: str, repository: str) -> bool:
    end = end.removeprefix("docker://")
    return repository == end or repository.startswith(end.removesuffix("*").rstrip("/") + "/")
