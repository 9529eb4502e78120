"""Answers about manifests: by tag and digest, lists of them, and what refers to them."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

from aiohttp import web

from core.errors import Corrupt
from core.images.digest import check_digest, digest_of, is_digest
from core.images.manifest import MAX_SIZE, OCI_INDEX
from core.registry_server.bodies import arriving
from core.registry_server.documents import read_manifest
from core.registry_server.refusals import Refusal
from core.registry_server.targets import check_tag, names_etag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from typing import TypeVar

    from core.images.blobs import BlobStore
    from core.registry_server.repositories import Referrer, Repositories
    from core.registry_server.targets import Target
    from core.registry_server.upstream import Upstream

    T = TypeVar("T")

PAGE_MAX = 10_000


class ManifestAnswers:
    """Answers about manifests and tags."""

    def __init__(
        self,
        repositories: Repositories,
        blobs: BlobStore,
        thread: Executor,
        upstream: Upstream | None,
    ) -> None:
        self._repositories = repositories
        self._blobs = blobs
        self._thread = thread
        self._upstream = upstream

    async def get(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Return the manifest behind a tag or digest."""
        name, reference = target.name, target.reference
        if self._upstream:
            await self._upstream.bring_manifest(name, reference, self._ask)
        stored = await self._ask(self._repositories.manifest, name, reference)
        etag = f'"{stored.digest}"'
        headers = {"Docker-Content-Digest": stored.digest, "ETag": etag}
        if names_etag(request.headers.get("If-None-Match", ""), etag):
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = stored.media_type
        if request.method == "HEAD":
            headers["Content-Length"] = str(self._blobs.size(stored.digest))
            return web.Response(headers=headers)
        return web.Response(body=self._blobs.read(stored.digest), headers=headers)

    async def put(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Take a manifest whose blobs are here."""
        content = await _body(request)
        facts = read_manifest(content, request.headers.get("Content-Type", ""))
        tags = tuple(request.query.getall("tag", ()))
        digest = target.reference
        if not is_digest(digest):
            tags = (digest, *tags)
            digest = digest_of(content)
        try:
            check_digest(content, digest, "the manifest")
        except Corrupt as error:
            raise Refusal("DIGEST_INVALID", error.message) from None
        for tag in tags:
            check_tag(tag)
        await self._ask(self._repositories.expect_blob, digest)
        await asyncio.to_thread(self._blobs.write, digest, [content])
        await self._ask(
            self._repositories.add_manifest, target.name, digest, len(content), facts, tags
        )
        headers = {
            "Location": f"/v2/{target.name}/manifests/{digest}",
            "Docker-Content-Digest": digest,
        }
        if facts.subject:
            headers["OCI-Subject"] = facts.subject
        if "tag" in request.query:
            headers["OCI-Tag"] = ", ".join(tags)
        return web.Response(status=201, headers=headers)

    async def delete(self, request: web.BaseRequest, target: Target) -> web.Response:
        """Take away a tag, or a manifest with all its tags."""
        by_digest = is_digest(target.reference)
        store = self._repositories
        await self._ask(
            store.delete_manifest if by_digest else store.delete_tag, target.name, target.reference
        )
        return web.Response(status=202)

    async def tags(self, request: web.BaseRequest, target: Target) -> web.Response:
        """List tags in the order of their names."""
        found = await self._ask(self._repositories.tags, target.name)
        return _page(request, found, "tags", {"name": target.name})

    async def catalog(self, request: web.BaseRequest, target: Target) -> web.Response:
        """List repositories in the order of their names."""
        return _page(request, await self._ask(self._repositories.catalog), "repositories", {})

    async def referrers(self, request: web.BaseRequest, target: Target) -> web.Response:
        """List what refers to a manifest, as an index, with a link to the next."""
        wanted, first = request.query.get("artifactType", ""), _count(request, "first", 0)
        found, more = await self._ask(
            self._repositories.referrers, target.name, target.reference, wanted, first
        )
        headers = {"Content-Type": OCI_INDEX}
        if wanted:
            headers["OCI-Filters-Applied"] = "artifactType"
        if more:
            query = f"first={first + len(found)}&artifactType={quote(wanted, safe='')}"
            headers["Link"] = f'<{request.path}?{query}>; rel="next"'
        index = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [_descriptor(item) for item in found],
        }
        return web.Response(body=json.dumps(index).encode(), headers=headers)

    async def _ask(self, function: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *values)


async def _body(request: web.BaseRequest) -> bytes:
    body = bytearray()
    async for chunk in arriving(request):
        body += chunk
        if len(body) > MAX_SIZE:
            raise Refusal("SIZE_INVALID", f"a manifest has at most {MAX_SIZE} bytes")
    return bytes(body)


def _page(
    request: web.BaseRequest, names: list[str], key: str, document: dict[str, object]
) -> web.Response:
    """Return the part of a list that `n` and `last` ask for, with a link to the next."""
    last = request.query.get("last", "")
    count = min(_count(request, "n", PAGE_MAX), PAGE_MAX)
    names = [name for name in names if name > last] if last else names
    page = names[:count]
    headers = {}
    if page and len(names) > len(page):
        place = f"{request.path}?n={count}&last={quote(page[-1], safe='')}"
        headers["Link"] = f'<{place}>; rel="next"'
    body = json.dumps({**document, key: page}).encode()
    return web.Response(body=body, content_type="application/json", headers=headers)


def _count(request: web.BaseRequest, name: str, otherwise: int) -> int:
    """Return a number of the query; Refusal for what is none."""
    word = request.query.get(name, "")
    if word and not (word.isascii() and word.isdigit()):
        raise Refusal("BLOB_UPLOAD_INVALID", f"{name} is not a number")
    return int(word[:9]) if word else otherwise


def _descriptor(item: Referrer) -> dict[str, object]:
    found: dict[str, object] = {
        "mediaType": item.media_type,
        "digest": item.digest,
        "size": item.size,
    }
    if item.artifact_type:
        found["artifactType"] = item.artifact_type
    annotations = json.loads(item.annotations)
    return {**found, "annotations": annotations} if annotations else found
