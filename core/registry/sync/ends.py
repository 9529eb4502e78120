"""The ends of a copy: a registry, this host's store, an image layout, directories.

An end holds repositories, named relative to it, with tags.  What leads from it to the blobs
is either a registry's client or a store of blobs on disk, and a copy is made between the two
in the way that is shortest for the pair (`core.registry.sync.carry`).
"""

from __future__ import annotations

from core.errors import ConfigError
from core.registry.sync.disk_ends import DirectoryEnd, LayoutEnd
from core.registry.sync.registry_end import RegistryEnd
from core.registry.sync.store_end import StoreEnd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.config import Config
    from core.images.store import ImageStore

    Found = tuple[bytes, str, str]

End = RegistryEnd | LayoutEnd | DirectoryEnd | StoreEnd


def open_end(text: str, config: Config, store: ImageStore, check: Callable[[], None]) -> End:
    """Return the end that a rule names; to be closed.  ConfigError for one that is none."""
    kind, _, rest = text.partition(":")
    if kind == "store":
        return StoreEnd(store, config, rest, check)
    if kind in ("oci", "dir"):
        if not rest:
            raise ConfigError(f"{text!r} names no directory", hint=f"{kind}:/srv/images")
        return LayoutEnd(text) if kind == "oci" else DirectoryEnd(text)
    return RegistryEnd(text, config, check)
