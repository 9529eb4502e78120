"""ADD of a URL: one file, fetched over HTTP, its checksum compared."""

from __future__ import annotations

import hashlib
import http.client
import os
import posixpath
import urllib.error
import urllib.parse
import urllib.request

from core.build.copy.selection import SelectionError
from core.errors import BuildError, Unreachable, disk_error
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 256 << 10
TIMEOUT_S = 60


class Download(Record):
    """A fetched file."""

    path: str
    name: str
    """As the URL calls it; empty where it names none."""
    digest: str


def download(
    url: str,
    folder: str,
    checksum: str,
    check: Callable[[], None],
    progress: Callable[[int, int], None],
) -> Download:
    """Fetch a file into a directory, mode 0600, with the time the server gives it.

    Raises Unreachable or BuildError, naming the URL; SelectionError for another checksum;
    HostError for a disk that is full.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "limpet"})  # noqa: S310
    summer = hashlib.sha256()
    path = f"{folder}/file"
    try:
        with (
            urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer,  # noqa: S310
            open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        ):
            total = int(answer.headers.get("Content-Length") or 0)
            when = answer.headers.get("Last-Modified")
            done = 0
            while part := answer.read(CHUNK):
                check()
                summer.update(part)
                file.write(part)
                done += len(part)
                progress(done, total)
            if total and done != total:
                raise Unreachable(f"{url}: cut off after {done} of {total} bytes")
    except urllib.error.HTTPError as error:
        error.close()  # it is the answer, and holds the connection
        raise BuildError(f"{url}: {error.code} {error.reason}", subject=url) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and (full := disk_error(error)):
            raise full from error
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise Unreachable(f"{url}: {reason}", subject=url) from error
    digest = f"sha256:{summer.hexdigest()}"
    if checksum and checksum != digest:
        raise SelectionError(f"{url} has the digest {digest}, not {checksum}")
    _set_time(path, when)
    name = posixpath.basename(urllib.parse.urlsplit(url).path)
    return Download(path, urllib.parse.unquote(name), digest)


def _set_time(path: str, when: str | None) -> None:
    from email.utils import parsedate_to_datetime

    try:
        seconds = parsedate_to_datetime(when).timestamp() if when else 0.0
    except ValueError:
        seconds = 0.0
    os.utime(path, (seconds, seconds))
