"""The life of containers, from create to rm.

Every change of one container is made under its lock; the state it is in is written by its
monitor alone, or by a repair when the monitor is gone.
"""

from __future__ import annotations

import time

from core.containers import networking, repair, state, stored
from core.containers.attach.session import Session, connect, load_relay, read_exit
from core.containers.configuration.options import ContainerOptions
from core.containers.looking import Looking
from core.containers.starter import not_running
from core.containers.stored import Lock, Row
from core.containers.supervision import protocol
from core.errors import Conflict, NotFound
from core.model import ContainerInfo
from core.privileges import require_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.containers import creation
    from core.containers.log.blocks import Block, Line
    from core.trash_bin import Bin


class Containers(Looking):
    """All containers of this host.  Safe to share between threads."""

    def close(self) -> None:
        """End the spawner, if there is one; containers go on."""
        self._launcher.close()

    # -- making ----------------------------------------------------------------------

    def create(self, options: ContainerOptions) -> str:
        """Make a container of a local image and return its ID.

        Raises NotFound for the image, Conflict for a taken name, UsageError or RunError
        for options that make no sense.
        """

        from core.containers import creation, starting

        require_root("making a container")
        made = self._prepare(options)
        container_id = made.row.id
        try:
            starting.make_directories(self._paths, container_id)
            creation.insert(self._database, made)
        except BaseException:
            # An interrupt may come when it is stored already.
            if not stored.is_known(self._database, container_id):
                from core.containers.removal import remove_tree

                if stored.is_there(self._paths, container_id):
                    remove_tree(self._paths.container(container_id))
            raise
        return container_id

    def dry_run(self, options: ContainerOptions) -> Sequence[str]:
        """Return the steps of a `run`, one line each, and do nothing."""
        from core.containers import starting
        from core.containers.runtime import plan

        made = self._prepare(options)
        row = made.row
        made_of = starting.make_plan(
            self._paths, row, made.spec, self._images().lowerdirs(row.image_digest),
            {"mode": row.document["network"].partition(":")[0], "ports": [], "attachments": []},
            self._starter.peers(made.spec), volatile=options.auto_remove,
        )  # fmt: skip
        return plan.show(plan.make_launch(**made_of, host=plan.this_host()))

    def _prepare(self, options: ContainerOptions) -> creation.Draft:
        from core.containers import creation

        network = options.network or self._config["container", "network"]
        image = self._images().resolve(options.image)
        image_config = self._images().config(image.digest)
        checked = networking.check(self._database, self._network, options.replace(network=network))
        return creation.draft(self._paths, self._config, checked, image.digest, image_config)

    def rename(self, reference: str, name: str) -> None:
        """Give a container another name; Conflict when it is taken."""

        from core.containers import creation

        row = stored.find(self._database, reference)
        with Lock(self._paths, row.id):
            row = stored.find(self._database, row.id)
            creation.rename(self._database, row, name)
            self._network.renamed(row.id, row.name, name)

    # -- starting --------------------------------------------------------------------

    def run(self, options: ContainerOptions) -> Session:
        """Create and start a container in the foreground; no output is lost.

        A container that is to be removed at its end is so before `Session.relay` returns.
        """
        return self._start_foreground(stored.find(self._database, self.create(options)))

    def start(self, reference: str) -> None:
        """Start a container in the background; nothing happens when it runs already.

        One that waits for its next run does not wait any longer.  Raises RunError with
        docker's exit code when the program cannot be run; one that was to be removed at its
        end is so then.
        """
        self._start(stored.find(self._database, reference), -1)

    def _start(self, row: Row, owner: int) -> None:
        try:
            self._starter.start(row, owner)
        except Exception:
            # One that ran before holds what its killed monitor could not remove any more.
            if row.options.auto_remove and not self._state(row.id).started:
                self.rm(row.id)
            raise

    def start_attached(self, reference: str, *, stdin: bool = False) -> Session:
        """Start a container in the foreground, or join it when it runs already."""
        row = stored.find(self._database, reference)
        if self._state(row.id).state in state.ALIVE:
            return self.attach(reference)
        return self._start_foreground(row, stdin=stdin)

    def _start_foreground(self, row: Row, *, stdin: bool = True) -> Session:
        ours, theirs = protocol.pair()
        try:
            with protocol.Closing(theirs):
                self._start(row, theirs.fileno())
        except Exception:
            ours.close()
            raise
        except BaseException:
            from core.containers import ending

            ending.abandon(ours)  # whoever interrupts this does not want it to go on
            raise
        options = row.options
        ended = (lambda: self._remove_ended(row)) if options.auto_remove else None
        return Session(ours, tty=options.tty, stdin=stdin and options.stdin_open, ended=ended)

    # -- joining ---------------------------------------------------------------------

    def attach(self, reference: str) -> Session:
        """Join a running container's stdio.  Raises Conflict when it does not run."""
        row = stored.find(self._database, reference)
        channel = connect(self._paths.container_run(row.id))
        if channel is None:
            raise not_running(row)
        try:
            channel.send(bytes((protocol.ATTACH,)))
        except (BrokenPipeError, ConnectionResetError):
            channel.close()
            raise not_running(row) from None
        options = row.options
        return Session(channel, tty=options.tty, stdin=options.stdin_open)

    def exec(
        self,
        reference: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        env: Sequence[str] = (),
        workdir: str = "",
        user: str = "",
        privileged: bool = False,
        detach: bool = False,
    ) -> Session:
        """Run one more program in a running container.

        It ends when the session is closed, unless `detach`.  Raises Conflict when the
        container does not run, RunError with docker's exit code when the program cannot be.
        """
        from core.containers import starting

        require_root("entering a container")
        row = stored.find(self._database, reference)
        found = self._state(row.id)
        if found.state != state.RUNNING:
            raise not_running(row, found.state)
        spec = stored.spec_of(self._database, row.id)
        plan = {
            "spec": spec, "pid": found.pid, "ticks": found.ticks, "container_id": row.id,
            "argv": tuple(argv), "env": tuple(env), "cwd": workdir, "user": user, "tty": tty,
            "privileged": privileged, "seccomp": starting.seccomp_filter(self._paths, spec),
        }  # fmt: skip
        size = starting.terminal_size() if tty else (0, 0)
        job = {"plan": plan, "stdin": stdin, "size": size}
        ours, theirs = protocol.pair()
        try:
            with protocol.Closing(theirs):
                owner = -1 if detach else theirs.fileno()
                self._launcher.launch("exec", job, owner, meanwhile=load_relay)
        except BaseException:
            ours.close()
            raise
        return Session(ours, tty=tty, stdin=stdin)

    def logs(
        self,
        reference: str,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float = 0,
        until: float = 0,
        timestamps: bool = False,
        grep: str = "",
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, bytes]]:
        """Return (1 for stdout or 2 for stderr, text) for what the container wrote.

        `follow` goes on until the container ends, or for at most a second after `stopped()`
        is true.  Times are seconds since the epoch.  With a regular expression `grep`, only
        lines in which it is found; `tail` counts those.  Raises Conflict when the container
        keeps no log.
        """
        from core.containers.log.source import read

        row = stored.find(self._database, reference)

        def running() -> bool:
            over = stopped() or (until and time.time() > until)
            return not over and self._state(row.id).state in state.ALIVE

        return read(
            row, self._paths.container(row.id), running if follow else None,
            tail=tail, since=since, until=until, timestamps=timestamps, grep=grep,
        )  # fmt: skip

    def log_blocks(
        self, reference: str, *, tail: int, stopped: Callable[[], bool]
    ) -> Iterator[Block | list[Line]]:
        """Follow what the container writes, with times, after the last `tail` lines.

        As `logs` with `follow`, but many lines at a time, which are taken apart only where
        somebody looks.
        """
        from core.containers.log.source import follow_blocks

        row = stored.find(self._database, reference)

        def running() -> bool:
            return not stopped() and self._state(row.id).state in state.ALIVE

        return follow_blocks(row, self._paths.container(row.id), running, tail=tail)

    # -- ending ----------------------------------------------------------------------

    def wait(self, reference: str) -> int:
        """Wait until a container does not run and return its exit code."""
        row = stored.find(self._database, reference)
        while True:
            channel = connect(self._paths.container_run(row.id))
            if channel is not None:
                with protocol.Closing(channel):
                    code = read_exit(channel)
                if code is not None:
                    return code
            found = self._state(row.id)
            if found.state not in state.ALIVE:
                return found.exit_code
            time.sleep(0.01)  # its monitor is between closing the socket and the last word

    def stop(
        self, reference: str, timeout: int = -1, signal: int = 0, *, by_host: bool = False
    ) -> None:
        """Ask a container to end, and kill it after `timeout` seconds (-1: its own, or the
        configured time).  Nothing happens when it does not run.

        `signal` 0: the container's own.  No restart policy starts it again; `by_host`: until
        the host's next start.
        """
        from core.containers import ending

        row = stored.find(self._database, reference)
        seconds = next(number for number in (
            timeout, row.options.stop_timeout_s, self._config["container", "stop_timeout_s"],
        ) if number >= 0)  # fmt: skip
        spec = stored.spec_of(self._database, row.id)
        stays = False
        while not stays:
            ending.stop(
                self._paths, row, self._state(row.id), spec, seconds,
                protocol.BY_HOST if by_host else protocol.BY_PERSON, signal,
            )  # fmt: skip
            stays = self._stays_stopped(row)

    def _stays_stopped(self, row: Row) -> bool:
        """Leave a container stopped whose monitor was killed before or meanwhile.

        False when somebody who looked was quicker, and has started it again.
        """
        if not self._state(row.id).wanted:
            return True
        with Lock(self._paths, row.id):
            found = repair.locked_state(self._paths, self._network, row.id)
            if repair.is_abandoned(found):
                kept = found.replace(wanted=False, stopped=True)
                state.write_state(self._paths.container(row.id), kept)
        return found.state not in state.ALIVE

    def kill(self, reference: str, signal: int = 9) -> None:
        """Send a signal to a container's first process; after SIGKILL wait for its end.

        After SIGKILL or the container's own stop signal no restart policy starts it again.
        Raises Conflict when it does not run.
        """
        from core.containers import ending
        from core.containers.signals import number_of

        row = stored.find(self._database, reference)
        found = self._state(row.id)
        if found.state not in state.ALIVE:
            raise not_running(row, found.state)
        own = stored.spec_of(self._database, row.id)["annotations"]["limpet.stop-signal"]
        ending.send(self._paths, row, signal, stop=signal == number_of(own))
        while signal == ending.SIGKILL and not self._stays_stopped(row):
            ending.send(self._paths, row, signal)

    def pause(self, reference: str) -> None:
        """Freeze all processes of a container; Conflict when it does not run."""
        self._freeze(reference, frozen=True)

    def unpause(self, reference: str) -> None:
        """Thaw a container; Conflict when it is not paused."""
        self._freeze(reference, frozen=False)

    def _freeze(self, reference: str, *, frozen: bool) -> None:
        from core.containers import ending

        row = stored.find(self._database, reference)
        found = self._state(row.id)
        if found.state != (state.RUNNING if frozen else state.PAUSED):
            raise not_running(row, found.state, "running" if frozen else "paused")
        ending.freeze(self._paths, row, frozen=frozen)

    def check_removable(self, found: Sequence[ContainerInfo], *, force: bool) -> None:
        """Raise Conflict naming the containers that run, unless they are to be killed."""
        running = [info.name for info in found if info.state in state.ALIVE]
        if running and not force:
            names = " ".join(running)
            raise Conflict(
                f"still running: {', '.join(running)}",
                subject=running[0],
                hint=f"limpet stop {names} first, or limpet rm -f {names}",
            )

    def rm(self, reference: str, *, force: bool = False, bin_: Bin | None = None) -> None:
        """Remove a container and what it wrote; Conflict when it runs and not `force`.

        It goes into the bin, if there is one, and can be brought back from there.
        """
        from core.containers import ending
        from core.containers.removal import remove_container, remove_rest

        row = stored.find(self._database, reference)
        if not stored.is_there(self._paths, row.id) and remove_rest(
            self._paths, self._database, self._network, row.id
        ):
            return
        with Lock(self._paths, row.id):
            found = repair.locked_state(self._paths, self._network, row.id)
            if found.state in state.ALIVE:
                self.check_removable([self._info(row)], force=force)
                ending.send(self._paths, row, ending.SIGKILL)
                repair.locked_state(self._paths, self._network, row.id)
            remove_container(self._paths, self._database, self._network, row.id, bin_)

    def _remove_ended(self, row: Row) -> None:
        """Remove a container at its end; its monitor waits for that, and removes the files."""
        from core.containers.removal import remove_container

        try:
            with Lock(self._paths, row.id):
                found = repair.locked_state(self._paths, self._network, row.id)
                if found.state not in state.ALIVE:  # nobody has started it again
                    remove_container(self._paths, self._database, self._network, row.id, aside=True)
        except NotFound:
            pass  # somebody else has removed it
