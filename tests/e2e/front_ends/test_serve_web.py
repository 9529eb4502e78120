"""The app in a browser: who is let in, and a journey in Debian's chromium."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from core.paths import Paths
from tests.e2e.command_line import LIMPET, limpet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

TOKEN = "sesame"


@pytest.fixture
def env(paths: Paths, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8",
        "LIMPET_DATA_ROOT": paths.data, "LIMPET_RUN_ROOT": paths.run, "LIMPET_WEB_TOKEN": TOKEN,
    }  # fmt: skip


@pytest.fixture
def server(env: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the server; return its address, and itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [LIMPET, "serve-web", "--port", str(port)]
    with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        assert f"?token={TOKEN}" in server.stderr.readline()
        yield f"http://127.0.0.1:{port}", server
        server.send_signal(signal.SIGINT)


@pytest.fixture
def place(server: tuple[str, subprocess.Popen[str]]) -> str:
    """Run the server; return its address."""
    return server[0]


async def test_only_those_with_the_token_come_in(place: str) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as visitor:

        async def status(path: str, **headers: str) -> int:
            async with visitor.get(place + path, headers=headers) as answer:
                return answer.status

        assert await status("/") == 403
        assert await status("/static/js/textual.js") == 403
        assert await status("/?token=wrong") == 403
        assert await status(f"/?token={TOKEN}", Host="evil.example") == 403
        assert await status(f"/?token={TOKEN}") == 200
        assert await status("/") == 200
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await visitor.ws_connect(f"{place}/ws", origin="http://evil.example")
        async with visitor.ws_connect(f"{place}/ws?width=90&height=24", origin=place) as page:
            seen = b""
            while b"Containers" not in seen:
                seen += (await page.receive(timeout=60)).data


async def test_the_page_asks_nobody_else_for_anything(place: str) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with (
        aiohttp.ClientSession(cookie_jar=jar) as visitor,
        visitor.get(f"{place}/?token={TOKEN}") as answer,
    ):
        page = await answer.text()
    assert f"<title>limpet on {os.uname().nodename}</title>" in page
    assert {re.sub(r"^ws:", "http:", url) for url in re.findall(r"\w+://[\w.:]+", page)} == {place}


@asynccontextmanager
async def open_page(place: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a page, and see the app on it."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as visitor:
        await visitor.get(f"{place}/?token={TOKEN}")
        async with visitor.ws_connect(f"{place}/ws?width=90&height=24", origin=place) as page:
            seen = b""
            while b"Containers" not in seen:
                seen += (await page.receive(timeout=60)).data
            yield page


async def test_a_server_ends_at_once_though_a_page_is_open(
    server: tuple[str, subprocess.Popen[str]],
) -> None:
    place, process = server
    async with open_page(place) as page:
        process.send_signal(signal.SIGINT)
        while (await page.receive(timeout=20)).type is aiohttp.WSMsgType.BINARY:
            pass
    code = await asyncio.to_thread(process.wait, 20)
    assert code == 0
    assert process.stderr
    assert "Loop" not in process.stderr.read()


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


async def test_a_server_leaves_no_app_behind_that_does_not_end(
    server: tuple[str, subprocess.Popen[str]],
) -> None:
    place, process = server
    async with open_page(place):
        app = child_of(process.pid)
        os.kill(app, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(process.wait, 20)
    assert code == 0
    with pytest.raises(ProcessLookupError):
        os.kill(app, 0)
    assert process.stderr
    assert len(process.stderr.read().splitlines()) == 1  # how to get at it from another host


class Browser:
    """Chromium without a window, spoken to by its own protocol (CDP)."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self._line = line
        self._count = 0
        self._session = ""

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        await self._line.send_json(
            message | ({"sessionId": self._session} if self._session else {})
        )
        while True:
            answer = await self._line.receive_json(timeout=60)
            if answer.get("id") == self._count:
                assert "result" in answer, answer
                return dict(answer["result"])

    async def open(self, address: str) -> None:
        target = (await self.ask("Target.createTarget", url=address))["targetId"]
        found = await self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]

    async def until(self, expression: str) -> None:
        for _ in range(200):
            found = await self.ask("Runtime.evaluate", expression=expression)
            if found["result"].get("value"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{expression} did not come true")

    async def press(self, key: str) -> None:
        await self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)


async def test_a_browser_makes_an_image(place: str, env: dict[str, str], tmp_path: Path) -> None:
    browser = await asyncio.create_subprocess_exec(
        "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
        f"--user-data-dir={tmp_path}/chromium", env=env, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert browser.stderr
        line = b""
        while not (found := re.search(rb"ws://\S+", line)):
            line = await asyncio.wait_for(browser.stderr.readline(), 60)
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(found[0].decode()) as channel,
        ):
            chromium = Browser(channel)
            await chromium.open(f"{place}/?token={TOKEN}")
            await chromium.until("document.body.classList.contains('-first-byte')")
            await chromium.until("location.search == ''")
            await chromium.until("document.activeElement.className == 'xterm-helper-textarea'")
            for attempt in range(200):
                if attempt % 50 == 0:  # the page takes its size, and a key meanwhile may be lost
                    await chromium.press("S")
                shown = await asyncio.create_subprocess_exec(
                    LIMPET, "ps", "--format", "{{.Names}}", env=env, stdout=subprocess.PIPE
                )
                if b"first" in (await shown.communicate())[0]:
                    break
                await asyncio.sleep(0.2)
            else:
                raise AssertionError("the key S started nothing")
    finally:
        browser.terminate()
        await browser.wait()
        limpet(env, "rm", "-f", *limpet(env, "ps", "-aq").split())
        limpet(env, "network", "prune", "-f")
