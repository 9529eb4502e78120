"""What a process of limpet's does to become a program in a container.

The same for a container's first process, one that enters it, and those of a bundle.
"""

from __future__ import annotations

import _signal
import os
import resource
import stat
import sys

from core.linux import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.containers.runtime import users


def forget_imports() -> None:
    """Take away every way to load a module: the image's files must never be run as ours."""
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()


def default_signals() -> None:
    """Take back what Python, nohup or a job in the background does to signals.

    Those that are ignored would stay so through execve, and a shell cannot trap them.
    """
    for number in _signal.valid_signals():
        if _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def take_stdio(stdio: tuple[int, int, int], uid: int) -> None:
    """Put descriptors on 0, 1 and 2, and give pipes to the user.

    A program that opens /dev/stdout opens the pipe again, and its mode is 0600.
    """
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            os.fchown(number, uid, -1)


def enter_directory(directory: str) -> None:
    """Change into a directory and prove that it lies inside the root (CVE-2024-21626)."""
    os.chdir(directory)
    if not os.getcwd().startswith("/"):
        raise OSError(2, "the working directory lies outside the container", directory)


def set_rlimits(rlimits: tuple[tuple[str, int, int], ...]) -> None:
    """Set resource limits; one above what limpet itself may have becomes that (setrlimit(2))."""
    for name, soft, hard in rlimits:
        number = getattr(resource, name)
        try:
            resource.setrlimit(number, (soft, hard))
        except ValueError:  # a hard limit raised without CAP_SYS_RESOURCE
            most = resource.getrlimit(number)[1]
            # Unlimited is -1.
            lower = most if soft < 0 or (most >= 0 and soft > most) else soft
            resource.setrlimit(number, (lower, most))


def take_identity(identity: users.Identity, bits: int) -> None:
    """Become a user; root keeps exactly the capabilities in `bits`."""
    os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    kept = bits if identity.uid == 0 else 0
    capabilities.capset(kept, kept, 0)


def with_home(environment: list[str], home: str) -> list[str]:
    """Return the environment with HOME, unless it is set."""
    if any(entry.startswith("HOME=") for entry in environment):
        return environment
    return [*environment, f"HOME={home}"]
