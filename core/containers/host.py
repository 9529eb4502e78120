"""What work on containers is given of this host."""

from __future__ import annotations

from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.config import Config
    from core.containers.supervision.launcher import Launcher
    from core.database import Database
    from core.images.store import ImageStore
    from core.network.network import Network
    from core.paths import Paths


class Host(Record):
    """The parts of one limpet that its containers are made of."""

    paths: Paths
    database: Database
    images: Callable[[], ImageStore]
    """Made when it is asked for: most commands need no image."""
    network: Network
    config: Config
    launcher: Launcher


class OnHost:
    """Base of whatever works on the containers of one host."""

    def __init__(self, host: Host) -> None:
        self._paths = host.paths
        self._database = host.database
        self._images = host.images
        self._network = host.network
        self._config = host.config
        self._launcher = host.launcher
