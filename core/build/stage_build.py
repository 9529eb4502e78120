"""Builds one stage: each instruction in turn, from the cache where it has it."""

from __future__ import annotations

from core.build import board as states
from core.build.cache import make_key
from core.build.copy.chmod import check_mode
from core.build.copy.selection import SelectionError
from core.build.dockerfile import instructions as kinds
from core.build.dockerfile.instruction_parser import parse_step
from core.build.dockerfile.variables import Variables
from core.build.dockerfile.words import WordError, expand_document, expand_words
from core.build.image_state import PATH, ImageState
from core.build.stages import SCRATCH, expanded
from core.errors import Cancelled, Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from core.build.board import StepBoard
    from core.build.builder import Builder
    from core.build.dockerfile.instructions import Step
    from core.build.stages import Stage


class StageBuild:
    """One stage at work; `run` is called once, in a thread of its own or not."""

    def __init__(self, builder: Builder, stage: Stage) -> None:
        self._builder = builder
        self.stage = stage
        self._source = builder.file.source
        self._escape = builder.file.escape
        self.state = ImageState()
        self.variables = Variables(builder.given, builder.global_values)
        self._boards: dict[int, StepBoard] = {}
        self._step = 0
        self._count = len([step for step in stage.steps if shown_step(step)]) + 1

    def announce(self) -> None:
        """Put all steps on the board, before any is done."""
        start = self.stage.start
        self._announce(-1, f"FROM {self.stage.image or start.image}", start)
        for number, step in enumerate(self.stage.steps):
            if shown_step(step):
                self._announce(number, step.at.shown, step)

    def _announce(self, number: int, title: str, step: Step) -> None:
        place = len(self._boards) + 1
        name = self.stage.title if self._builder.many else ""
        label = f"[{name} {place}/{self._count}]".replace("[ ", "[")
        self._boards[number] = self._builder.board.add(self.stage.index, label, title, step.at.line)

    # -- the stage -------------------------------------------------------------------

    def run(self) -> ImageState:
        """Build it and return the image it came to."""
        triggers = self._begin()
        for step in triggers:
            board = self._builder.board.add(
                self.stage.index, f"[{self.stage.title} ONBUILD]", step.at.shown, step.at.line
            )
            self._guarded(step, board, -1)
        for number, step in enumerate(self.stage.steps):
            self._builder.check()
            self._step = number
            self._guarded(step, self._boards.get(number), number)
        return self.state

    def skip(self) -> None:
        """Mark what was not begun."""
        for board in self._boards.values():
            if board.state == states.WAITING:
                board.state = states.SKIPPED

    def _guarded(self, step: Step, board: StepBoard | None, number: int) -> None:
        try:
            self._do(step, board, number)
        except SelectionError as error:
            problem = self._at(step, error.text, error.hint)
            self._fail(board, problem)
            raise problem from None
        except Error as error:
            self._fail(board, error, step)
            raise

    def _fail(self, board: StepBoard | None, error: Error, step: Step | None = None) -> None:
        """Note on the board that a step failed, and in the error where it stands."""
        if step is not None and not isinstance(error, Cancelled):
            error.message = located(self._source.name, step, error.message)
        if board is not None and board.state in (states.RUNNING, states.WAITING):
            self._builder.board.end(board, states.FAILED, error.message)

    def _begin(self) -> list[Step]:
        """Take over the base; returns the instructions it leaves to who builds on it."""
        board = self._boards[-1]
        below = self._builder.finished(self.stage.base) if self.stage.base >= 0 else None
        self._builder.board.start(board)
        try:
            if below is not None:
                self.state = below.state.copy()
                self.variables.inherit(below.variables)
            elif self.stage.image != SCRATCH:
                self.state = self._builder.image(self.stage.image, self.stage.platform, board)
            else:
                self.state = ImageState((), self._builder.platform_document(self.stage.platform))
                self.state.settings["Env"] = [f"PATH={PATH}"]
        except Error as error:
            self._fail(board, error, self.stage.start)
            raise
        self._builder.board.end(board, states.CACHED if self.stage.base >= 0 else states.DONE)
        return self._triggers() if self.stage.base < 0 else []

    def _triggers(self) -> list[Step]:
        from core.build.dockerfile.reader import parse

        texts = self.state.settings.pop("OnBuild", None) or []
        found = []
        for text in texts:
            file = parse(f"{self.stage.image} ONBUILD", str(text))
            found.append(parse_step(file.source, file.instructions[0]))
        return found

    # -- instructions ----------------------------------------------------------------

    def _do(self, step: Step, board: StepBoard | None, number: int) -> None:
        if isinstance(step, kinds.Run):
            assert board is not None
            self._run(step, board, number)
        elif isinstance(step, kinds.Copy):
            assert board is not None
            self._copy(step, board, number)
        elif isinstance(step, kinds.Words) and step.at.keyword == "WORKDIR":
            assert board is not None
            self._workdir(step, board, number)
        else:
            self._set(step)
            if board is not None:
                self._builder.board.end(board, states.DONE)

    def _set(self, step: Step) -> None:
        """Do an instruction that only changes the config."""
        state, words = self.state, step.at.shown
        if isinstance(step, kinds.Arg):
            for name, default in step.names:
                value = None if default is None else self.expand(step, default)
                self.variables.declare(name, value)
            state.note(words)
        elif isinstance(step, kinds.Pairs):
            pairs = [(self.expand(step, k), self.expand(step, v)) for k, v in step.pairs]
            shown = f"{step.at.keyword} " + " ".join(f"{name}={value}" for name, value in pairs)
            (state.set_env if step.at.keyword == "ENV" else state.set_labels)(pairs, shown)
        elif isinstance(step, kinds.Command):
            argv = step.argv if step.argv is not None else (*state.shell, step.script)
            self._set_command(step.at.keyword, argv, words)
        elif isinstance(step, kinds.Healthcheck):
            check = {"Test": list(step.test), **dict(step.times)}
            state.set_value("Healthcheck", check, words)
        elif isinstance(step, kinds.Onbuild):
            state.add_trigger(step.text, words)
        elif isinstance(step, kinds.Words):
            self._set_words(step, words)

    def _set_command(self, keyword: str, argv: tuple[str, ...], words: str) -> None:
        if keyword == "CMD":
            self.state.set_command(argv, words)
        elif keyword == "ENTRYPOINT":
            self.state.set_entrypoint(argv, words)
        else:
            self.state.set_value("Shell", list(argv), words)

    def _set_words(self, step: kinds.Words, words: str) -> None:
        keyword, state = step.at.keyword, self.state
        if keyword == "EXPOSE":
            ports = [port for word in step.words for port in self._ports(step, word)]
            state.add_keys("ExposedPorts", ports, words)
        elif keyword == "VOLUME":
            state.add_keys("Volumes", [self.expand(step, word) for word in step.words], words)
        elif keyword == "USER":
            state.set_value("User", self.expand(step, step.words[0]), words)
        elif keyword == "STOPSIGNAL":
            name = self.expand(step, step.words[0])
            from core.containers.signals import number_of

            try:
                number_of(name)
            except ValueError as error:
                raise self._at(step, str(error)) from None
            state.set_value("StopSignal", name, words)
        elif keyword == "MAINTAINER":
            state.set_author(step.words[0], words)

    def _ports(self, step: Step, word: str) -> list[str]:
        found = []
        for text in expand_words(word, self._seen(), self._escape):
            ports, _, protocol = text.partition("/")
            first, dash, last = ports.partition("-")
            last = last if dash else first
            protocol = protocol.lower() or "tcp"
            if not (
                first.isdecimal() and last.isdecimal() and len(ports) <= len("65535-65535")
                and 0 < int(first) <= int(last) < 65536
                and protocol in ("tcp", "udp", "sctp")
            ):  # fmt: skip
                raise self._at(step, f"{text!r} is no port such as 80, 53/udp or 8000-8010")
            found += [f"{port}/{protocol}" for port in range(int(first), int(last) + 1)]
        return found

    def _seen(self) -> Mapping[str, str]:
        return {"PATH": PATH, **self.variables.seen(self.state.env)}

    def expand(self, step: Step, text: str) -> str:
        """Return a word of an instruction with its variables put in."""
        return expanded(self._source, step, text, self._seen(), self._escape)

    def expand_document(self, step: Step, text: str) -> str:
        """Return a here-document with its variables put in."""
        try:
            return expand_document(text, self._seen(), self._escape)
        except WordError as error:
            raise self._at(step, str(error)) from None

    def _at(self, step: Step, text: str, hint: str = "") -> Error:
        """Return an error that points at an instruction."""
        error = self._source.error(
            *step.at.place(-step.at.offset), text, width=len(step.at.keyword)
        )
        if hint:
            error.hint += f"\n{hint}"
        return error

    # -- instructions that make layers -----------------------------------------------

    def _workdir(self, step: kinds.Words, board: StepBoard, number: int) -> None:
        path = self.state.below(self.expand(step, step.words[0])).rstrip("/") or "/"
        user = self.state.user
        parts = {"kind": "workdir", "below": self.state.chain, "command": path, "user": user}
        actions = [{"kind": "mkdir", "path": path, "chown": user}]
        self._layer(
            step, board, number, parts, lambda: self._fill(actions, board),
            words=f"WORKDIR {path}",
        )  # fmt: skip
        self.state.settings["WorkingDir"] = path

    def _run(self, step: kinds.Run, board: StepBoard, number: int) -> None:
        from core.build.run.running import RunPlan

        plan = RunPlan(self._builder, self, step, board)
        self._layer(step, board, number, plan.parts(), plan.execute, words=plan.words())

    def _copy(self, step: kinds.Copy, board: StepBoard, number: int) -> None:
        from core.build.copy.copy_step import CopyPlan

        sources = [self.expand(step, word) for word in step.sources]
        target = self.expand(step, step.target)
        try:
            check_mode(self.expand(step, step.chmod))
        except ValueError as error:
            raise self._at(step, str(error)) from None
        plan = CopyPlan(
            self._builder, self, step, sources, self.state.below(target),
            chown=self.expand(step, step.chown), chmod=self.expand(step, step.chmod),
            checksum=self.expand(step, step.checksum),
            exclude=tuple(self.expand(step, word) for word in step.exclude),
        )  # fmt: skip
        parts = plan.parts(board)
        self._layer(
            step, board, number, parts,
            lambda: self._fill(plan.actions(board), board, link=plan.alone),
            words=step.at.shown, reliable=plan.reliable, by_content=plan.content_parts,
        )  # fmt: skip

    def _layer(
        self,
        step: Step,
        board: StepBoard,
        number: int,
        parts: dict[str, Any],
        make: Callable[[], str],
        *,
        words: str,
        reliable: Callable[[], bool] = lambda: True,
        by_content: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _: None,
    ) -> None:
        """Add what a step comes to: from the cache, or from the directory that `make` returns.

        `by_content` gives parts of another key that may be known when the first is not.
        """
        builder = self._builder
        if builder.options.timestamp is not None:
            parts["newest"] = builder.options.timestamp
        key = make_key(parts)
        builder.check()
        hit = None if builder.options.no_cache else builder.cache.find(key)
        place = f"{builder.identity}\0{self.stage.title}\0{number}"
        other = ""
        if hit is None and not builder.options.no_cache:
            more = by_content(parts)
            other = make_key(more) if more else ""
            hit = builder.cache.find(other) if other else None
            if hit is not None:
                builder.cache.keep(key, hit.layer, step.at.shown, place, parts, hit.created)
        if hit is not None:
            builder.board.end(board, states.CACHED)
            builder.used(key)
            self.state.add_layer(hit.layer, key, words, hit.created)
            return
        why = "--no-cache" if builder.options.no_cache else builder.cache.why(place, parts)
        with builder.slots:
            builder.check()
            builder.board.start(board, builder.explain(why))
            layer = builder.pack(make(), board)
        if reliable():
            created = builder.cache.keep(key, layer, step.at.shown, place, parts)
            if other:
                builder.cache.keep(other, layer, step.at.shown, "", {}, created)
        else:
            import time

            builder.board.say(board, "files changed while they were copied: kept out of the cache")
            created = time.time()
        self.state.add_layer(layer, key, words, created)
        builder.board.end(board, states.DONE)

    def _fill(self, actions: list[dict[str, Any]], board: StepBoard, *, link: bool = False) -> str:
        """Do actions upon the stage's files; returns the directory that holds what is new."""
        from core.build.filling import fill

        home = self._builder.home.place()
        lower = [] if link else [str(layer) for layer in self._builder.lower(self.state.layers)]
        job = {"layers": self._builder.paths.layers, "scratch": home, "lower": lower,
               "actions": actions}  # fmt: skip
        answer = fill(
            job, self._builder.check,
            lambda done: self._builder.board.progress(
                board, done, 0, f"{done} file{'s' * (done != 1)}"),
        )  # fmt: skip
        self._builder.changed_files(answer["changed"])
        return f"{home}/upper"


def located(name: str, step: Step, message: str) -> str:
    """Return a message with FILE:LINE: in front, unless it says that already."""
    return message if message.startswith(f"{name}:") else f"{name}:{step.at.line}: {message}"


def shown_step(step: Step) -> bool:
    """Return whether an instruction is a step of its own on the board."""
    return isinstance(step, kinds.Run | kinds.Copy) or step.at.keyword == "WORKDIR"
