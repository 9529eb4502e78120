"""Images from host to host over ssh: only the layers that the other one lacks.

The sender starts `limpet image receive` there and writes one line of JSON that names the
layers; it is answered with a line that names those which are there.  What follows is an image
archive without these, and at its end a line that tells how loading it went.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading

from core.errors import Error, HostError, ImageError
from core.images.archive.write import save
from core.images.digest import is_digest
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO, Any

    from core.config import Config
    from core.images.archive.write import Named
    from core.images.store import ImageStore
    from core.jobs import Job

LINE_MAX = 4 << 20
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15")
"""A password would be asked for on a screen that belongs to someone else."""


class Sent(Record):
    """What the other host has now."""

    host: str
    names: tuple[str, ...]
    """Of the images, or their digests where they have none."""
    sent: int
    """Bytes of layers that went."""
    spared: int
    """Bytes of layers that were there."""


def send(
    store: ImageStore,
    images: Sequence[Named],
    host: str,
    options: Sequence[str],
    program: str,
    job: Job,
) -> Sent:
    """Bring images to a host (`[USER@]HOST`, or an ssh:// URL) and return what it has then.

    Raises HostError that names what ssh said, and the error that loading met there.
    """
    layers: dict[str, int] = {}
    for named in images:
        layers.update((x.digest, x.size) for x in store.manifest(named.image.digest).layers)
    with _Remote(host, options, program) as remote:
        watch = threading.Thread(target=_end_when_cancelled, args=(job, remote), daemon=True)
        watch.start()
        there = remote.ask({"layers": list(layers)}, job)
        known = frozenset(layers).intersection(_texts(there.get("have")))
        spared = sum(layers[digest] for digest in known)
        job.say(f"{host} has {len(known)} of {len(layers)} layers")

        def told(done: int, total: int) -> None:
            job.progress(host, done, total, "sending")

        try:
            save(store, images, remote.stdin, "oci-archive", job.check, told, known)
            remote.end_input()
        except (BrokenPipeError, ConnectionResetError):
            pass  # why it hung up is what it says
        answer = remote.listen(job)
    names = _texts(answer.get("loaded"))
    return Sent(host, names, sum(layers.values()) - spared, spared)


def receive(store: ImageStore, config: Config, stdin: int) -> Iterator[bytes]:
    """Answer a sender line by line while its images are loaded; errors are answers, too."""
    from core.images.archive.load import load
    from core.jobs import Job

    try:
        document = _read_line(stdin)
        if "layers" not in document:
            raise ImageError("that is no sender", hint="image send IMAGE USER@HOST starts this")
        digests = filter(is_digest, _texts(document["layers"]))
        yield _line({"have": [digest for digest in digests if store.blobs.has(digest)]})
        loaded = load(store, config, stdin, Job(0, "image receive"))
        names = [name for found in loaded for name in (found.names or (found.image.digest,))]
        yield _line({"loaded": names})
    except Error as error:
        yield _line({"error": error.message, "hint": error.hint})
    except OSError as error:
        where = error.filename or store.directory
        yield _line({"error": f"{where}: {error.strerror}", "hint": "limpet doctor, on that host"})


class _Remote:
    """The limpet at the other end; killed when the block is left before it has ended."""

    def __init__(self, host: str, options: Sequence[str], program: str) -> None:
        self._host = host
        if host.startswith("-"):
            raise HostError(f"{host!r} is no host", hint="image send IMAGE USER@HOST")
        words = [word for option in options for word in ("-o", option)]
        try:
            self.process = subprocess.Popen(
                [*SSH, *words, "--", host, f"{program} image receive"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError:
            raise HostError(
                "there is no ssh on this host", hint="apt-get install openssh-client"
            ) from None
        self._said = ""
        assert self.process.stderr is not None
        self._hear = threading.Thread(target=self._keep, args=(self.process.stderr,), daemon=True)
        self._hear.start()

    def __enter__(self) -> _Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._hear.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    @property
    def stdin(self) -> int:
        assert self.process.stdin is not None
        return self.process.stdin.fileno()

    def ask(self, document: dict[str, Any], job: Job) -> dict[str, Any]:
        try:
            os.write(self.stdin, _line(document))
        except BrokenPipeError:
            pass
        return self.listen(job)

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def listen(self, job: Job) -> dict[str, Any]:
        """Return the next answer; raises its error, or what ssh said when there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline(LINE_MAX)
        job.check()
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failure(line)
        if answer.get("error"):
            raise HostError(
                f"{self._host}: {answer['error']}",
                hint=str(answer.get("hint") or ""),
                subject=self._host,
            )
        return answer

    def _failure(self, line: bytes) -> HostError:
        self.process.kill() if line else None
        code = self.process.wait()
        self._hear.join()
        # limpet's hints are indented, and the cause stands above them.
        causes = [words for words in self._said.splitlines() if words and words[0] != " "]
        said = causes[-1:] or [line[:200].decode("utf-8", "replace")]
        hint = f"ssh {self._host} limpet version shows whether limpet is there; --limpet names it"
        if code == 255:
            hint = f"ssh {self._host} has to work without a password: ssh-copy-id {self._host}"
        cause = said[0].removeprefix("limpet: ").strip() or f"it ended with {code}"
        return HostError(f"{self._host}: {cause}", hint=hint, subject=self._host)

    def _keep(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._said = (self._said + line.decode("utf-8", "replace"))[-4000:]


def _end_when_cancelled(job: Job, remote: _Remote) -> None:
    """End ssh when the job is cancelled, so that nobody waits for its answer."""
    while remote.process.poll() is None:
        if job.cancelled:
            remote.process.kill()
        try:
            remote.process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue


def _texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list that the other host sent."""
    items = value if isinstance(value, list) else ()
    return tuple(item for item in items if isinstance(item, str))


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _read_line(fd: int) -> dict[str, Any]:
    """Read one line of JSON and not a byte of what comes behind it."""
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < LINE_MAX:
        byte = os.read(fd, 1)
        if not byte:
            break
        line += byte
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
