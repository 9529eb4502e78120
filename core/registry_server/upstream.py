"""A pull-through cache: what is asked for and not here is brought from another registry.

A tag is compared with the upstream once in a while; when that does not answer, what is here is
served.  A blob reaches the client while it comes in; all who want it follow the one fetch.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from core.errors import Error, NotFound, RegistryError, Unreachable
from core.images.digest import is_digest
from core.images.manifest import Descriptor
from core.registry.client import RegistryClient, pull_scope
from core.registry.fetch import fetch_blob
from core.registry_server.blob_answers import describe_blob
from core.registry_server.documents import read_manifest
from core.registry_server.refusals import Refusal
from core.registry_server.repositories import Repositories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from core.config import Config
    from core.images.blobs import BlobStore
    from core.registry_server.targets import Target

    Ask = Callable[..., Awaitable[Any]]

FETCHES = 8
ATTEMPTS = 2
FRESH_S = 60
"""A tag that was compared so recently is not compared again."""
CHUNK = 256 << 10
POLL_S = 0.01


class Upstream:
    """The registry behind the cache: `HOST[/PREFIX]`.  To be closed."""

    def __init__(
        self, address: str, config: Config, repositories: Repositories, blobs: BlobStore
    ) -> None:
        host, _, prefix = address.partition("/")
        # The client that waits tries again, too; and what is here can be served instead.
        self._client = RegistryClient(host, config, check=self._check, attempts=ATTEMPTS)
        self._prefix = prefix.strip("/")
        self._repositories = repositories
        self._blobs = blobs
        self._threads = ThreadPoolExecutor(FETCHES, "registry-upstream")
        self._compared: dict[tuple[str, str], float] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self.address = address

    async def bring_manifest(self, name: str, reference: str, ask: Ask) -> None:
        """Have what a tag or digest stands for upstream here, if that can be reached.

        Raises NotFound when the upstream says that there is none.
        """
        if self._compared.get((name, reference), 0) > time.monotonic() - FRESH_S:
            return
        try:
            held = (await ask(self._repositories.manifest, name, reference)).digest
        except Refusal:
            held = ""
        if held and is_digest(reference):
            return
        try:
            await self._compare(name, reference, held, ask)
        except (RegistryError, OSError):
            if not held:
                raise
        else:
            if not is_digest(reference):
                self._compared[name, reference] = time.monotonic()

    async def send_blob(
        self, request: web.BaseRequest, target: Target, ask: Ask
    ) -> web.StreamResponse:
        """Send a blob while it comes; it stays here."""
        digest = target.reference
        size = await self._run(self._size, target.name, digest)
        response, start, length = describe_blob(request, digest, size)
        if request.method == "HEAD" or response.status == 304:
            return response
        task = self._fetches.get(digest)
        if task is None:
            task = asyncio.create_task(self._fetch(target.name, digest, size, ask))
            self._fetches[digest] = task
        await self._follow(request, response, digest, (start, length), task)
        await asyncio.shield(task)
        await response.write_eof()
        return response

    def close(self) -> None:
        """End what is being fetched; it goes on where it stopped when it is wanted again."""
        self._closed = True
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    async def _compare(self, name: str, reference: str, held: str, ask: Ask) -> None:
        if held and held == await self._run(self._digest, name, reference):
            return
        content, media_type, digest = await self._run(self._manifest, name, reference)
        facts = read_manifest(content, media_type)
        await ask(self._repositories.expect_blob, digest)
        await asyncio.to_thread(self._blobs.write, digest, [content])
        tags = () if is_digest(reference) else (reference,)
        add = self._repositories.add_manifest
        await ask(lambda: add(name, digest, len(content), facts, tags, sparse=True))

    async def _fetch(self, name: str, digest: str, size: int, ask: Ask) -> None:
        try:
            await ask(self._repositories.expect_blob, digest)
            descriptor = Descriptor("application/octet-stream", digest, size)
            await self._run(
                fetch_blob, self._blobs, self._client, self._path(name), descriptor,
                lambda _, __: None, self._check,
            )  # fmt: skip
            await ask(self._repositories.add_blob, name, digest)
        finally:
            del self._fetches[digest]

    async def _follow(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        digest: str,
        wanted: tuple[int, int],
        task: asyncio.Task[None],
    ) -> None:
        """Send bytes of a growing file as soon as they are there."""
        done, end = wanted[0], sum(wanted)
        fd = -1
        try:
            while done < end:
                if fd < 0:
                    fd = self._open(digest)
                chunk = os.pread(fd, min(CHUNK, end - done), done) if fd >= 0 else b""
                if chunk:
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(chunk)
                    done += len(chunk)
                elif task.done():
                    await task
                    raise Unreachable(f"{self.address} sent less of {digest} than it has")
                else:
                    await asyncio.wait([task], timeout=POLL_S)
            if not response.prepared:
                await response.prepare(request)
        except Error:
            if not response.prepared:
                raise
            assert request.transport is not None
            request.transport.abort()  # a short answer must not look like a whole one
        finally:
            if fd >= 0:
                os.close(fd)

    def _open(self, digest: str) -> int:
        for path in (self._blobs.path(digest), self._blobs.partial_path(digest)):
            try:
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
        return -1

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}".lstrip("/")

    def _digest(self, name: str, tag: str) -> str:
        return self._client.digest_of_manifest(self._path(name), tag)

    def _manifest(self, name: str, reference: str) -> tuple[bytes, str, str]:
        return self._client.manifest(self._path(name), reference)

    def _size(self, name: str, digest: str) -> int:
        path = self._path(name)
        what = f"blob {digest} of {self._client.host}/{path}"
        answer = self._client.ask("HEAD", f"{path}/blobs/{digest}", pull_scope(path), what)
        answer.close()
        length = answer.header("Content-Length")
        if not (length.isascii() and length.isdigit()):
            raise NotFound(f"{what}: the registry does not tell its size")
        return int(length[:18])

    async def _run(self, function: Callable[..., Any], *values: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *values)

    def _check(self) -> None:
        if self._closed:
            raise Unreachable("the registry is being stopped")
