"""The files that images and containers hold, wherever these are."""

from __future__ import annotations

import os

from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any, Protocol

    from core.containers.copy.copying import Copying
    from core.containers.files.changes import Change
    from core.engine import Engine
    from core.images.file_table import FileEntry, FileTable
    from core.images.files.compare import Tree
    from core.images.files.contents import Content, Place
    from core.jobs import Job

    class Read(Protocol):
        """Reads contents of files, see `core.images.files.contents`."""

        def __call__(
            self, places: Iterable[Place], *, missing_ok: bool = False
        ) -> Iterator[Content]:
            """Yield them in whatever order is best."""
            ...


class Files:
    """Lists, opens, copies and exports files of layers, images and containers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_layer(self, diff_id: str) -> FileTable:
        """Return what a layer holds, from the index made while it was unpacked."""
        return self._engine.store.layers.files(diff_id)

    def written(self, container: str, known: Mapping[str, FileEntry] | None = None) -> FileTable:
        """Return what a container wrote, as a layer would hold it now.

        `known`, by path, is what was found before: what has not changed is not read again.
        """
        from core.containers.files.commit import places_of_mounts
        from core.images.file_table import FileTable
        from core.images.packing.tree_index import index_tree

        require_root("reading what a container wrote")
        info = self._engine.containers.resolve(container)
        places = places_of_mounts(self._engine.database, info.id)
        return FileTable.of(index_tree(self._upper(info.id), places, known=known))

    def tree(self, name: str, beside: Tree | None = None) -> Tree:
        """Return the files and the config of an image, a container, or a layer by its diff ID.

        An image goes before a container of the same name.  What another tree has of its layers
        is not read again.  Raises NotFound.
        """
        from core.errors import NotFound
        from core.images.files.compare import Tree

        known = dict(beside.layers) if beside else {}
        store = self._engine.store
        try:
            digest, container = store.resolve(name).digest, ""
        except NotFound:
            try:
                info = self._engine.containers.resolve(name)
            except NotFound:
                if layer := store.layers.by_id(name):
                    return Tree(name, ((layer, self.of_layer(layer)),), {})
                raise NotFound(
                    f"there is no image, container or layer {name!r} here",
                    hint="images and ps -a list what there is, image history the layers",
                    subject=name,
                ) from None
            digest, container = info.image_digest, info.id
        layers = [(step.diff_id, known.get(step.diff_id) or self.of_layer(step.diff_id))
                  for step in store.history(digest) if step.diff_id]  # fmt: skip
        if container:
            layers.append(("", self.written(container)))
        return Tree(name, tuple(layers), store.config(digest))

    def remote_tree(self, text: str, platform: str = "") -> Job:
        """Start reading the files of an image in a registry; the job's result is a Tree."""
        reference = self._engine.reference(text)

        def work(job: Job) -> Tree:
            from core.registry.remote_files import remote_tree

            return remote_tree(self._engine.config, reference, platform, job)

        return self._engine.jobs.start(f"read {reference.familiar}", work)

    def remote_contents(
        self,
        text: str,
        places: Iterable[Place],
        use: Callable[[Iterator[Content]], Any],
        *,
        tree: Tree,
        missing_ok: bool = False,
    ) -> Job:
        """Start reading contents of an image in a registry; the job's result is what `use` returns.

        `tree` is the image's.  See `core.registry.remote_content.read_contents`.
        """
        reference = self._engine.reference(text)

        def work(job: Job) -> Any:
            from core.registry.remote_content import read_contents

            return use(
                read_contents(
                    self._engine.config, reference, places, job,
                    tree=tree, missing_ok=missing_ok,
                )
            )  # fmt: skip

        return self._engine.jobs.start(f"read {reference.familiar}", work)

    def look_into(
        self, name: str, use: Callable[[Tree, Read], Any], *, remote: bool, platform: str = ""
    ) -> Job:
        """Start work on an image's files and their contents; its result is what `use` returns.

        `use` is given what reads contents, in any order: of an image or a container here, or
        of an image in a registry.  It may raise.
        """
        engine = self._engine
        reference = engine.reference(name) if remote else None

        def work(job: Job) -> Any:
            if reference is None:
                return use(self.tree(name), self._reader(name, job))
            from core.registry.remote_content import read_contents
            from core.registry.remote_files import remote_tree

            tree = remote_tree(engine.config, reference, platform, job)

            def read(places: Iterable[Place], *, missing_ok: bool = False) -> Iterator[Content]:
                return read_contents(
                    engine.config, reference, places, job,
                    tree=tree, platform=platform, missing_ok=missing_ok,
                )  # fmt: skip

            return use(tree, read)

        return engine.jobs.start(f"read {name}", work)

    def _reader(self, name: str, job: Job) -> Read:
        """Return what reads contents of an image or a container that is here."""
        from core.images.files.contents import open_contents

        def opener(diff_id: str, path: str) -> int:
            return self.open(diff_id, path, name)

        def read(places: Iterable[Place], *, missing_ok: bool = False) -> Iterator[Content]:
            for content in open_contents(opener, places, missing_ok=missing_ok):
                job.check()
                yield content

        return read

    def open(self, diff_id: str, path: str, container: str = "") -> int:
        """Return a descriptor of a regular file in a layer, without one in what a container wrote.

        Raises NotFound, UnsupportedMedia for what is no regular file.
        """
        from core.images.files.layer_files import open_beneath, open_layer_file

        engine = self._engine
        if diff_id:
            return open_layer_file(engine.paths, engine.database, diff_id, path)
        require_root("reading what a container wrote")
        return open_beneath(self._upper(engine.containers.resolve(container).id), path)

    def changes(self, container: str) -> list[Change]:
        """Return which paths of its image a container changed, running or not."""
        from core.containers import stored
        from core.containers.files import changes
        from core.containers.files.root import open_image

        require_root("reading what a container wrote")
        engine = self._engine
        row = stored.find(engine.database, container)
        layers = engine.store.lowerdirs(row.image_digest)
        points = changes.mount_points(stored.spec_of(engine.database, row.id))
        image = open_image(engine.paths.container(row.id), engine.paths.layers, layers)
        try:
            return changes.find_changes(self._upper(row.id), image, points)
        finally:
            os.close(image)

    def copying(
        self,
        check: Callable[[], None] = lambda: None,
        progress: Callable[[int], None] = lambda total: None,
    ) -> Copying:
        """Return what copies files of containers; see there for `check` and `progress`."""
        from core.containers.copy.copying import Copying

        engine = self._engine
        return Copying(
            engine.paths, engine.database, lambda: engine.store, engine.network, check, progress
        )

    def names_in_container(self, container: str, folder: str) -> Iterator[str]:
        """Yield what is in a directory of a container, see `Copying.names`."""
        from core.containers.copy.copying import Place

        return self.copying().names(Place(container, folder))

    def names_in_image(self, image: str, folder: str) -> Iterator[str]:
        """Yield what is in a directory of what has a tree; directories end in `/`.

        Raises NotFound, and OSError where there is no such directory.
        """
        from core.images.files.folder import names

        return names(self.tree(image).layers, folder)

    def export(self, container: str, fd: int, check: Callable[[], None] = lambda: None) -> None:
        """Write a container's files as a tar to a descriptor; blocks until it is done."""
        from core.containers.files.export import export

        require_root("reading a container's files")
        engine = self._engine
        export(engine.paths, engine.database, engine.store, container, fd, check)

    def _upper(self, container_id: str) -> str:
        """Return where what a container writes lies."""
        return f"{self._engine.paths.container(container_id)}/upper"
