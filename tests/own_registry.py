"""limpet's own registry server, in a thread of the test."""

from __future__ import annotations

import http.client
import json
import time

from core.config import Config
from core.database import Database
from core.images.store import ImageStore
from core.jobs import Job
from core.registry_server.server import ServeOptions, serve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from core.paths import Paths


class OwnRegistry:
    """Serves the store of `paths` on a free loopback port until the end of a with block."""

    def __init__(self, paths: Paths, **options: Any) -> None:
        import threading

        self.paths = paths
        config = options.pop("config", Config())
        self.store = ImageStore(paths, Database(paths), config)
        self.job = Job(1, "registry serve")
        asked = ServeOptions(port=options.pop("port", 0), **options)
        self._thread = threading.Thread(
            target=self.job.run,
            args=(lambda job: serve(paths, self.store, config, asked, job),),
        )
        self._thread.start()
        while not self.job.snapshot().items:
            assert not self.job.finished, self.job.result()
            time.sleep(0.01)
        self.host = self.job.snapshot().items[0].note.partition(";")[0].rpartition("/")[2]
        self.port = int(self.host.rpartition(":")[2])

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> Answered:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            sent = iter([body[:100], body[100:]]) if chunked else body
            # http.client sends the length of an empty body, which the body's absence is not.
            connection.request(method, path, sent or None, headers or {}, encode_chunked=chunked)
            answer = connection.getresponse()
            return Answered(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.job.cancel()
        self._thread.join()
        self.store.database.close()


class Answered:
    """An answer, read to its end."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The specification's error code."""
        return str(self.document["errors"][0]["code"])
