"""Screens of an image: everything about it, its layers, how it differs from another."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.screen import Screen

    from core.engine import Engine
    from core.model import LayerInfo
    from tui.screens.detail.screen import Keys
    from tui.screens.detail.tab import Line, Tab


def image(engine: Engine, name: str, keys: Keys, tab: str = "") -> Screen[None]:
    """Return everything about an image; `tab`: the one to begin with."""
    from core.commands.image.image import inspect_image
    from tui.screens.detail.screen import DetailScreen
    from tui.views.details import image_tabs

    def read() -> list[Tab]:
        history = engine.images.history(name)
        document = inspect_image(engine, name)
        return image_tabs(document, history, lambda: uses(engine, name, history))

    return DetailScreen(name, read, keys=keys, tab=tab)


def uses(engine: Engine, name: str, history: Sequence[LayerInfo]) -> list[Line]:
    """Return the containers made of an image, and the images built upon it."""
    from core.commands.show import counted

    digest = engine.store.resolve(name).digest
    own = [step.diff_id for step in history if step.diff_id]
    lines: list[Line] = [
        [("container  ", "dim"), (info.name, ""), (f"  {info.state}", "dim")]
        for info in engine.containers.list()
        if info.image_digest == digest
    ]
    for image in engine.images.list():
        if image.digest == digest or image.layers <= len(own):
            continue
        layers = [step.diff_id for step in engine.store.history(image.digest) if step.diff_id]
        if layers[: len(own)] == own:
            words = ", ".join(image.tags) or image.config_digest
            more = f"  {counted(len(layers) - len(own), 'more layer')}"
            lines.append([("image      ", "dim"), (words, ""), (more, "dim")])
    return lines or [[("nothing uses it", "dim")]]


def layers(engine: Engine, image: str) -> Screen[None]:
    """Return the browser of an image's layers and files."""
    from tui.screens.layers.screen import LayersScreen
    from tui.views.layer_sources import ImageSource

    return LayersScreen(ImageSource(engine, image))


def compare(engine: Engine, old: str, new: str) -> Screen[None]:
    """Return how one image, container or layer differs from another."""
    from tui.screens.compare import CompareScreen, Side

    def side(name: str) -> Side:
        return Side(
            engine.files.tree(name), lambda layer, path: engine.files.open(layer, path, name)
        )

    return CompareScreen((old, new), lambda: (side(old), side(new)))
