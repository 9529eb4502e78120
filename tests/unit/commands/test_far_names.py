"""Completion of what is elsewhere: tags and repositories of a registry."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from core.commands.complete import LimpetCompleter
from core.config import Config
from core.engine import Engine
from core.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = {
    "/v2/": b"{}",
    "/v2/team/app/tags/list": b'{"name": "team/app", "tags": ["1.0", "1.1", "latest"]}',
    "/v2/_catalog": b'{"repositories": ["team/app", "other"]}',
}


class Handler(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        body = ANSWERS.get(path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_tags_and_repositories_are_completed_and_asked_for_once(host: str, paths: Paths) -> None:
    completer = LimpetCompleter(Engine(paths, Config()))

    def found(line: str) -> list[str]:
        return [c.text for c in completer.get_completions(Document(line), CompleteEvent())]

    assert found(f"pull {host}/t") == [f"{host}/team/app"]
    assert found(f"pull {host}/team/app:1") == [f"{host}/team/app:1.0", f"{host}/team/app:1.1"]
    count = len(Handler.asked)
    assert found(f"pull {host}/team/app:l") == [f"{host}/team/app:latest"]
    assert found(f"pull {host}/nosuch:") == []
    assert found(f"pull {host}/nosuch:") == []
    assert found("pull No-Name:") == []
    assert [path for path in Handler.asked[count:] if path != "/v2/"] == ["/v2/nosuch/tags/list"]
