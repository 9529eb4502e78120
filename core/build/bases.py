"""The images that a build begins with, and those that serve it as a cache."""

from __future__ import annotations

import threading

from core.build.cache import ANNOTATION, Layer
from core.build.image_state import ImageState
from core.errors import Cancelled, NotFound
from core.images.manifest import parse_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.build.board import Board, StepBoard
    from core.build.cache import BuildCache
    from core.build.options import BuildOptions
    from core.config import Config
    from core.containers.supervision.launcher import Launcher
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.model import ImageInfo
    from core.network.network import Network
    from core.paths import Paths


class Host:
    """The parts of the engine that a build stands on."""

    def __init__(
        self,
        paths: Paths,
        config: Config,
        store: ImageStore,
        network: Network,
        launcher: Launcher,
    ) -> None:
        self.paths = paths
        self.config = config
        self.store = store
        self.network = network
        self.launcher = launcher


class Bases:
    """Finds images here, or fetches them; safe to share between stages."""

    def __init__(self, host: Host, options: BuildOptions, job: Job, board: Board) -> None:
        self._host = host
        self._options = options
        self._job = job
        self._board = board
        self._lock = threading.Lock()
        self._images: dict[tuple[str, str], ImageState] = {}

    def image(self, name: str, platform: str, board: StepBoard | None) -> ImageState:
        """Return an image to build on, fetched when it is missing or --pull was said."""
        wanted = platform or self._options.platform
        with self._lock:
            known = self._images.get((name, wanted))
        if known is None:
            info = self._resolve(name, wanted, board)
            from core.images.assemble import layers_of

            layers = [
                Layer(diff_id, blob) for blob, diff_id in layers_of(self._host.store, info.digest)
            ]
            known = ImageState(layers, self._host.store.config(info.digest))
            with self._lock:
                self._images[name, wanted] = known
        return known.copy()

    def _resolve(self, name: str, platform: str, board: StepBoard | None) -> ImageInfo:
        store = self._host.store
        if not self._options.pull:
            try:
                info = store.resolve(name)
            except NotFound:
                pass
            else:
                if not platform or parse_platform(platform) == info.platform:
                    return info
        from core.images.reference import parse_reference
        from core.registry.pull import pull

        reference = parse_reference(name, self._host.config["registry", "default"])
        if board is not None:
            self._board.say(board, f"pulling {reference.familiar}")
        return pull(store, self._host.config, reference, platform, self._job)

    def adopt_caches(self, cache: BuildCache) -> None:
        """Take over what images say of the steps they came from: --cache-from."""
        for name in self._options.cache_from:
            try:
                info = self._resolve(name, self._options.platform, None)
            except (Cancelled, KeyboardInterrupt):
                raise
            except Exception as error:  # noqa: BLE001 - a cache that cannot be had is no reason to stop
                self._board.warn(f"--cache-from {name}: {error}")
                continue
            from core.images.assemble import layers_of
            from core.images.manifest import created_at

            history = self._host.store.config(info.digest).get("history") or []
            steps = [step for step in history if not step.get("empty_layer")]
            rows = []
            for (blob, diff_id), step in zip(
                layers_of(self._host.store, info.digest), steps, strict=False
            ):
                key = dict(blob.annotations).get(ANNOTATION)
                if key:
                    plain = blob.replace(annotations=())
                    rows.append((key, Layer(diff_id, plain), str(step.get("created_by") or ""),
                                 created_at(step.get("created"))))  # fmt: skip
            if rows:
                cache.adopt(rows)
            else:
                self._board.warn(
                    f"--cache-from {name}: it was not built by limpet, nothing to take"
                )
