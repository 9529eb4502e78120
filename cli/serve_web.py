"""`limpet serve-web`: the app in a browser on this host, behind a token.

textual-serve carries what the app shows to a page, `web_page/`.  It listens on loopback alone;
from elsewhere it is reached as anything on a server is: `ssh -L`.  Whoever gets in can do what
limpet can, so each request must bring the token, come under the name that was given out (a
foreign page may have a name that resolves to loopback), and a socket must be opened by our own
page.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import shlex
import sys
from pathlib import Path

from aiohttp import web
from textual_serve.server import Server

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable, Sequence
    from typing import Any

    from aiohttp.typedefs import Middleware
    from textual_serve.app_service import AppService

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"
PORT = 8686
USAGE = f"usage: limpet serve-web [--port N]; N is {PORT} unless another is given"
COOKIE = "limpet-token"
PAGE = Path(__file__).parent / "web_page"
LEAVING_S = 5.0
"""So long the apps of open pages have to end."""


class TokenServer(Server):
    """textual-serve's server with a lock on its door."""

    def __init__(self, command: str, port: int, token: str) -> None:
        title = f"limpet on {os.uname().nodename}"
        super().__init__(command, host=HOST, port=port, title=title, templates_path=PAGE)
        self._token = token
        self._visits: dict[asyncio.Task[Any], Process | None] = {}
        """What serves the pages that are open, and the app of each."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard())
        return app

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.headers.get("Host") != f"{HOST}:{self.port}":
                raise web.HTTPForbidden(text=f"this is {self.public_url}, by no other name\n")
            given = request.query.get("token", "")
            if given and self._fits(given):
                # The token does not stay in the address, nor in what is sent on as referrer.
                answer = web.HTTPFound("/")
                answer.set_cookie(COOKIE, given, httponly=True, samesite="Strict")
                raise answer
            if not self._fits(request.cookies.get(COOKIE, "")):
                raise web.HTTPForbidden(text="the address that limpet printed has the token\n")
            if request.path == "/ws" and request.headers.get("Origin") != self.public_url:
                raise web.HTTPForbidden(text="only limpet's own page may open this\n")
            return await handler(request)

        return guard

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing yet: nobody is listening."""

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run an app for a page for as long as the page is open."""
        visit = asyncio.current_task()
        assert visit is not None
        self._visits[visit] = None
        try:
            answer = await super().handle_websocket(request)
            if (process := self._visits[visit]) is not None:
                await process.wait()
            return answer
        finally:
            del self._visits[visit]

    async def _process_messages(
        self, websocket: web.WebSocketResponse, app_service: AppService
    ) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self._visits[visit] = app_service._process  # noqa: SLF001 - the app, which it keeps to itself
        await super()._process_messages(websocket, app_service)

    async def on_shutdown(self, app: web.Application) -> None:
        """End the apps of open pages; else aiohttp would wait a minute for the pages to close.

        None stays behind: asyncio complains of a process that ends after its loop.
        """
        visits = dict(self._visits)
        for visit in visits:
            visit.cancel()
        if visits:
            _, late = await asyncio.wait(visits, timeout=LEAVING_S)
            for visit in late:
                if (process := visits[visit]) is not None:
                    process.kill()
                    await process.wait()

    def serve(self, debug: bool = False) -> None:
        """Serve until a signal comes."""
        # aiohttp calls this once it listens.
        web.run_app(self._make_app(), host=self.host, port=self.port, print=self._tell)

    def _tell(self, *_: object) -> None:
        sys.stderr.write(
            f"limpet: {self.public_url}/?token={self._token}\n"
            f"  from another host: ssh -L {self.port}:{HOST}:{self.port} …; ctrl-c ends it\n"
        )
        sys.stderr.flush()


def serve_web(words: Sequence[str], *, read_only: bool) -> int:
    """Serve until ctrl-c; `words` may be `--port N` or `--help`.  Raises UsageError for others."""
    port = PORT
    if words and words[0] in ("-h", "--help"):
        sys.stdout.write(f"The app in a browser on this host, behind a token.\n\n{USAGE}\n")
        return 0
    if len(words) == 2 and words[0] == "--port" and words[1].isdecimal():
        port = int(words[1])
    elif words:
        raise UsageError(f"{words[0]!r} is unknown", hint=USAGE)
    given = sys.orig_argv[1:]
    mine = given[: len(given) - len(sys.argv) + 1]
    argv = [sys.executable, *mine, *(["--read-only"] if read_only else [])]
    token = os.environ.pop("LIMPET_WEB_TOKEN", "") or secrets.token_urlsafe(24)
    TokenServer(shlex.join(argv), port, token).serve()
    return 0
