"""The registry's answers, one request each.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md

The event loop moves bytes only: one thread asks the database, others sum up and write what
is pushed, and the kernel sends blobs from their files.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from aiohttp import web

from core.errors import Error, NotFound
from core.registry_server.blob_answers import BlobAnswers
from core.registry_server.manifest_answers import ManifestAnswers
from core.registry_server.refusals import Refusal
from core.registry_server.repositories import Repositories
from core.registry_server.targets import parse_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.images.store import ImageStore
    from core.paths import Paths
    from core.registry_server.blobs import ServedBlobs
    from core.registry_server.htpasswd import Htpasswd
    from core.registry_server.targets import Target
    from core.registry_server.upstream import Upstream

    Answer = Callable[[web.BaseRequest, Target], Awaitable[web.StreamResponse]]

READING = ("GET", "HEAD")
HEADERS = {"Docker-Distribution-API-Version": "registry/2.0", "Server": "limpet"}
"""docker's own clients ask for the first."""


class Service:
    """Answers requests; made in the event loop that it serves, and to be closed there."""

    def __init__(
        self,
        paths: Paths,
        store: ImageStore,
        blobs: ServedBlobs,
        *,
        htpasswd: Htpasswd | None = None,
        read_only: bool = False,
        upstream: Upstream | None = None,
        redirect: bool = False,
    ) -> None:
        self._repositories = Repositories(store.database, blobs)
        self._thread = ThreadPoolExecutor(1, "registry-database")
        self._htpasswd = htpasswd
        self._read_only = read_only or upstream is not None
        self.manifests = ManifestAnswers(self._repositories, store.blobs, self._thread, upstream)
        self.blobs = BlobAnswers(
            paths, self._repositories, blobs, self._thread, upstream, redirect=redirect
        )
        self._answers: dict[tuple[str, str], Answer] = {
            ("ping", "GET"): self._ping,
            ("catalog", "GET"): self.manifests.catalog,
            ("tags", "GET"): self.manifests.tags,
            ("manifests", "GET"): self.manifests.get,
            ("manifests", "PUT"): self.manifests.put,
            ("manifests", "DELETE"): self.manifests.delete,
            ("referrers", "GET"): self.manifests.referrers,
            ("blobs", "GET"): self.blobs.get,
            ("blobs", "DELETE"): self.blobs.delete,
            ("uploads", "POST"): self.blobs.begin,
            ("uploads", "GET"): self.blobs.status,
            ("uploads", "PATCH"): self.blobs.patch,
            ("uploads", "PUT"): self.blobs.put,
            ("uploads", "DELETE"): self.blobs.cancel,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong becomes the specification's error document."""
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = _refused(refusal)
        except NotFound as error:
            response = _refused(Refusal("MANIFEST_UNKNOWN", error.message))
        except Error as error:
            response = _refused(Refusal("UNAVAILABLE", error.message))
        except ConnectionError:
            raise  # the client's own
        except OSError as error:
            response = _refused(Refusal("UNAVAILABLE", f"the store fails: {error.strerror}"))
        if not response.prepared:
            if request.writer.output_size:
                # What went wrong would stand in the middle of the answer that was begun.
                raise ConnectionAbortedError
            response.headers.update(HEADERS)
        return response

    async def close(self) -> None:
        """End the threads; uploads stay for the next server."""
        self.blobs.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._repositories.close)
        self._thread.shutdown()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await self._let_in(request)
        target = parse_target(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        answer = self._answers.get((target.kind, method))
        if answer is None:
            raise Refusal("UNSUPPORTED", f"{request.method} is not for {target.kind}")
        if self._read_only and method not in READING:
            raise Refusal("UNSUPPORTED", "this registry is read-only")
        return await answer(request, target)

    async def _let_in(self, request: web.BaseRequest) -> None:
        if self._htpasswd is None:
            return
        header = request.headers.get("Authorization", "")
        if not await asyncio.to_thread(self._htpasswd.allows, header):
            cause = "user name or password is wrong" if header else "log in first"
            challenge = {"WWW-Authenticate": 'Basic realm="limpet"'}
            raise Refusal("UNAUTHORIZED", cause, headers=challenge)

    async def _ping(self, request: web.BaseRequest, target: Target) -> web.Response:
        return web.Response(body=b"{}", content_type="application/json")


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(
        status=refusal.status,
        reason=HTTPStatus(refusal.status).phrase,
        body=refusal.body(),
        content_type="application/json",
        headers=refusal.headers,
    )
