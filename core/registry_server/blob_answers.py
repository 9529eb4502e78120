"""Answers about blobs: sent from their files, taken in one go, in parts, or from a neighbour."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

from aiohttp import web

from core.errors import Error
from core.images.digest import HEX_LENGTHS, is_digest
from core.registry_server.bodies import arriving
from core.registry_server.refusals import Refusal
from core.registry_server.targets import names_etag, parse_range, parse_span
from core.registry_server.uploads import Upload, is_upload_name, new_upload, upload_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from typing import BinaryIO, TypeVar

    from core.paths import Paths
    from core.registry_server.blobs import ServedBlobs
    from core.registry_server.repositories import Repositories
    from core.registry_server.targets import Target
    from core.registry_server.upstream import Upstream

    T = TypeVar("T")

SESSIONS = 1000
PIECE = 1 << 20
"""Bytes that are encrypted in one go: with less, most of the time goes into Python."""
FLUSH = 512 << 10
"""Bytes that are summed up and written in one go, while the next ones come."""


class BlobAnswers:
    """Answers about blobs and uploads; `sent` and `received` count their bytes."""

    def __init__(
        self,
        paths: Paths,
        repositories: Repositories,
        blobs: ServedBlobs,
        thread: Executor,
        upstream: Upstream | None,
        *,
        redirect: bool = False,
    ) -> None:
        self._redirect = redirect
        self._paths = paths
        self._repositories = repositories
        self._blobs = blobs
        self._thread = thread
        self._upstream = upstream
        self._uploads: dict[str, _Session] = {}
        self.sent = 0
        self.received = 0

    def close(self) -> None:
        """Let go of uploads; their files stay."""
        for session in self._uploads.values():
            session.upload.close()
        self._uploads.clear()

    async def get(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Send a blob, or the range of it that is asked for."""
        digest = target.reference
        if not await self._ask(self._repositories.has_blob, target.name, digest):
            if self._upstream:
                return await self._upstream.send_blob(request, target, self._ask)
            raise Refusal("BLOB_UNKNOWN", f"{target.name} has no blob {digest}")
        key, size = await self._ask(self._blobs.find, digest)
        response, start, length = describe_blob(request, digest, size)
        if request.method == "HEAD" or response.status == 304:
            return response
        if key:
            return await self._send_object(request, response, key, (start, length))
        with self._blobs.files.open(digest) as file:
            await response.prepare(request)
            if length:
                await _send(request, response, file, start, length)
        await response.write_eof()
        self.sent += length
        return response

    async def delete(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Take a blob out of a repository."""
        await self._ask(self._repositories.delete_blob, target.name, target.reference)
        return web.Response(status=202)

    async def begin(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Begin an upload, end it at once with its only part, or mount what is here."""
        if target.reference:
            raise Refusal("UNSUPPORTED", "an upload is begun at /blobs/uploads/")
        mounted = request.query.get("mount", "")
        if is_digest(mounted) and await self._ask(
            self._repositories.mount, target.name, mounted, request.query.get("from", "")
        ):
            return _created(target.name, mounted)
        algorithm = request.query.get("digest-algorithm", "sha256")
        digest = request.query.get("digest", "")
        if algorithm not in HEX_LENGTHS:
            raise Refusal("DIGEST_INVALID", f"{algorithm[:40]!r} is not an algorithm known here")
        if is_digest(digest):
            algorithm = digest.partition(":")[0]
        name = new_upload()
        bucket = self._blobs.bucket
        sending = bucket.upload(bucket.key(name)) if bucket else None
        session = _Session(Upload(upload_path(self._paths, name), algorithm, sending))
        await self._ask(self._repositories.begin_upload, name, target.name)
        self._remember(name, session)
        at = target.replace(reference=name)
        if digest:
            return await self._end(request, at, digest)
        return _progress(at, 0, 202)

    async def status(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Tell how far an upload got."""
        session = await self._session(target)
        return _progress(target, session.upload.size, 204)

    @asynccontextmanager
    async def _alone(self, target: Target) -> AsyncIterator[Upload]:
        """Give an upload to one request at a time; Refusal when the one before has ended it."""
        session = await self._session(target)
        session.waiting += 1
        try:
            async with session.lock:
                if session.over:
                    raise _no_upload(target)
                try:
                    yield session.upload
                finally:
                    session.upload.close()  # thousands may be begun: no descriptor for each
        finally:
            session.waiting -= 1

    async def patch(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Take one more part."""
        async with self._alone(target) as upload:
            _check_span(request, target, upload.size)
            await self._receive(request, upload)
            size = upload.size
        return _progress(target, size, 202)

    async def put(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Take the last part, which may be empty, and check the digest of the whole."""
        return await self._end(request, target, request.query.get("digest", ""))

    async def cancel(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Throw an upload away."""
        async with self._alone(target) as upload:
            await self._forget(target.reference, upload)
            upload.cancel()
        return web.Response(status=204)

    async def _end(self, request: web.BaseRequest, target: Target, digest: str) -> web.Response:
        async with self._alone(target) as upload:
            if not is_digest(digest):
                raise Refusal("DIGEST_INVALID", f"{digest[:200]!r} is not a digest")
            _check_span(request, target, upload.size)
            await self._receive(request, upload)
            await self._ask(self._repositories.expect_blob, digest)
            await self._place(target.reference, upload, digest)
            await self._ask(self._repositories.add_blob, target.name, digest)
        return _created(target.name, digest)

    async def _place(self, name: str, upload: Upload, digest: str) -> None:
        """Make an upload a blob, a file or an object; its session ends in either case."""
        size = upload.size
        is_here = bool(upload.sending) and await self._ask(self._blobs.touch, digest)
        kept = False
        try:
            kept = await asyncio.to_thread(
                upload.finish, self._blobs.files, digest, is_here=is_here
            )
            if kept and upload.sending:
                await self._ask(self._blobs.add_object, digest, upload.sending.key, size)
        finally:
            await self._forget(name, None if kept else upload)

    async def _send_object(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        key: str,
        wanted: tuple[int, int],
    ) -> web.StreamResponse:
        """Pass on what the bucket has, or tell the client where that is."""
        bucket = self._blobs.bucket
        assert bucket
        if not wanted[1]:
            return web.Response(headers=response.headers)
        if self._redirect:
            url = await asyncio.to_thread(bucket.url, key)
            digest = response.headers["Docker-Content-Digest"]
            headers = {"Location": url, "Docker-Content-Digest": digest}
            return web.Response(status=307, headers=headers)
        body = await asyncio.to_thread(bucket.read, key, *wanted)
        try:
            await response.prepare(request)
            while chunk := await asyncio.to_thread(body.read, PIECE):
                await response.write(chunk)
            await response.write_eof()
        except Error:
            assert request.transport
            request.transport.abort()  # a short answer must not look like a whole one
        finally:
            body.close()
        self.sent += wanted[1]
        return response

    async def _receive(self, request: web.BaseRequest, upload: Upload) -> None:
        """Append the body; what came before a broken connection stays for the next part."""
        writing: asyncio.Future[None] | None = None
        buffer = bytearray()
        try:
            async for chunk in arriving(request):
                buffer += chunk
                if len(buffer) >= FLUSH:
                    if writing:
                        await asyncio.shield(writing)  # it has the file, and cannot be ended
                    self.received += len(buffer)
                    full, buffer = buffer, bytearray()
                    writing = asyncio.ensure_future(asyncio.to_thread(upload.take, full))
        finally:
            try:
                if writing:
                    await writing
                if buffer:
                    self.received += len(buffer)
                    upload.append(buffer)
            except OSError as error:
                raise Refusal(
                    "UNAVAILABLE", f"the registry cannot write: {error.strerror}"
                ) from None

    async def _session(self, target: Target) -> _Session:
        name = target.reference
        if not is_upload_name(name) or not await self._ask(
            self._repositories.is_upload, name, target.name
        ):
            raise _no_upload(target)
        if name not in self._uploads:
            bucket, sending = self._blobs.bucket, None
            if bucket:
                key = bucket.key(name)
                sending = await asyncio.to_thread(bucket.upload, key, afresh=False)
            if name not in self._uploads:  # nobody else has come meanwhile
                upload = Upload(upload_path(self._paths, name), sending=sending)
                self._remember(name, _Session(upload))
        return self._uploads[name]

    def _remember(self, name: str, session: _Session) -> None:
        """Keep an upload's sum; of too many, the oldest is summed up anew when it goes on."""
        if len(self._uploads) >= SESSIONS:
            idle = (key for key, known in self._uploads.items() if not known.waiting)
            self._uploads.pop(next(idle, ""), None)
        self._uploads[name] = session

    async def _forget(self, name: str, given_up: Upload | None) -> None:
        """Forget an upload; of one that came to nothing, what is in the bucket is let go."""
        session = self._uploads.pop(name, None)
        if session:
            session.over = True
        await self._ask(self._repositories.end_upload, name)
        if given_up and given_up.sending and given_up.sending.begun:
            await self._ask(self._blobs.let_go, given_up.sending.key)

    async def _ask(self, function: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *values)


class _Session:
    """An upload, and the lock that lets in one request at a time."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.lock = asyncio.Lock()
        self.waiting = 0
        """Requests that have the lock or wait for it."""
        self.over = False


def _no_upload(target: Target) -> Refusal:
    return Refusal("BLOB_UPLOAD_UNKNOWN", f"{target.name} has no such upload")


def describe_blob(
    request: web.BaseRequest, digest: str, size: int
) -> tuple[web.StreamResponse, int, int]:
    """Return a blob's answer, still without its body, and the first byte and bytes to send."""
    etag = f'"{digest}"'
    headers = {
        "Docker-Content-Digest": digest,
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Cache-Control": "max-age=31536000",
    }
    if names_etag(request.headers.get("If-None-Match", ""), etag):
        return web.Response(status=304, headers=headers), 0, 0
    wanted = None
    if request.headers.get("If-Range", etag) == etag:
        wanted = parse_range(request.headers.get("Range", ""), size)
    start, length = wanted or (0, size)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    headers["Content-Length"] = str(length)
    kind = web.Response if request.method == "HEAD" else web.StreamResponse
    return kind(status=206 if wanted else 200, headers=headers), start, length


async def _send(
    request: web.BaseRequest, response: web.StreamResponse, file: BinaryIO, start: int, length: int
) -> None:
    """Let the kernel send a part of a file, or with TLS encrypt it in large pieces."""
    assert request.transport is not None
    if not request.secure:
        loop = asyncio.get_running_loop()
        if await loop.sendfile(request.transport, file, start, length) < length:
            raise _cut_off()
        return
    while length:
        piece = os.pread(file.fileno(), min(PIECE, length), start)
        if not piece:
            raise _cut_off()
        await response.write(piece)
        start, length = start + len(piece), length - len(piece)


def _cut_off() -> ConnectionAbortedError:
    return ConnectionAbortedError("the blob is shorter than it was")


def _check_span(request: web.BaseRequest, target: Target, size: int) -> None:
    """Refuse a part that does not begin where the one before it ended."""
    header = request.headers.get("Content-Range", "")
    if not header:
        return
    first, last = parse_span(header)
    if first != size or last < first - 1:
        raise Refusal(
            "RANGE_INVALID",
            f"the next part begins at byte {size}",
            headers=dict(_progress(target, size, 416).headers),
        )
    if request.content_length is not None and request.content_length != last - first + 1:
        raise Refusal("BLOB_UPLOAD_INVALID", "Content-Length and Content-Range differ")


def _progress(target: Target, size: int, status: int) -> web.Response:
    headers = {
        "Location": f"/v2/{target.name}/blobs/uploads/{target.reference}",
        "Range": f"0-{max(0, size - 1)}",
        "Docker-Upload-UUID": target.reference,
    }
    return web.Response(status=status, headers=headers)


def _created(name: str, digest: str) -> web.Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return web.Response(status=201, headers=headers)
