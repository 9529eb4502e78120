"""Finds limpet's own modules where their names say, without looking for them.

The standard finder lists directories, asks each on its way and builds paths anew for every
module, all of it in Python: a third of what an import takes, a hundred times a command.
This one opens the compiled file that the standard loader has written, and takes it under
the same conditions: the same interpreter, and a source of the same time and size (PEP 552).
Whatever is otherwise it leaves to the standard finder, which compiles as ever.

A process that stays, as the app does, may be there still when limpet is upgraded.  Halves of two
releases fail anywhere, so it holds on to the one it began with, and takes no module of the other.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from types import CodeType, ModuleType
else:
    Loader = object

OURS = ("core.", "cli.", "tui.")
HEADER_BYTES = 16
STAMPED = MAGIC_NUMBER + bytes(4)
"""How the header of a compiled file begins; the source's time and size follow."""


class Replaced(ImportError):
    """A module is gone, or is another than when this process held on to its release."""


class Importer(Loader):
    """An entry of sys.meta_path, and the loader of what it finds."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._held: dict[str, object] = {}
        """What there is of limpet, by path: the time and size of a source, nothing of a folder."""
        self._tail = f".{sys.implementation.cache_tag}.pyc"

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a module of ours or a folder of them; None for what is not as expected.

        Raises Replaced for what is not as it was when `hold` looked.
        """
        if path is None or not name.startswith(OURS):
            return None
        place = f"{self._root}/{name.replace('.', '/')}"
        source = place + ".py"
        try:
            facts = os.stat(source)
        except OSError:
            if source in self._held or (place in self._held and not os.path.exists(place)):
                raise _replaced(name) from None
            return _folder(name, place)
        if self._held.get(source, _stamp(facts)) != _stamp(facts):
            raise _replaced(name)
        folder, _, stem = place.rpartition("/")
        cached = f"{folder}/__pycache__/{stem}{self._tail}"
        code = _compiled(cached, facts)
        if code is None:
            return None
        _imp._fix_co_filename(code, source)  # type: ignore[attr-defined]  # noqa: SLF001 - for tracebacks
        spec = ModuleSpec(name, self, origin=source, loader_state=code)
        spec.has_location = True
        spec.cached = cached
        return spec

    def hold(self) -> None:
        """Find only what there is now from now on."""
        for name in OURS:
            for folder, _, files in os.walk(os.path.join(self._root, name[:-1])):
                self._held[folder] = None
                for file in files:
                    if file.endswith(".py"):
                        path = os.path.join(folder, file)
                        self._held[path] = _stamp(os.stat(path))

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the interpreter to make the empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code in it."""
        assert module.__spec__ is not None
        exec(module.__spec__.loader_state, module.__dict__)  # noqa: S102 - what an import is


def _replaced(name: str) -> Replaced:
    return Replaced(f"{name} was replaced since this process began", name=name)


def _stamp(source: os.stat_result) -> tuple[int, int]:
    return source.st_mtime_ns, source.st_size


def _folder(name: str, place: str) -> ModuleSpec | None:
    """Return a namespace package, which all of our folders are but those with code of their own."""
    if os.path.exists(f"{place}/__init__.py") or not os.path.exists(place):
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [place]
    return spec


def _compiled(path: str, source: os.stat_result) -> CodeType | None:
    """Return the code of a compiled file if it fits its source."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    data = os.read(fd, os.fstat(fd).st_size)
    os.close(fd)
    seconds = int(source.st_mtime) & 0xFFFFFFFF
    stamp = seconds.to_bytes(4, "little") + source.st_size.to_bytes(4, "little")
    if data[:HEADER_BYTES] != STAMPED + stamp:
        return None
    code: CodeType = marshal.loads(memoryview(data)[HEADER_BYTES:])  # noqa: S302 - as any import
    return code


def install() -> None:
    """Let limpet's modules be found so from now on."""
    root = os.path.dirname(os.path.dirname(__file__))
    sys.meta_path.insert(0, Importer(root))


def hold() -> None:
    """Have this process keep to the release that it has begun with."""
    for finder in sys.meta_path:
        if isinstance(finder, Importer):
            finder.hold()
