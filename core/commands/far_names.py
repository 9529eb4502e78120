"""Names that are not on this host's own lists: repositories and tags, paths in containers.

Both are asked for while somebody types, so both are bounded in time and number, and an
answer is kept for a while, also the answer that there is none.
"""

from __future__ import annotations

import os
import time
from itertools import islice

from core.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from core.engine import Engine
    from core.registry.client import RegistryClient

MOST = 1000
TIMEOUT_S = 2.0
KEEP_S = 60.0
FAILED_S = 10.0
"""How long nobody asks again after a failure."""


class FarNames:
    """Looks names up where they are; knows what it was told before."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[str, tuple[float, tuple[str, ...]]] = {}

    def remote(self, typed: str) -> dict[str, str]:
        """Return references that begin as typed: tags behind a `:`, repositories of a host."""
        last = typed.rpartition("/")[2]
        if ":" in last:
            repository = typed[: len(typed) - len(last)] + last.partition(":")[0]
            return {f"{repository}:{tag}": "" for tag in self._tags(repository)}
        host, slash, _ = typed.partition("/")
        if slash and ("." in host or ":" in host or host == "localhost"):
            return {f"{host}/{name}": "" for name in self._repositories(host)}
        return {}

    def inside(self, container: str, typed: str) -> dict[str, str]:
        """Return paths in a running container that begin as typed; directories end in `/`."""
        folder = typed.rpartition("/")[0] + "/" if "/" in typed else ""
        names = self._keep(
            f"{container}:{folder}", lambda: self._folder(container, folder or "/"), KEEP_S / 30
        )
        return {folder + name: "" for name in names}

    def _tags(self, repository: str) -> tuple[str, ...]:
        reference = self._engine.reference(repository)

        def ask() -> Iterable[str]:
            with self._client(reference.host) as client:
                return tuple(islice(client.tags(reference.path), MOST))

        return self._keep(f"tags {repository}", ask)

    def _repositories(self, host: str) -> tuple[str, ...]:
        def ask() -> Iterable[str]:
            with self._client(host) as client:
                return tuple(islice(client.catalog(), MOST))

        return self._keep(f"repositories {host}", ask)

    def _client(self, host: str) -> RegistryClient:
        from core.registry.client import RegistryClient

        return RegistryClient(host, self._engine.config, timeout_s=TIMEOUT_S, attempts=1)

    def _folder(self, container: str, folder: str) -> Iterable[str]:
        from core.linux.path import open_in_root

        info = self._engine.containers.resolve(container)
        if not info.pid:
            return ()
        root = os.open(f"/proc/{info.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # No link leads out of the container's root.
            here = open_in_root(root, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
        finally:
            os.close(root)
        try:
            with os.scandir(here) as entries:
                found = list(islice(entries, MOST))
                return [
                    entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
                    for entry in found
                ]
        finally:
            os.close(here)

    def _keep(
        self, key: str, ask: Callable[[], Iterable[str]], seconds: float = KEEP_S
    ) -> tuple[str, ...]:
        until, known = self._told.get(key, (0.0, ()))
        if time.monotonic() < until:
            return known
        try:
            names = tuple(ask())
        except (Error, OSError, ValueError):
            names, seconds = (), FAILED_S
        self._told[key] = (time.monotonic() + seconds, names)
        return names
