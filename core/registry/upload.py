"""Bringing blobs and manifests into a registry.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push

A blob goes in parts; the last one comes with the request that names the digest, so a blob
of one part takes two requests.  After a broken connection the registry is asked how far it
got.  The address of an upload is kept in a file, so that the next process can go on, too.
"""

from __future__ import annotations

from core.errors import NotFound, ProtocolError, RegistryError, Unreachable
from core.registry import upload_notes
from core.registry.transport.http import ATTEMPTS, backoff, join
from core.registry.transport.wire import FilePart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from core.images.manifest import Descriptor
    from core.registry.client import RegistryClient
    from core.registry.transport.http import Answer
    from core.registry.transport.wire import Body

    Report = Callable[[int, str], None]
    Check = Callable[[], None]
    Content = Callable[[int, int], Body]

PART = 64 << 20
"""Bytes a request: proxies bound them, and not every registry keeps what a broken one brought."""


def push_scope(path: str) -> str:
    """Return what must be allowed to write to a repository."""
    return f"repository:{path}:pull,push"


def has_blob(client: RegistryClient, path: str, digest: str) -> bool:
    """Ask whether a repository holds a blob."""
    what = f"blob {digest} of {client.host}/{path}"
    scope = push_scope(path)
    accepted = (200, 404)
    answer = client.ask("HEAD", f"{path}/blobs/{digest}", scope, what, accepted=accepted)
    answer.close()
    return answer.status == 200


def mount_blob(client: RegistryClient, path: str, digest: str, source: str) -> bool:
    """Let the registry take a blob over from its repository `source`; whether it did.

    A registry that does not has begun an upload instead, which is cancelled where it lets us.
    """
    scope = f"{push_scope(path)} repository:{source}:pull"
    target = f"{path}/blobs/uploads/?mount={digest}&from={source}"
    what = f"blob {digest} of {client.host}/{path}"
    answer = client.ask("POST", target, scope, what, accepted=(201, 202))
    answer.close()
    if answer.status == 202 and answer.header("Location"):
        location = join(answer.url, answer.header("Location"))
        try:
            accepted = (202, 204)
            client.ask(
                "DELETE", location, push_scope(path), what, accepted=accepted, attempts=1
            ).close()
        except (RegistryError, NotFound):
            pass  # docker's registry wants the right to delete for it; it forgets it by itself
    return answer.status == 201


def put_manifest(
    client: RegistryClient, path: str, reference: str, content: bytes, media_type: str
) -> str:
    """Store a manifest or index under a tag or its digest; what it names must be there.

    Returns the subject that the registry now lists it for, empty if it knows no referrers.
    """
    what = f"manifest {reference} of {client.host}/{path}"
    answer = client.ask(
        "PUT", f"{path}/manifests/{reference}", push_scope(path), what,
        (("Content-Type", media_type),), accepted=(201,), body=content,
    )  # fmt: skip
    answer.close()
    return answer.header("OCI-Subject")


