"""One build from beginning to end: reads, plans, runs the stages, makes the image."""

from __future__ import annotations

import os
import threading
from functools import cached_property

from core.build.bases import Bases, Host
from core.build.board import Board, StageBoard
from core.build.cache import BuildCache, Layer
from core.build.context.sources import Sources, read_sources
from core.build.copy.selection import SelectionError
from core.build.dockerfile.variables import EPOCH, platform_args, unused
from core.build.homes import Home
from core.build.image_state import ImageState
from core.build.options import BuildOptions, Built
from core.build.result import Result
from core.build.run.failed import forget
from core.build.stage_build import StageBuild
from core.build.stages import find_target, global_args, make_stages, needed
from core.errors import Cancelled, NotFound
from core.images.manifest import host_platform, parse_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from core.build.board import StepBoard
    from core.build.context.files import Context
    from core.build.run.run_step import Command, Runner
    from core.build.stages import Stage
    from core.jobs import Job


def build(host: Host, options: BuildOptions, job: Job, board: Board) -> Built:
    """Build and return what it came to; nothing but the cache is left of one that fails.

    Raises DockerfileError, BuildError with a failed program's exit code, NotFound,
    RegistryError, HostError and Cancelled.
    """
    forget(host.paths)
    with Home(host.paths) as home:
        sources = read_sources(host.paths, options, home, job.check)
        builder = Builder(host, options, job, board, home, sources)
        try:
            return builder.build()
        finally:
            builder.close()


