"""A network for containers of an ordinary user: pasta(1) carries what they send.

It copies between a device in the container's namespace and ordinary sockets of the user's,
so it needs no privilege.  It belongs to one monitor and ends with it.  Containers reach each
other over bridges (`core.network.rootless.user_bridges`), which lead nowhere else.
"""

from __future__ import annotations

import _signal
import os

from core.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ADDRESS, PREFIX, GATEWAY, NAME_SERVER = "10.0.2.100", 24, "10.0.2.2", "10.0.2.3"
"""The same in every container: each is alone in this network."""
SUBNET, DEVICE = "10.0.2.0/24", "eth0"
FOLDERS = ("/usr/bin", "/usr/local/bin", "/bin")


def program() -> str:
    """Return the path of pasta, "" when this host has none."""
    paths = (f"{folder}/pasta" for folder in FOLDERS)
    return next((path for path in paths if os.access(path, os.X_OK)), "")


def arguments(path: str, ports: Sequence[tuple[str, int, int, str]]) -> list[str]:
    """Return the command line, but for the namespace; ports as `ports.publishing` has them."""
    words = [path, "--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw",
             "--address", ADDRESS, "--netmask", str(PREFIX), "--gateway", GATEWAY,
             "--dns-forward", NAME_SERVER, "--ns-ifname", DEVICE,
             "--tcp-ns", "none", "--udp-ns", "none"]  # fmt: skip
    for kind, option in (("tcp", "--tcp-ports"), ("udp", "--udp-ports")):
        mine = [f"{ip}/{host}:{inner}" for ip, host, inner, protocol in ports if protocol == kind]
        for spec in mine or ["none"]:
            words += [option, spec]
    return words


def end(pid: int, wait: Callable[[int], object]) -> None:
    """End a pasta that is there, and return when its ports are free; `wait` reaps it."""
    os.kill(pid, _signal.SIGKILL)  # it has nothing to put in order
    wait(pid)


def start(words: Sequence[str], pid: int, fork: Callable[[], int]) -> int:
    """Start pasta for the network namespace of a process, and return its PID once it is ready.

    It ends with the parent that `fork` gives it.  Raises OSError with what it said when it cannot.
    """
    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    ready_read, ready_write = os.pipe()
    said_read, said_write = os.pipe()
    child = fork()
    if child == 0:
        try:
            # Set before it gives up what lets it be: it must not outlive the monitor.
            process.prctl(process.PR_SET_PDEATHSIG, _signal.SIGTERM)
            _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)  # it takes an ignored one for an error
            _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
            # Later versions close what they inherit but for the first three.
            for fd, place in ((space, 0), (ready_write, 1), (said_write, 2)):
                os.dup2(fd, place)
            own = ["--netns", "/proc/self/fd/0", "--pid", "/proc/self/fd/1"]
            os.execv(words[0], [*words, *own])  # noqa: S606 - no shell is the point
        finally:
            os._exit(127)
    for fd in (space, ready_write, said_write):
        os.close(fd)
    try:
        if os.read(ready_read, 32):
            return child
        said = os.read(said_read, 4096).decode("utf-8", "replace").strip()
    finally:
        os.close(ready_read)
        os.close(said_read)
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass  # its parent does
    raise OSError(0, f"pasta: {said.splitlines()[-1] if said else 'it ended at once'}")
