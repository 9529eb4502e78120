"""Names that are not on this host's own lists: of repositories, of tags, of files in containers.

Both are asked for while somebody types, so both are bounded in time and number, and an
answer is kept for a while, also the answer that there is none.
"""

from __future__ import annotations

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
INSIDE_S = 2.0
"""Files come and go."""
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

    def in_container(self, container: str, typed: str) -> dict[str, str]:
        """Return paths in a container, running or not, that begin as typed."""
        return self._inside("container", container, typed, self._engine.files.names_in_container)

    def in_image(self, image: str, typed: str) -> dict[str, str]:
        """Return paths in an image that begin as typed."""
        return self._inside("image", image, typed, self._engine.files.names_in_image)

    def _inside(
        self, kind: str, name: str, typed: str, names: Callable[[str, str], Iterable[str]]
    ) -> dict[str, str]:
        folder = typed.rpartition("/")[0] + "/" if "/" in typed else ""
        key = f"{kind} {name}:{folder}"
        found = self._keep(key, lambda: islice(names(name, folder or "/"), MOST), INSIDE_S)
        return {folder + one: "" for one in found}

    def _tags(self, repository: str) -> tuple[str, ...]:
        def ask() -> Iterable[str]:
            reference = self._engine.reference(repository)
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
        now = time.monotonic()
        self._told = {one: told for one, told in self._told.items() if told[0] > now}
        self._told[key] = (now + seconds, names)
        return names
