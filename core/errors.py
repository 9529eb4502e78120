"""Every failure a user can meet, and what each kind means to the caller.

    Error                     message, hint, subject; exit 1
    |- UsageError             the words do not fit the grammar; exit 2
    |- ConfigError            a configuration file is wrong
    |- NotFound               exit 3
    |- Conflict               a name or an object is taken; exit 4
    |- InUse                  something still needs it; exit 4
    |- HostError              the kernel or the host refused
    |  |- NotPermitted        a privilege is missing
    |  `- NotSupported        the host lacks a feature
    |- ImageError             an image's content is wrong
    |  |- Corrupt             bytes do not match their digest, or do not parse
    |  |- UnsupportedMedia    a media type we do not know
    |  `- UnsafePath          an entry reaches outside the image
    |- RegistryError          a registry answered with an error
    |  |- Unauthorized        credentials are missing or refused
    |  |- RateLimited         come back at `reset_at`
    |  |- Unreachable         no answer
    |  `- ProtocolError       the answer makes no sense
    |- RunError               a container did not start; exit 125, 126 or 127
    |- BuildError             a step of a build failed; exit as its program's
    `- Cancelled              the user stopped it; exit 130

A class exists only where some caller does something different with it.  A bug is not an
`Error`: it passes through, and the front end says so.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


FREE_SPACE = "free some space: limpet system df, limpet image prune, limpet trash empty"

MEND_LAYERS = "limpet image fsck --repair mends what is missing"


class Error(Exception):
    """A failure with a cause and, wherever there is one, the next command to type."""

    code: ClassVar[str] = "error"
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "", subject: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.subject = subject


class UsageError(Error):
    """The words do not fit the grammar."""

    code = "usage"
    exit_code = 2


class ConfigError(Error):
    """A configuration file cannot be used; the message names file, key and reason."""

    code = "config"


class NotFound(Error):
    """The named thing does not exist."""

    code = "not-found"
    exit_code = 3


class Conflict(Error):
    """The name is taken, or the object is in a state that forbids the request."""

    code = "conflict"
    exit_code = 4


class InUse(Error):
    """Something else still needs the object."""

    code = "in-use"
    exit_code = 4


class HostError(Error):
    """The kernel or the host refused; `errno` is the system call's."""

    code = "host"

    def __init__(self, message: str, *, hint: str = "", subject: str = "", errno: int = 0) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.errno = errno


def disk_error(error: OSError) -> HostError | None:
    """Return what a disk that is full, broken or read-only comes to; None for anything else.

    Any write can meet it, so it is told in one place, where a command ends.
    """
    import errno

    hint = {
        errno.ENOSPC: FREE_SPACE,
        errno.EDQUOT: FREE_SPACE,
        errno.EIO: "the disk did not do it, the kernel's log says why: dmesg | tail",
        errno.EROFS: "the file system is mounted read-only: findmnt says where",
    }.get(error.errno or 0)
    if hint is None:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return HostError(f"{where}{error.strerror}", hint=hint, errno=error.errno or 0)


def text_error(error: UnicodeEncodeError) -> UsageError:
    """Return what a word comes to that holds bytes which are no UTF-8, where text is needed.

    Paths may hold them, names and whatever is stored or sent may not.  Python keeps such a byte
    as half a surrogate pair (PEP 383).  Told in one place, where a command ends.
    """
    before, after = error.object[: error.start], error.object[error.start :]
    word = before.rpartition('"')[2][-40:] + after.partition('"')[0][:40]  # within JSON, too
    return UsageError(
        f"{word!r} is not text in UTF-8", hint="locale says which encoding this terminal is in"
    )


class NotPermitted(HostError):
    """A privilege is missing."""

    code = "not-permitted"


class NotSupported(HostError):
    """The host lacks a feature."""

    code = "not-supported"


class ImageError(Error):
    """An image's content is wrong."""

    code = "image"


class Corrupt(ImageError):
    """Bytes do not match their digest, or do not parse."""

    code = "corrupt"


class UnsupportedMedia(ImageError):
    """A media type or compression we do not know."""

    code = "unsupported-media"


class UnsafePath(ImageError):
    """A layer entry reaches outside the image."""

    code = "unsafe-path"


class RegistryError(Error):
    """A registry answered with an error; `status` is the HTTP status, 0 for none."""

    code = "registry"

    def __init__(self, message: str, *, hint: str = "", subject: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.status = status


class Unauthorized(RegistryError):
    """Credentials are missing or refused."""

    code = "unauthorized"


class RateLimited(RegistryError):
    """The registry asks us to wait until `reset_at` (seconds since the epoch, 0 unknown)."""

    code = "rate-limited"

    def __init__(
        self, message: str, *, reset_at: float = 0, hint: str = "", subject: str = ""
    ) -> None:
        super().__init__(message, hint=hint, subject=subject, status=429)
        self.reset_at = reset_at


class Unreachable(RegistryError):
    """No answer: name, connection, TLS or time-out."""

    code = "unreachable"


class ProtocolError(RegistryError):
    """The answer does not follow the distribution spec."""

    code = "protocol"


class RunError(Error):
    """A container or an exec did not start; exit code as docker gives it (125, 126, 127)."""

    code = "run"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", exit_code: int = 125
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.exit_code = exit_code


class PortTaken(RunError):
    """A port that was free when it was looked at is somebody else's by now."""


class BuildError(Error):
    """A step of a build failed; the exit code is that of its program, if one ran."""

    code = "build"

    def __init__(
        self, message: str, *, hint: str = "", subject: str = "", exit_code: int = 1
    ) -> None:
        super().__init__(message, hint=hint, subject=subject)
        self.exit_code = exit_code


class Cancelled(Error):
    """The user stopped the operation."""

    code = "cancelled"
    exit_code = 130
