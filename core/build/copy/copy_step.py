"""COPY and ADD: what they are made of, and what is to be done."""

from __future__ import annotations

import os
import posixpath
import re

from core.build.context.ignore import Ignore, PatternError
from core.build.copy.selection import SelectionError
from core.images.digest import is_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.build.board import StepBoard
    from core.build.builder import Builder
    from core.build.cache import Layer
    from core.build.context.files import Item
    from core.build.copy.download import Download
    from core.build.dockerfile.instructions import Copy
    from core.build.stage_build import StageBuild

URL = re.compile(r"https?://", re.IGNORECASE)
GIT = re.compile(r"git@|git://|ssh://|https?://[^#]+\.git(?:#|$)", re.IGNORECASE)
MANY_FILES = 20_000


class CopyPlan:
    """One COPY or ADD, sources and target expanded."""

    def __init__(
        self,
        builder: Builder,
        stage: StageBuild,
        step: Copy,
        sources: Sequence[str],
        target: str,
        *,
        chown: str,
        chmod: str,
        checksum: str,
        exclude: tuple[str, ...],
    ) -> None:
        self._builder = builder
        self._stage = stage
        self._step = step
        self._target = target
        self._chown = chown
        self._chmod = chmod
        self._checksum = checksum
        self._exclude = exclude
        names = {document.name for document in step.at.heredocs}
        # A quoted `<<X` begins no document: it is a file's name.
        self._documents = [w for w in sources if w.startswith("<<") and _named(w) in names]
        self._urls = [word for word in sources if step.add and URL.match(word)]
        self._sources = [w for w in sources if w not in self._documents and w not in self._urls]
        self._groups: list[tuple[Item, ...]] = []
        self._downloads: dict[str, Download] = {}
        self._layers: list[Layer] = []
        if checksum and not (checksum.startswith("sha256:") and is_digest(checksum)):
            raise SelectionError(f"--checksum={checksum} is not sha256: and 64 hexadecimal digits")
        if checksum and not self._urls:
            raise SelectionError("--checksum is for http and https", "the cache compares files")
        if any(GIT.match(word) for word in sources if step.add):
            raise SelectionError(
                "ADD of git repositories is not supported",
                "clone it in front of the build, or in a RUN",
            )
        if len(sources) > 1 and not target.endswith("/") and target != "/":
            raise SelectionError(
                f"{len(sources)} sources are copied to {target}", "end the target with /"
            )
        named = chown and not all(part.isdecimal() for part in chown.split(":") if part)
        self.alone = step.link and not named
        """--link: the layer is made without looking at those below."""

    def parts(self, board: StepBoard) -> dict[str, Any]:
        """Return what the cache's key is made of; files are read if they are not known."""
        step = self._step
        parts: dict[str, Any] = {
            "kind": "add" if step.add else "copy",
            "below": "" if self.alone else self._stage.state.chain,
            "target": self._target, "chown": self._chown, "chmod": self._chmod,
            "sources": self._sources, "exclude": list(self._exclude),
            "parents": step.parents, "link": step.link, "unpack": step.unpack,
        }  # fmt: skip
        if self._documents:
            parts["documents"] = [list(document) for document in self._texts()]
        if step.stage:
            self._layers, parts["from"] = self._builder.source(step.stage)
        elif self._sources:
            parts["content"] = self._select(board)
        for url in self._urls:
            parts[url] = self._checksum or self._download(url, board).digest
        return parts

    def _select(self, board: StepBoard) -> str:
        from core.build.context.files import select

        try:
            exclude = Ignore(self._exclude)
        except PatternError as error:
            raise SelectionError(f"--exclude: {error}") from None
        context = self._builder.context
        self._groups = select(context.tree, self._sources, exclude, parents=self._step.parents)
        if len(self._groups) > 1 and not self._target.endswith("/"):
            raise SelectionError(
                f"{len(self._groups)} files match and are copied to {self._target}",
                "end the target with /",
            )
        items = [item for group in self._groups for item in group]
        if len(items) > MANY_FILES:
            self._builder.hint_context(len(items))
        total = len(items)
        words = f"looking at {total} file{'s' * (total != 1)}"

        def progress(done: int) -> None:
            self._builder.board.progress(board, done, total, words)

        return context.digest(items, self._builder.check, progress)

    def _texts(self) -> list[tuple[str, str]]:
        """Return (name, content) of the here-documents that are copied."""
        by_name = {document.name: document for document in self._step.at.heredocs}
        found = []
        for word in self._documents:
            document = by_name[_named(word)]
            content = document.content
            if document.expand:
                content = self._stage.expand_document(self._step, content)
            found.append((document.name, content))
        return found

    def _download(self, url: str, board: StepBoard) -> Download:
        from core.build.copy.download import download

        if url not in self._downloads:
            place = self._builder.home.place()

            def progress(done: int, total: int) -> None:
                self._builder.board.progress(board, done, total, "downloading")

            self._downloads[url] = download(
                url, place, self._checksum, self._builder.check, progress
            )
        return self._downloads[url]

    def content_parts(self, parts: dict[str, Any]) -> dict[str, Any] | None:
        """Return the key's parts with the content that comes out of a stage in place of the stage.

        So a stage that was built anew, and came to the same files, changes nothing here.  It
        takes a look at the files; None where they do not come out of a stage.
        """
        if not self._step.stage:
            return None
        from core.build.filling import fill

        builder = self._builder
        action = {
            "kind": "digest", "lower": [str(number) for number in builder.lower(self._layers)],
            "sources": self._sources, "exclude": list(self._exclude),
            "parents": self._step.parents,
        }  # fmt: skip
        job = {"layers": builder.paths.layers, "scratch": builder.home.place(), "lower": [],
               "actions": [action]}  # fmt: skip
        answer = fill(job, builder.check, lambda _: None)
        return {**parts, "from": "", "content": answer["digest"]}

    def actions(self, board: StepBoard) -> list[dict[str, Any]]:
        """Return what the worker is to do."""
        common = {"target": self._target, "chown": self._chown, "chmod": self._chmod}
        found: list[dict[str, Any]] = []
        if self._step.stage:
            lower = [str(number) for number in self._builder.lower(self._layers)]
            found.append({
                **common, "kind": "stage", "lower": lower, "sources": self._sources,
                "exclude": list(self._exclude), "parents": self._step.parents, "owner": None,
            })  # fmt: skip
        found += [self._group(group, common) for group in self._groups]
        for name, content in self._texts():
            place = self._target + name if self._target.endswith("/") else self._target
            found.append({**common, "kind": "write", "target": place, "content": content})
        return found + [self._fetched(url, common, board) for url in self._urls]

    def _group(self, group: tuple[Item, ...], common: dict[str, Any]) -> dict[str, Any]:
        root = self._builder.context.root
        first = group[0]
        if self._step.add and self._step.unpack is not False and len(group) == 1:
            from core.build.copy.archive import is_archive

            path = f"{root}/{first.path}"
            if os.path.isfile(path) and is_archive(path):
                return {**common, "kind": "unpack", "file": path}
        items = [
            [item.path, item.target, [item.facts.st_size, item.facts.st_mtime_ns]]
            if not _is_directory(item) else [item.path, item.target, None]
            for item in group
        ]  # fmt: skip
        return {**common, "kind": "copy", "root": root, "groups": [items], "owner": [0, 0]}

    def _fetched(self, url: str, common: dict[str, Any], board: StepBoard) -> dict[str, Any]:
        found = self._download(url, board)
        if self._step.unpack:
            return {**common, "kind": "unpack", "file": found.path}
        folder, name = posixpath.split(found.path)
        items = [[name, found.name, None]]
        if not found.name and self._target.endswith("/"):
            raise SelectionError(
                f"{url} names no file", "give the file's name in the target, not a directory"
            )
        return {**common, "kind": "copy", "root": folder, "groups": [items], "owner": [0, 0]}

    def reliable(self) -> bool:
        """Return whether what was copied is what the key says."""
        return not self._builder.take_changed()


def _named(word: str) -> str:
    """Return the name of the here-document that a source is."""
    return word.lstrip("<").removeprefix("-")


def _is_directory(item: Item) -> bool:
    import stat

    return not stat.S_ISREG(item.facts.st_mode)
