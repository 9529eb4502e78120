"""Stops the app, as ctrl-z stops any program: the shell has the terminal until it says fg."""

from __future__ import annotations

import os
import signal


def shell_waits() -> bool:
    """Tell whether a shell sees that this process has stopped, and can have it go on.

    Its jobs are process groups of its own session.  What leads a session, as below sshd or in a
    pane of tmux that has nothing else, would stand still for ever.
    """
    parent = os.getppid()
    try:
        return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()
    except OSError:  # it has ended just now
        return False


def stop() -> None:
    """Stand still until somebody has this process go on."""
    os.kill(os.getpid(), signal.SIGSTOP)
