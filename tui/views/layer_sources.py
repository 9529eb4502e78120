"""What the layer browser can look into: an image, a container, an image in a registry."""

from __future__ import annotations

from core.images.files.compare import Tree
from core.images.files.contents import open_contents
from core.model import LayerInfo

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from core.engine import Engine
    from core.images.file_table import FileEntry, FileTable
    from core.images.files.contents import Content, Place
    from core.jobs import Job

    Result = TypeVar("Result")

OWN = ""
"""The diff ID of what a container wrote: it has none."""


class ImageSource:
    """An image of this host; its methods are called in threads and raise what the engine does."""

    live = False
    """Whether the uppermost layer may change."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self.title = name
        self._engine = engine

    def steps(self) -> list[LayerInfo]:
        """Return the steps that made a layer, lowest first."""
        return [step for step in self._engine.images.history(self.name) if step.diff_id]

    def files(self, diff_id: str) -> FileTable:
        """Return what is in one layer."""
        return self._engine.files.of_layer(diff_id)

    def open(self, diff_id: str, path: str) -> int:
        """Return a descriptor of a regular file in one layer."""
        return self._engine.files.open(diff_id, path)

    def with_contents(
        self,
        places: Sequence[Place],
        use: Callable[[Iterator[Content]], Result],
        *,
        missing_ok: bool = False,
    ) -> Result:
        """Return what `use` makes of contents, which come in whatever order is best."""
        return use(open_contents(self.open, places, missing_ok=missing_ok))

    def reading(self) -> str:
        """Tell how far the reading is, where that takes long."""
        return ""

    def cancel(self) -> None:
        """End the reading of contents."""

    def stop(self) -> None:
        """End what goes on: nobody looks any more."""


class ContainerSource(ImageSource):
    """A container: its image's layers, and above them what it wrote, as that is now."""

    live = True

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(engine, name)
        self.title = f"container {name}"
        self._known: dict[str, FileEntry] = {}

    def steps(self) -> list[LayerInfo]:
        """Return the image's layers and the container's own."""
        digest = self._engine.containers.resolve(self.name).image_digest
        steps = [step for step in self._engine.store.history(digest) if step.diff_id]
        return [*steps, own_layer(self.name, self.files(OWN))]

    def files(self, diff_id: str) -> FileTable:
        """Return what is in one layer, of the container's own what is there now."""
        if diff_id != OWN:
            return self._engine.files.of_layer(diff_id)
        found = self._engine.files.written(self.name, self._known)
        self._known = {entry.path: entry for entry in found}
        return found

    def open(self, diff_id: str, path: str) -> int:
        """Return a descriptor of a regular file in one layer."""
        return self._engine.files.open(diff_id, path, self.name)


def own_layer(name: str, files: FileTable) -> LayerInfo:
    """Return what a container wrote as a step of its history."""
    return LayerInfo(OWN, "", 0, sum(files.sizes), len(files), f"what {name} wrote", 0.0)


class RemoteSource(ImageSource):
    """An image in a registry: its layers are read as they stream by, and not kept."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(engine, name)
        self.title = f"{name}, in the registry"
        self._job: Job | None = None
        self._stopped = False
        self._tree = Tree(name, (), {})

    def steps(self) -> list[LayerInfo]:
        """Read all layers; return the steps that made them."""
        self._job = self._engine.files.remote_tree(self.name)
        if self._stopped:
            self._job.cancel()
        self._tree = tree = self._job.result()
        words = [
            str(step.get("created_by") or "")
            for step in tree.config.get("history") or []
            if not step.get("empty_layer")
        ]
        words += [""] * (len(tree.layers) - len(words))
        return [
            LayerInfo(diff_id, "", 0, sum(files.sizes), len(files), made, 0.0)
            for (diff_id, files), made in zip(tree.layers, words, strict=False)
        ]

    def files(self, diff_id: str) -> FileTable:
        """Return what is in one layer."""
        return dict(self._tree.layers)[diff_id]

    def open(self, diff_id: str, path: str) -> int:
        """Read the layer anew up to the file; return a descriptor of its content."""
        from core.registry.remote_content import fetch_file

        reference = self._engine.reference(self.name)
        return fetch_file(self._engine.config, reference, self._tree, diff_id, path, self._check)

    def with_contents(
        self,
        places: Sequence[Place],
        use: Callable[[Iterator[Content]], Result],
        *,
        missing_ok: bool = False,
    ) -> Result:
        """Read the layers anew that hold them, each up to the last content that is wanted."""
        self._job = job = self._engine.files.remote_contents(
            self.name, places, use, tree=self._tree, missing_ok=missing_ok
        )
        if self._stopped:
            job.cancel()
        result: Result = job.result()
        return result

    def _check(self) -> None:
        from core.errors import Cancelled

        if self._stopped:
            raise Cancelled(f"{self.name}: no longer looked at")

    def reading(self) -> str:
        """Tell how much of the layers has streamed by."""
        from tui.answers import summary

        return summary(self._job.snapshot()) if self._job and not self._job.finished else ""

    def cancel(self) -> None:
        """End what is being read."""
        if self._job is not None:
            self._job.cancel()

    def stop(self) -> None:
        """End the reading."""
        self._stopped = True
        self.cancel()
