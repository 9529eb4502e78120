"""An image in the making: layers, config and history, as instructions change them.

https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
"""

from __future__ import annotations

import posixpath

from core.build.cache import Layer, chain_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

SHELL = ("/bin/sh", "-c")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageState:
    """One stage's image so far."""

    def __init__(
        self, layers: Sequence[Layer] = (), document: Mapping[str, Any] | None = None
    ) -> None:
        document = document or {}
        self.layers = list(layers)
        self.document = dict(document)
        settings = document.get("config")
        self.settings: dict[str, Any] = dict(settings) if isinstance(settings, dict) else {}
        self.history = _whole_history(document.get("history") or [], len(self.layers))
        self.created = 0.0
        """When the last layer was made; 0 for what the base says."""
        self.keys: dict[str, str] = {}
        """The cache's key of a layer, by its diff ID."""
        self.base = len(self.layers)
        """How many of the layers were there before the build."""
        self._command_set = False

    def copy(self) -> ImageState:
        """Return an image to go on from this one."""
        made = ImageState(self.layers, self.document)
        made.settings = {**self.settings}
        made.history = [{**step} for step in self.history]
        made.created = self.created
        made.keys = {**self.keys}
        made.base = self.base
        return made

    @property
    def chain(self) -> str:
        """The digest of the layers."""
        return chain_id(self.layers)

    @property
    def env(self) -> dict[str, str]:
        """The environment by name."""
        entries = [str(entry).partition("=") for entry in self.settings.get("Env") or ()]
        return {name: value for name, _, value in entries}

    @property
    def workdir(self) -> str:
        """Where RUN runs and relative targets begin."""
        return str(self.settings.get("WorkingDir") or "/")

    @property
    def user(self) -> str:
        """Who RUN runs as; empty for root."""
        return str(self.settings.get("User") or "")

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs the shell form."""
        return tuple(self.settings.get("Shell") or SHELL)

    def add_layer(self, layer: Layer | None, key: str, words: str, created: float) -> None:
        """Add what a step came to, which may be no layer."""
        if layer is not None:
            self.layers.append(layer)
            self.keys[layer.diff_id] = key
        self.created = created
        self._note(words, empty=layer is None)

    def _note(self, words: str, *, empty: bool) -> None:
        step: dict[str, Any] = {"created_by": words, "comment": "limpet build"}
        if empty:
            step["empty_layer"] = True
        if self.created:
            step["created"] = self.created
        self.history.append(step)

    # -- what instructions set -------------------------------------------------------

    def set_env(self, pairs: Sequence[tuple[str, str]], words: str) -> None:
        """ENV."""
        values = {**self.env, **dict(pairs)}
        self.settings["Env"] = [f"{name}={value}" for name, value in values.items()]
        self._note(words, empty=True)

    def set_labels(self, pairs: Sequence[tuple[str, str]], words: str) -> None:
        """LABEL."""
        self.settings["Labels"] = {**(self.settings.get("Labels") or {}), **dict(pairs)}
        self._note(words, empty=True)

    def set_command(self, argv: Sequence[str], words: str) -> None:
        """CMD."""
        self.settings["Cmd"] = list(argv)
        self._command_set = True
        self._note(words, empty=True)

    def set_entrypoint(self, argv: Sequence[str], words: str) -> None:
        """ENTRYPOINT: a CMD of the base was meant for the base's."""
        self.settings["Entrypoint"] = list(argv)
        if not self._command_set:
            self.settings.pop("Cmd", None)
        self._note(words, empty=True)

    def set_value(self, name: str, value: Any, words: str) -> None:
        """USER, STOPSIGNAL, SHELL, HEALTHCHECK."""
        self.settings[name] = value
        self._note(words, empty=True)

    def add_keys(self, name: str, keys: Sequence[str], words: str) -> None:
        """EXPOSE and VOLUME: sets, which JSON has as objects."""
        new: dict[str, Any] = {key: {} for key in keys}
        self.settings[name] = {**(self.settings.get(name) or {}), **new}
        self._note(words, empty=True)

    def add_trigger(self, text: str, words: str) -> None:
        """ONBUILD."""
        self.settings["OnBuild"] = [*(self.settings.get("OnBuild") or []), text]
        self._note(words, empty=True)

    def set_author(self, name: str, words: str) -> None:
        """MAINTAINER."""
        self.document["author"] = name
        self._note(words, empty=True)

    def note(self, words: str) -> None:
        """ARG: only the history tells."""
        self._note(words, empty=True)

    def below(self, path: str) -> str:
        """Return a path as WORKDIR has it, absolute; a final slash stays."""
        full = posixpath.join("/", self.workdir, path)
        slash = path.endswith(("/", "/.")) or path in (".", "./")
        clean = posixpath.normpath(full)
        clean = "/" + clean.lstrip("/")
        return clean + "/" if slash and clean != "/" else clean

    def squash(self, layer: Layer | None) -> None:
        """Take one layer for all that are new."""
        new = len(self.layers) - self.base
        self.layers = self.layers[: self.base]
        for step in reversed(self.history):
            if new and not step.get("empty_layer"):
                step["empty_layer"] = True
                new -= 1
        if layer is not None:
            self.layers.append(layer)
            self._note("squashed", empty=False)

    # -- the end ---------------------------------------------------------------------

    def finish(self, *, newest: int | None, now: float) -> dict[str, Any]:
        """Return the config; with `newest` no time in it is later (seconds since the epoch)."""
        from core.images.assemble import time_text

        def text(seconds: float) -> str:
            return time_text(seconds if newest is None else min(seconds, newest))

        document = {**self.document, "config": self.settings}
        created = self.created or now
        if newest is not None:
            document["created"] = time_text(newest)
        elif self.created or "created" not in document:
            document["created"] = time_text(created)
        document["history"] = [
            {**step, "created": text(step["created"])}
            if isinstance(step.get("created"), float | int) else {**step}
            for step in self.history
        ]  # fmt: skip
        return document


def _whole_history(history: Sequence[dict[str, Any]], layers: int) -> list[dict[str, Any]]:
    """Return a history that has a step for each layer: buildah refuses images where it has not."""
    told = [step for step in history if not step.get("empty_layer")]
    if len(told) > layers:
        history, told = [], []
    return [
        *({**step} for step in history),
        *({"created_by": "unknown"} for _ in range(layers - len(told))),
    ]
