"""What a build ends with: an image, squashed if so asked, an archive, or files."""

from __future__ import annotations

import time

from core.build.board import CACHED, DONE
from core.build.cache import ANNOTATION, Layer, chain_id, make_key
from core.build.options import Built

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.build.builder import Builder
    from core.build.image_state import ImageState
    from core.images.manifest import Descriptor
    from core.images.store import ImageStore
    from core.jobs import Job


class Result:
    """Makes the result of a target."""

    def __init__(self, builder: Builder, store: ImageStore, job: Job) -> None:
        self._builder = builder
        self._store = store
        self._job = job

    def make(self, state: ImageState) -> Built:
        """Make the image, or write its files, and return what came of it."""
        builder = self._builder
        options, output = builder.options, builder.options.output
        if options.labels:
            state.settings["Labels"] = {
                **(state.settings.get("Labels") or {}), **dict(options.labels),
            }  # fmt: skip
        if options.squash:
            self._squash(state)
        if output is not None and output.kind in ("tar", "local"):
            from core.build.outputs import write_files

            write_files(
                self._builder.paths,
                output,
                self._builder.lower(state.layers),
                self._builder.home,
                self._builder.check,
                self._told,
            )
            if not options.tags:
                return Built("", "", (), tuple(self._builder.board.warnings), output.place)
        from core.images.assemble import make_image

        document = state.finish(newest=options.timestamp, now=time.time())
        pairs = [(annotated(layer, state.keys), layer.diff_id) for layer in state.layers]
        info = make_image(self._store, document, pairs, options.tags)
        if output is not None and output.kind in ("docker", "oci"):
            from core.build.outputs import write_image

            write_image(
                self._store, output, info, options.tags, self._builder.check,
                lambda done, _: self._told(done),
            )  # fmt: skip
        exported = output.place if output is not None else ""
        warnings = tuple(self._builder.board.warnings)
        return Built(info.digest, info.config_digest, options.tags, warnings, exported)

    def _told(self, done: int) -> None:
        self._job.progress("output", done, 0, "writing")

    def _squash(self, state: ImageState) -> None:
        """Make one layer of those that are new, unless the cache has it."""
        new = state.layers[state.base :]
        if len(new) < 2:
            return
        parts = {"kind": "squash", "below": chain_id(state.layers[: state.base]),
                 "sources": [layer.diff_id for layer in new]}  # fmt: skip
        key = make_key(parts)
        hit = self._builder.cache.find(key)
        what = f"{len(new)} layer{'s' * (len(new) != 1)}"
        step = self._builder.board.add(-1, "[squash]", what, 0)
        if hit is None:
            from core.build.filling import fill

            self._builder.board.start(step)
            home = self._builder.home.place()
            numbers = [str(number) for number in reversed(self._builder.lower(new))]
            job = {"layers": self._builder.paths.layers, "scratch": home, "lower": [],
                   "actions": [{"kind": "squash", "squashed": numbers}]}  # fmt: skip
            fill(job, self._builder.check, self._told)
            layer = self._builder.pack(f"{home}/upper", step)
            state.created = self._builder.cache.keep(key, layer, "squash", "", parts)
            self._builder.board.end(step, DONE)
        else:
            layer, state.created = hit.layer, hit.created
            self._builder.board.end(step, CACHED)
        state.squash(layer)


def annotated(layer: Layer, keys: dict[str, str]) -> Descriptor:
    """Return a layer's descriptor with the cache's key on it, for --cache-from."""
    key = keys.get(layer.diff_id)
    if not key:
        return layer.descriptor
    return layer.descriptor.replace(annotations=((ANNOTATION, key),))