class Upload:
    """One blob on its way into a repository: from a file, or as `content` gives (start, length).

    `note` is a file that keeps the upload's address until the blob is there; empty: none.
    `report` is told the bytes and a word; `check` may raise to give up.
    """

    def __init__(
        self,
        client: RegistryClient,
        path: str,
        descriptor: Descriptor,
        content: str | Content,
        report: Report,
        check: Check,
        note: str = "",
    ) -> None:
        self._client = client
        self._path = path
        self._digest = descriptor.digest
        self._size = descriptor.size
        self._content = _of_file(content) if isinstance(content, str) else content
        self._report = report
        self._check = check
        self._note = note
        self._what = f"blob {self._digest} of {client.host}/{path}"
        self._location = ""
        self._least = 0

    def run(self) -> None:
        """Return when the registry has the whole blob and has checked its digest.

        Raises what failed last after several failures without progress between them: what was
        sent once more, because the registry had lost it, is none.
        """
        done = most = self._resume() or self._begin()
        failures = 0
        while True:
            self._check()
            try:
                if self._is_last(done):
                    self._finish(done)
                    return
                done = self._send(done)
            except (Unreachable, _Lost) as error:
                failures += 1
                if failures >= ATTEMPTS:
                    raise error.cause if isinstance(error, _Lost) else error from None
                backoff(failures, self._check)
                if has_blob(self._client, self._path, self._digest):
                    upload_notes.forget(self._note)  # only its answer was lost
                    return
                done = self._status() or self._begin()
            if done > most:
                most, failures = done, 0

    def _is_last(self, done: int) -> bool:
        return self._size - done <= max(PART, self._least)

    def _begin(self) -> int:
        answer = self._ask("POST", f"{self._path}/blobs/uploads/", accepted=(202,))
        least = answer.header("OCI-Chunk-Min-Length")
        self._least = int(least[:12]) if least.isascii() and least.isdigit() else 0
        self._moved(answer)
        self._keep()
        return 0

    def _resume(self) -> int:
        """Return how far an earlier process got, 0 for not at all."""
        self._location = upload_notes.read(self._note)
        return self._status() if self._location else 0

    def _status(self) -> int:
        """Ask for the bytes that have arrived; 0 when the upload is lost."""
        try:
            answer = self._ask("GET", self._location, accepted=(204, 202))
        except (NotFound, ProtocolError):
            return 0
        last = answer.header("Range").removeprefix("bytes=").rpartition("-")[2]
        done = int(last[:18]) + 1 if last.isascii() and last.isdigit() else 0
        self._moved(answer)
        # 0-0 means one byte or none: not worth finding out.
        return done if 1 < done <= self._size else 0

    def _send(self, done: int) -> int:
        length = min(max(PART, self._least), self._size - done)
        span = ("Content-Range", f"{done}-{done + length - 1}")
        answer = self._carry("PATCH", self._location, done, length, (202,), (span,))
        self._moved(answer)
        self._keep()
        return done + length

    def _finish(self, done: int) -> None:
        length = self._size - done
        mark = "&" if "?" in self._location else "?"
        url = f"{self._location}{mark}digest={self._digest.replace(':', '%3A')}"
        span = (("Content-Range", f"{done}-{self._size - 1}"),) if done and length else ()
        self._carry("PUT", url, done, length, (201, 204), span).close()
        self._report(self._size, "uploading")
        upload_notes.forget(self._note)

    def _carry(
        self,
        method: str,
        url: str,
        done: int,
        length: int,
        accepted: tuple[int, ...],
        headers: tuple[tuple[str, str], ...],
    ) -> Answer:
        kind = (("Content-Type", "application/octet-stream"),)
        try:
            return self._ask(
                method, url, kind + headers, accepted, self._content(done, length),
                lambda sent: self._report(done + sent, "uploading"), 1,
            )  # fmt: skip
        except NotFound as error:
            raise _Lost(ProtocolError(error.message, subject=self._client.host)) from None
        except ProtocolError as error:
            if error.status in (416, 499):
                raise _Lost(error) from None
            if error.status == 400 and "digest" in error.message.lower():
                error.hint = "the local blob may be damaged: limpet image fsck --repair finds out"
            raise

    def _ask(
        self,
        method: str,
        target: str,
        headers: tuple[tuple[str, str], ...] = (),
        accepted: tuple[int, ...] = (200,),
        body: Body = b"",
        sent: Callable[[int], None] = lambda _: None,
        attempts: int = 0,
    ) -> Answer:
        answer = self._client.ask(
            method, target, push_scope(self._path), self._what, headers,
            accepted=accepted, body=body, sent=sent, attempts=attempts,
        )  # fmt: skip
        answer.close()
        return answer

    def _moved(self, answer: Answer) -> None:
        location = answer.header("Location")
        if location:
            self._location = join(answer.url, location)
        if not self._location:
            raise ProtocolError(
                f"{self._what}: the registry names no place to upload to",
                subject=self._client.host,
            )

    def _keep(self) -> None:
        """Note where the upload goes on, where starting over would cost something."""
        if self._note and self._size > PART:
            upload_notes.keep(self._note, self._location)


def _of_file(path: str) -> Content:
    return lambda start, length: FilePart(path, start, length)


class _Lost(Exception):
    """The registry no longer knows how far the upload got."""

    def __init__(self, cause: ProtocolError) -> None:
        super().__init__(cause)
        self.cause = cause
