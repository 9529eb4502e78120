"""The registries that are known here, and the one that limpet is itself."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.engine import Engine
    from core.jobs import Job
    from core.model import RegistryInfo
    from core.registry_server.server import ServeOptions


class Registries:
    """Lists registries, asks them, and serves the local store as one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def known(self) -> list[RegistryInfo]:
        """Return the registries that are configured or were used, not asking any of them."""
        from core.registry.status import known_registries

        return known_registries(self._engine.database, self._engine.config)

    def probe(self) -> list[RegistryInfo]:
        """Ask each known registry whether it answers; takes at most a few seconds."""
        from core.registry.status import probe_registries

        return probe_registries(self._engine.database, self._engine.config)

    def serve(self, options: ServeOptions) -> Job:
        """Start serving this store as a registry; it ends when the job is cancelled."""
        engine = self._engine

        def work(job: Job) -> None:
            from core.registry_server.server import serve

            serve(engine.paths, engine.store, engine.config, options, job)

        return engine.jobs.start(f"registry serve {options.host}:{options.port}", work)
