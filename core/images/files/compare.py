"""How two images differ: their files, from the indexes of their layers, and their configs."""

from __future__ import annotations

import json

from core.images.file_table import behind_link
from core.images.remaining import MARKERS
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from core.images.file_table import FileEntry, FileTable
    from core.images.files.contents import Place

    FileOf = tuple[str, int]
    """The name that a tar has a file under, and how many files before it have the same."""

NONE: Mapping[Any, Any] = {}
"""Nobody writes to it."""
ADDED, CHANGED, REMOVED = "A", "C", "D"
"""As `docker diff` writes them."""


class Tree(Record):
    """Files to compare, and the settings that go with them."""

    name: str
    layers: tuple[tuple[str, FileTable], ...]
    """Diff ID (empty for a container's own) and files, lowest first."""
    config: Mapping[str, Any]
    """An OCI image config; empty for a layer."""
    repeated: Mapping[Place, FileOf] = NONE
    """Of a remote image, where a file's content is whose name does not lead to it alone."""


class Change(Record):
    """One difference; the sizes are of files, before and after."""

    status: str
    """A, C or D."""
    path: str
    """Of a file, or `Env PATH`, `Cmd`, … of a config."""
    what: str
    """What changed: content, mode, owner, type, link; of a config, the values."""
    before: int = 0
    after: int = 0
    is_config: bool = False


def compare(old: Tree, new: Tree) -> list[Change]:
    """Return what the second has otherwise than the first: config first, then files by path.

    Times alone are no difference.
    """
    shared = 0
    for mine, other in zip(old.layers, new.layers, strict=False):
        if not mine[0] or mine[0] != other[0]:
            break
        shared += 1
    base: dict[str, FileEntry] = {}
    for _, layer in old.layers[:shared]:
        put_on(base, layer)
    before, after = dict(base), base
    for _, layer in old.layers[shared:]:
        put_on(before, layer)
    for _, layer in new.layers[shared:]:
        put_on(after, layer)
    links = _links((*old.layers, *new.layers))
    return [*config_changes(old.config, new.config), *_file_changes(before, after, links)]


def put_on(files: dict[str, FileEntry], layer: FileTable) -> None:
    """Put a layer on files by path: what it hides goes, what it has comes."""
    if files and (hidden := [entry for entry in layer if _hides(entry, files)]):
        _hide(files, hidden)
    for entry in layer:
        if entry.kind not in MARKERS:
            files[entry.path] = entry


def _hides(entry: FileEntry, files: dict[str, FileEntry]) -> bool:
    if entry.kind in MARKERS:
        return True
    old = files.get(entry.path) if entry.kind != "dir" else None
    return old is not None and old.kind == "dir"


def _hide(files: dict[str, FileEntry], hidden: list[FileEntry]) -> None:
    folders = set()
    for entry in hidden:
        if entry.kind == "whiteout":
            old = files.pop(entry.path, None)
            if old is None or old.kind != "dir":
                continue
        folders.add(entry.path)
    if "" in folders:
        files.clear()
    elif folders:
        for path in [path for path in files if _is_below(path, folders)]:
            del files[path]


def _is_below(path: str, folders: set[str]) -> bool:
    end = path.rfind("/")
    while end > 0:
        if path[:end] in folders:
            return True
        end = path.rfind("/", 0, end)
    return False


def _links(layers: Sequence[tuple[str, FileTable]]) -> dict[int, FileEntry]:
    """Return the file that each hard link is another name of, by the link's identity."""
    found = {}
    for _, layer in layers:
        links = [entry for entry in layer if entry.kind == "hardlink"]
        own = {entry.path: entry for entry in layer if entry.kind not in MARKERS} if links else {}
        for link in links:
            found[id(link)] = behind_link(link, own)
    return found


def _file_changes(
    before: dict[str, FileEntry], after: dict[str, FileEntry], links: dict[int, FileEntry]
) -> list[Change]:
    """Return how the files differ; `links` say what hard links stand for."""
    found = []
    for path, entry in after.items():
        old = before.get(path)
        if old is None:
            found.append(Change(ADDED, path, entry.kind, 0, entry.size))
        elif old is not entry:
            one, other = links.get(id(old), old), links.get(id(entry), entry)
            if what := changed_words(one, other):
                found.append(Change(CHANGED, path, what, old.size, entry.size))
    found += [
        Change(REMOVED, path, entry.kind, entry.size, 0)
        for path, entry in before.items()
        if path not in after
    ]
    return sorted(found, key=lambda change: change.path)


def changed_words(old: FileEntry, new: FileEntry) -> str:
    """Return what differs between two versions of a file: content, mode, owner, type, link."""
    if old.kind != new.kind:
        return f"type {old.kind} → {new.kind}"
    what = []
    if old.digest != new.digest or (old.kind == "file" and old.size != new.size):
        what.append("content")
    if old.mode != new.mode:
        what.append(f"mode {old.mode:04o} → {new.mode:04o}")
    if (old.uid, old.gid) != (new.uid, new.gid):
        what.append(f"owner {old.uid}:{old.gid} → {new.uid}:{new.gid}")
    if old.link != new.link:
        what.append(f"link {old.link} → {new.link}")
    return ", ".join(what)


def config_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return what the second config sets otherwise; nothing where one is empty: a layer's."""
    if not old or not new:
        return []
    before, after = _facts(old), _facts(new)
    found = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        status = ADDED if one is None else REMOVED if other is None else CHANGED
        values = " → ".join(value for value in (one, other) if value is not None)
        found.append(Change(status, name, values, is_config=True))
    return found


def _facts(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a config as single facts: `Env PATH`, `Label x`, `Port 80/tcp`, `User`, …"""
    settings = config.get("config") or {}
    found = {
        "Platform": "/".join(
            str(config[key]) for key in ("os", "architecture", "variant") if config.get(key)
        )
    }
    for entry in settings.get("Env") or []:
        name, _, value = str(entry).partition("=")
        found[f"Env {name}"] = value
    for key, title in (("Labels", "Label"), ("ExposedPorts", "Port"), ("Volumes", "Volume")):
        for name, value in (settings.get(key) or {}).items():
            found[f"{title} {name}"] = str(value) if key == "Labels" else "yes"
    for name, value in settings.items():
        if name not in ("Env", "Labels", "ExposedPorts", "Volumes") and value not in (None, "", []):
            found[name] = value if isinstance(value, str) else json.dumps(value)
    return found