class Builder:
    """What the stages of one build share."""

    def __init__(
        self,
        host: Host,
        options: BuildOptions,
        job: Job,
        board: Board,
        home: Home,
        sources: Sources,
    ) -> None:
        self._host = host
        self._job = job
        self._sources = sources
        self.paths = host.paths
        self.options = options
        self.board = board
        self.home = home
        self.file = sources.file
        self.identity = sources.identity
        self.cache = BuildCache(host.store.database)
        self.given = dict(options.args)
        self.platform = parse_platform(options.platform) if options.platform else host_platform()
        self.many = False
        self.slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))
        self._stages: dict[int, StageBuild] = {}
        self._ended: dict[int, threading.Event] = {}
        self._problem: BaseException | None = None
        self._used: list[str] = []
        self._changed: list[str] = []
        self._lock = threading.Lock()
        self._bases = Bases(host, options, job, board)
        self._memory = ""
        self._thread = threading.current_thread()
        predefined = platform_args(self.platform, host_platform())
        self.global_values = global_args(
            self.file.source, sources.steps, self.given, predefined, self.file.escape
        )

    def build(self) -> Built:
        """Build the target and make what was asked for of it."""
        source = self.file.source
        stages = make_stages(source, self._sources.steps, self.global_values, self.file.escape)
        target = find_target(stages, self.options.target)
        order = needed(stages, target)
        self.many = len(order) > 1
        self._bases.adopt_caches(self.cache)
        self._announce(order)
        self._run(order)
        self._tell_warnings()
        state = self._stages[target].state
        self._warn_unused(stages)
        if self._used:
            self.cache.touch(self._used)
        return Result(self, self._host.store, self._job).make(state)

    def close(self) -> None:
        """Keep the digests of files, and let nothing else stay."""
        if "context" in self.__dict__:
            self.context.save()
        if self._memory:
            from core.trees import remove_tree

            remove_tree(self._memory)

    # -- the stages ------------------------------------------------------------------

    def _announce(self, order: Sequence[Stage]) -> None:
        for stage in order:
            made = self._stages[stage.index] = StageBuild(self, stage)
            self._ended[stage.index] = threading.Event()
            self.board.stages.append(StageBoard(stage.index, stage.title, stage.needs))
            made.announce()

    def _run(self, order: Sequence[Stage]) -> None:
        """Run the stages: side by side where there are several."""
        if len(order) == 1:
            self._run_stage(order[0].index)
        else:
            threads = [
                threading.Thread(
                    target=self._run_stage, args=(stage.index,), name=f"stage {stage.title}",
                    daemon=True,
                ) for stage in order
            ]  # fmt: skip
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self._problem is not None:
            for stage_build in self._stages.values():
                stage_build.skip()
            raise self._problem

    def _run_stage(self, index: int) -> None:
        try:
            self._stages[index].run()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            with self._lock:
                if self._problem is None:
                    self._problem = error
        finally:
            self._ended[index].set()
            if threading.current_thread() is not self._thread:
                self._host.store.database.close()

    def finished(self, index: int) -> StageBuild:
        """Wait for a stage and return it; Cancelled when it failed."""
        while not self._ended[index].wait(0.1):
            self.check()
        self.check()
        return self._stages[index]

    def check(self) -> None:
        """Raise Cancelled if the user wants it so, or another stage has failed."""
        self._job.check()
        if self._problem is not None:
            raise Cancelled("another stage failed")

    # -- what stages ask for ---------------------------------------------------------

    @cached_property
    def context(self) -> Context:
        """The context; SelectionError when there is none."""
        if not self._sources.root:
            raise SelectionError(
                "the build has no context: the Dockerfile came on stdin",
                "give a directory: build -f - .",
            )
        from core.build.context.files import Context

        return Context(self.paths, self._sources.root, self._sources.ignore)

    @cached_property
    def runner(self) -> Runner:
        """Runs commands."""
        from core.build.run.run_step import Runner

        host = self._host
        return Runner(host.paths, self.home.path, host.config, host.network, host.launcher)

    def source(self, name: str) -> tuple[list[Layer], str]:
        """Return the layers that --from names, and their digest."""
        sources = {k: v for one in self._stages.values() for k, v in one.stage.sources}
        index = sources.get(name, -1)
        if index >= 0:
            state = self.finished(index).state
        else:
            state = self.image(name, "", None)
        return state.layers, state.chain

    def image(self, name: str, platform: str, board: StepBoard | None) -> ImageState:
        """Return an image to build on, fetched when it is missing or --pull was said."""
        return self._bases.image(name, platform, board)

    def platform_document(self, platform: str) -> dict[str, Any]:
        """Return the config that FROM scratch begins with."""
        from core.images.assemble import platform as document

        return {**document(platform or self.options.platform)}

    def lower(self, layers: Sequence[Layer]) -> list[int]:
        """Return the layers' directories, the uppermost first."""
        found = []
        for layer in reversed(layers):
            rows = self._host.store.database.query(
                "SELECT id FROM layers WHERE diff_id=?", (layer.diff_id,)
            )
            if not rows:
                raise NotFound(
                    f"layer {layer.diff_id[:19]} was removed while it was built upon",
                    hint="build again",
                )
            found.append(rows[0][0])
        return found

    def pack(self, folder: str, board: StepBoard) -> Layer | None:
        """Make a layer of a directory, None of an empty one."""
        if not os.listdir(folder):
            return None
        from core.images.packing.layer_writer import write_layer

        newest = self.options.timestamp
        written = write_layer(
            self._host.store, folder, adopt=True,
            newest_ns=None if newest is None else newest * 1_000_000_000,
            progress=lambda done: self.board.progress(board, done, 0, "packing"),
            check=self.check,
        )  # fmt: skip
        return Layer(written.diff_id, written.descriptor)

    def used(self, key: str) -> None:
        """Note that the cache was of use."""
        with self._lock:
            self._used.append(key)

    def explain(self, why: str) -> str:
        """Return why the cache had nothing, with the files that changed where it was that."""
        if "context" in self.__dict__ and "file to copy" in why:
            changed = self.context.changed()
            if changed:
                more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
                return f"{why}: {', '.join(changed[:3])}{more}"
        return why

    def changed_files(self, paths: Sequence[str]) -> None:
        """Note files that were not the same when they were copied."""
        with self._lock:
            self._changed += paths

    def take_changed(self) -> bool:
        """Return whether there were any, and forget them."""
        with self._lock:
            found = bool(self._changed)
            self._changed = []
            return found

    def hint_context(self, files: int) -> None:
        """Say once that the context is huge, and what helps."""
        if not self._sources.ignored_by:
            self.board.warn(
                f"{files} files of the context are copied and there is no .dockerignore: "
                "name there what the image does not need"
            )

    def memory(self) -> str:
        """Return a directory in memory for secrets."""
        with self._lock:
            if not self._memory:
                self._memory = f"{self.paths.run}/build/{os.path.basename(self.home.path)}"
                os.makedirs(self._memory, 0o700, exist_ok=True)
            return self._memory

    def keep(self, upper: str) -> str:
        """Take what a RUN wrote out of its container's directory."""
        place = f"{self.home.place()}/upper"
        os.rename(upper, place)
        return place

    def let_go(self, container_id: str, directory: str) -> None:
        """Remove what is left of a RUN's container."""
        from core.trees import remove_tree

        remove_tree(directory)
        remove_tree(self.paths.container_run(container_id))

    def clean(self, upper: str, lower: Sequence[int], targets: Sequence[str]) -> None:
        """Take mount points out of what a RUN wrote."""
        from core.build.run.stubs import STUBS, remove_stubs

        remove_stubs(upper, self.paths.layers, lower, (*targets, *STUBS))

    def remember_failed(self, stage: StageBuild, command: Command, container_id: str) -> None:
        """Keep what a failed RUN left, where that was asked for."""
        upper = f"{self.runner.directory(container_id)}/upper"
        if self.options.keep_failed and os.path.isdir(upper):
            from core.build.run.failed import keep

            layers = [layer.diff_id for layer in stage.state.layers]
            title = command.argv[-1] if command.argv else ""
            keep(self.paths, upper, f"RUN {title}", layers, command, stage.state.shell)

    # -- the end ---------------------------------------------------------------------

    def _tell_warnings(self) -> None:
        """Put the warnings on the board, or raise them: `# check=skip=…;error=true`."""
        source = self.file.source
        found = source.wanted(self.file.check)
        for warning in found:
            self.board.warn(source.describe(warning))
        if found and source.is_strict(self.file.check):
            raise source.error(found[0].line, 1, f"{found[0].text} ({found[0].rule})")

    def _warn_unused(self, stages: Sequence[Stage]) -> None:
        from core.build.dockerfile.instructions import Arg

        used = {EPOCH}
        for step in self._sources.steps:
            if isinstance(step, Arg):
                used |= {name for name, _ in step.names}
        for name in unused(self.given, used):
            self.board.warn(f"--build-arg {name} is taken by no ARG")
