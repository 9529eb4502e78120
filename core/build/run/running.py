"""RUN in a build: its command, environment and mounts, and what it leaves."""

from __future__ import annotations

import os

from core.errors import BuildError, Error, RunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.build.board import StepBoard
    from core.build.builder import Builder
    from core.build.dockerfile.instructions import Run
    from core.build.run.run_step import Command
    from core.build.stage_build import StageBuild

SCRIPT = "/dev/limpet-script"
SHOWN_LINES = 10


class RunPlan:
    """One RUN."""

    def __init__(self, builder: Builder, stage: StageBuild, step: Run, board: StepBoard) -> None:
        from core.build.run.run_mounts import RunMounts

        self._builder = builder
        self._stage = stage
        self._step = step
        self._board = board
        self._args, self._hidden = stage.variables.run_env(stage.state.env)
        self._mounts = RunMounts(builder, stage, step)
        self._is_script = step.argv is None and step.script.startswith("#!")
        if step.argv is not None:
            self._argv = step.argv
        elif self._is_script:
            self._argv = (SCRIPT,)
        else:
            self._argv = (*stage.state.shell, step.script)

    def words(self) -> str:
        """Return what the history says, as docker words it."""
        args = f"|{len(self._args)} {' '.join(self._args)} " if self._args else ""
        command = self._step.script if self._is_script else " ".join(self._argv)
        return f"RUN {args}{command}"

    def parts(self) -> dict[str, Any]:
        """Return what the cache's key is made of."""
        state = self._stage.state
        return {
            "kind": "run", "below": state.chain,
            "command": [*self._argv, self._step.script if self._is_script else ""],
            "args": self._args, "env": [f"{k}={v}" for k, v in sorted(state.env.items())],
            "user": state.user, "workdir": state.workdir, "network": self._step.network,
            "platform": self._builder.platform, "content": self._mounts.parts(self._board),
        }  # fmt: skip

    def execute(self) -> str:
        """Run it; returns the directory of what it wrote.

        Raises BuildError with the program's exit code.
        """
        builder = self._builder
        container_id = os.urandom(32).hex()
        with self._mounts:
            self._mounts.prepare(self._board)
            directory = builder.runner.directory(container_id)
            command = self._command(directory)
            lower = builder.lower(self._stage.state.layers)
            self._before_start(directory, container_id)
            try:
                running = builder.runner.start(container_id, lower, command)
            except RunError as error:
                raise self._failed(error.exit_code, error.message, container_id, command) from None
            except OSError as error:
                raise BuildError(f"the RUN cannot be started: {error}") from error
            try:
                code = running.follow(
                    lambda line: builder.board.say(self._board, line), builder.check
                )
                if code:
                    raise self._failed(code, f"exit code {code}", container_id, command)
                upper = builder.keep(f"{directory}/upper")
                targets = [entry["destination"] for entry in command.mounts]
            finally:
                builder.let_go(container_id, directory)
                running.close()
        builder.clean(upper, lower, targets)
        return upper

    def _before_start(self, directory: str, container_id: str) -> None:
        if not self._is_script:
            return
        from core.containers import starting

        starting.make_directories(self._builder.runner.paths, container_id)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(f"{directory}/script", flags, 0o755)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(fd, 0o755)
            file.write(self._step.script)

    def _command(self, directory: str) -> Command:
        from core.build.run.run_step import Command

        mounts = list(self._mounts.entries)
        if self._is_script:
            mounts.append({"destination": SCRIPT, "type": "bind", "source": f"{directory}/script",
                           "options": ["rbind", "ro"]})  # fmt: skip
        state, network = self._stage.state, self._step.network
        if network == "default":
            network = self._builder.options.network
        env = [f"{name}={value}" for name, value in state.env.items()]
        return Command(
            self._argv, (*env, *self._args, *self._hidden, *self._mounts.env), state.workdir,
            state.user, network, tuple(mounts),
        )  # fmt: skip

    def _failed(self, code: int, text: str, container_id: str, command: Command) -> Error:
        lines = list(self._board.log)[-SHOWN_LINES:]
        lines.append(
            "limpet debug opens a shell where it failed"
            if self._builder.options.keep_failed
            else "build --debug keeps it for a look inside: limpet debug"
        )
        line, column = self._step.at.place(-self._step.at.offset)
        self._builder.remember_failed(self._stage, command, container_id)
        title = self._board.title if len(self._board.title) < 200 else self._board.title[:199] + "…"
        return BuildError(
            f"{self._builder.file.source.name}:{line}:{column}: {title}: {text}",
            hint="\n".join(lines), exit_code=code,
        )  # fmt: skip
