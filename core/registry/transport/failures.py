"""What went wrong between us and a registry, in words that name the cause."""

from __future__ import annotations

import errno
import socket
import time
from urllib.parse import urlsplit

from core.errors import ProtocolError, RateLimited, Unreachable
from core.registry.transport.quota import duration, reset_at
from core.registry.transport.response import CutShort, HttpError, NoAnswer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.registry.transport.http import Answer

ERROR_BODY = 64 << 10
CAUSE_MAX = 200


def unreachable(error: Exception, url: str, subject: str) -> Unreachable:
    """Return the error for a connection to `url` that broke; `subject` is the registry."""
    place = urlsplit(url).netloc
    via = "" if place == subject else f" (at {place})"
    cause, hint = _explain(error, subject)
    return Unreachable(f"{subject}{via}: {cause}", hint=hint, subject=subject)


def server_failed(answer: Answer, subject: str) -> Unreachable:
    """Return the error for a 5xx answer."""
    return Unreachable(
        f"{subject}: the server fails: {describe_answer(answer)}",
        hint="try again later",
        subject=subject,
        status=answer.status,
    )


def rate_limited(answer: Answer, subject: str) -> RateLimited:
    """Return the error for a 429 answer, with the time to come back if the server tells it."""
    again = reset_at(answer)
    wait = f"; it may be asked again in {duration(again - time.time())}" if again else ""
    return RateLimited(
        f"{subject}: too many requests: {describe_answer(answer)}{wait}",
        reset_at=again,
        hint=f"limpet login {subject} raises the limit at some registries",
        subject=subject,
    )


def is_final(error: Exception) -> bool:
    """Return whether the same request would meet the same end again at once."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError | ConnectionRefusedError):
        return True
    if isinstance(error, socket.gaierror):
        return error.errno != socket.EAI_AGAIN
    return isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def speaks_no_tls(error: Exception) -> bool:
    """Return whether the other side answered a TLS handshake with something else."""
    import ssl

    cause = error.__cause__
    return isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER"


def describe_answer(answer: Answer) -> str:
    """Return the status and what the registry says about it; reads the body and closes it.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes
    """
    import json

    status = f"HTTP {answer.status}"
    try:
        document = json.loads(answer.read_all(ERROR_BODY))
        first = document["errors"][0]
        text = first.get("message") or first["code"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return status
    except (OSError, HttpError, ProtocolError):
        return status
    finally:
        answer.close()
    return f"{printable(str(text))} ({status})"


def printable(text: str) -> str:
    """Return what a server sent as one line that is safe on a terminal."""
    line = "".join(c if c.isprintable() else " " for c in text[: CAUSE_MAX + 1]).strip()
    return line if len(line) <= CAUSE_MAX else line[: CAUSE_MAX - 1] + "…"


def _explain(error: Exception, subject: str) -> tuple[str, str]:
    import ssl

    if isinstance(error, socket.gaierror):
        return (
            f"the name cannot be resolved ({error.strerror})",
            "check the name and the host's DNS",
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}",
            f"put its authority into /etc/limpet/certs.d/{subject}/ca.crt, or name it in "
            "registry.ca_file of config.toml",
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"TLS fails: {error.reason or error.strerror or error}",
            f"a registry without TLS is named in config.toml: registry.insecure = [{subject!r}]",
        )
    if isinstance(error, CutShort):
        missing = f" {error.missing} bytes" if error.missing else ""
        return f"the connection ended{missing} too early", "run the command again"
    if isinstance(error, NoAnswer):
        return "the connection was closed without an answer", "run the command again"
    if isinstance(error, HttpError):
        return f"the answer is not HTTP: {error}", "check the host and the port"
    if isinstance(error, OSError):
        text = error.strerror or str(error) or type(error).__name__
        return text[0].lower() + text[
            1:
        ], "limpet registry ls --probe shows which registries answer"
    return type(error).__name__, ""
