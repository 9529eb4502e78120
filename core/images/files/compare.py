"""How two images differ: their files, from the indexes of their layers, and their configs."""

from __future__ import annotations

from itertools import compress, count, repeat

from core.garbage import NoSearch
from core.images.file_table import MOST_LINKS, FileEntry
from core.images.remaining import MARKERS
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from core.images.file_table import Facts, FileTable
    from core.images.files.contents import Place

    Row = tuple[FileTable, int]
    """A file: its layer, and its row there."""
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
    with NoSearch():
        base: dict[str, Row] = {}
        for _, layer in old.layers[:shared]:
            put_on(base, layer)
        before, after = dict(base), base
        for _, layer in old.layers[shared:]:
            put_on(before, layer)
        for _, layer in new.layers[shared:]:
            put_on(after, layer)
        return [*config_changes(old.config, new.config), *_file_changes(before, after)]


def put_on(files: dict[str, Row], layer: FileTable) -> None:
    """Put a layer on files by path: what it hides goes, what it has comes."""
    kinds = zip(layer.paths, layer.kinds, strict=True)
    if files and (hidden := [(path, kind) for path, kind in kinds if _hides(path, kind, files)]):
        _hide(files, hidden)
    rows: Iterable[tuple[str, Row]] = zip(layer.paths, zip(repeat(layer), count()), strict=False)
    if any(map(layer.kinds.count, MARKERS)):
        rows = compress(rows, (kind not in MARKERS for kind in layer.kinds))
    files.update(rows)


def kind_of(row: Row) -> str:
    """Return what is there."""
    layer, number = row
    return layer.kinds[number]


def _hides(path: str, kind: str, files: Mapping[str, Row]) -> bool:
    if kind in MARKERS:
        return True
    return kind != "dir" and path in files and kind_of(files[path]) == "dir"


def _hide(files: dict[str, Row], hidden: list[tuple[str, str]]) -> None:
    folders = set()
    for path, kind in hidden:
        if kind == "whiteout":
            old = files.pop(path, None)
            if old is None or kind_of(old) != "dir":
                continue
        folders.add(path)
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


class _FactsOf(dict["FileTable", "list[Facts]"]):
    """Of each layer what its rows stand for: a hard link for the file that it is a name of."""

    def __missing__(self, layer: FileTable) -> list[Facts]:
        own = layer.facts()
        real = self[layer] = [*own]
        kinds = layer.kinds
        if "hardlink" in kinds:
            rows = {
                path: row
                for row, (path, kind) in enumerate(zip(layer.paths, kinds, strict=True))
                if kind not in MARKERS
            }
            for row, kind in enumerate(kinds):
                if kind == "hardlink":
                    real[row] = own[_behind_link(row, own, rows)]
        return real


def _behind_link(row: int, facts: Sequence[Facts], rows: Mapping[str, int]) -> int:
    for _ in range(MOST_LINKS):
        kind, *_, link = facts[row]
        if kind != "hardlink" or link not in rows:
            break
        row = rows[link]
    return row


def _file_changes(before: Mapping[str, Row], after: Mapping[str, Row]) -> list[Change]:
    """Return how the files differ."""
    found = []
    facts = _FactsOf()
    for path, old, new in zip(after, map(before.get, after), after.values(), strict=True):
        if old is None:
            found.append(Change(ADDED, path, kind_of(new), 0, _size_of(new)))
        elif old is not new:
            (one, row), (other, new_row) = old, new
            was, now = facts[one][row], facts[other][new_row]
            if was != now and (what := changed_words(_entry(was), _entry(now))):
                found.append(Change(CHANGED, path, what, _size_of(old), _size_of(new)))
    found += [
        Change(REMOVED, path, kind_of(before[path]), _size_of(before[path]), 0)
        for path in before.keys() - after.keys()
    ]
    return sorted(found, key=lambda change: change.path)


def _size_of(row: Row) -> int:
    layer, number = row
    return layer.sizes[number]


def _entry(facts: Facts) -> FileEntry:
    kind, mode, uid, gid, size, digest, link = facts
    return FileEntry("", kind, int(mode), int(uid), int(gid), size, 0, digest.hex(), link)


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
        values = " → ".join(_words(value) for value in (one, other) if value is not None)
        found.append(Change(status, name, values, is_config=True))
    return found


def _words(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)


def _facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as single facts: `Env PATH`, `Label x`, `Port 80/tcp`, `User`, …"""
    settings = config.get("config") or {}
    found: dict[str, Any] = {
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
    apart = ("Env", "Labels", "ExposedPorts", "Volumes")
    return found | {
        name: value
        for name, value in settings.items()
        if name not in apart and value not in (None, "", [])
    }
