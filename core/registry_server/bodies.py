"""The bodies of requests, as they come."""

from __future__ import annotations

import asyncio

from core.registry_server.refusals import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

STALLED_S = 60.0
"""Whoever sends nothing for so long is gone, though the connection stands."""


async def arriving(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """Yield a body's pieces; Refusal when none comes for `STALLED_S`.

    A client whose network went comes back for the same upload, and must not wait for the request
    that it can no longer end.  One that asked whether to send it at all (RFC 9110, section 10.1.1)
    is told to.
    """
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself is still to come
    while True:
        try:
            async with asyncio.timeout(STALLED_S):
                piece = await request.content.readany()
        except TimeoutError:
            raise Refusal("BLOB_UPLOAD_INVALID", f"nothing came for {STALLED_S:g} s") from None
        if not piece:
            return
        yield piece
