"""Serving the local store as a registry: listens, answers, and ends with its job."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl

from aiohttp import web

from core.errors import ConfigError, Conflict, HostError
from core.record import Record
from core.registry.transport.proxy import is_loopback
from core.registry_server.blobs import ServedBlobs
from core.registry_server.bucket import open_bucket
from core.registry_server.htpasswd import Htpasswd
from core.registry_server.repositories import Repositories
from core.registry_server.service import Service
from core.registry_server.upstream import Upstream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from core.config import Config
    from core.images.store import ImageStore
    from core.jobs import Job
    from core.paths import Paths

LOOK_S = 0.1
READ_BUFFER = 256 << 10
IDLE_S = 60.0
"""A connection that asks nothing, or not to the end of its headers, may stay so long: each holds
one of a limited number of descriptors."""
STALLED_S = 300
"""A client that takes no more of an answer for so long is given up; one that is slow is not."""
GRACE_S = 2.0
"""Requests that are under way when the server ends get so long."""


class ServeOptions(Record):
    """How to serve; empty strings: without."""

    host: str = "127.0.0.1"
    port: int = 5000
    """0: any free one."""
    htpasswd: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    read_only: bool = False
    upstream: str = ""
    """HOST[/PREFIX] of a registry that is cached."""


def serve(paths: Paths, store: ImageStore, config: Config, options: ServeOptions, job: Job) -> None:
    """Serve until the job is cancelled, which is how it ends well.

    The progress names the address once connections are taken.  Raises ConfigError for files that
    cannot be used, Conflict when the address is taken.
    """
    asyncio.run(_serve(paths, store, config, options, job))


async def _serve(
    paths: Paths, store: ImageStore, config: Config, options: ServeOptions, job: Job
) -> None:
    paths.make()
    htpasswd = Htpasswd(options.htpasswd) if options.htpasswd else None
    context = _tls(options)
    bucket = open_bucket(config)
    if bucket:
        bucket.check()
    blobs = ServedBlobs(store.blobs, store.database, bucket)
    upstream = None
    if options.upstream:
        own = Repositories(store.database, blobs)
        upstream = Upstream(options.upstream, config, own, store.blobs)
    service = Service(
        paths, store, blobs, htpasswd=htpasswd, read_only=options.read_only, upstream=upstream,
        redirect=config["registry_server", "s3_redirect"],
    )  # fmt: skip

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        _limit_stalls(request)
        return await service.answer(request)

    server = web.Server(
        answer,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=IDLE_S,
        read_bufsize=READ_BUFFER,
        logger=_logger(job),
    )
    runner = web.ServerRunner(server, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=context, backlog=512)
        try:
            await site.start()
        except OSError as error:
            raise _refused(error, options) from error
        address = f"serving on {_address(runner, options)}"
        await _watch(service, job, f"{address}{_danger(options)}")
    finally:
        if upstream:
            upstream.close()
        await runner.cleanup()
        await service.close()


def _limit_stalls(request: web.BaseRequest) -> None:
    """Have the kernel end the connection, which also sends files, when nothing is taken from it."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_S * 1000)


class _Told(logging.Handler):
    """Brings what the library complains about into the job's log: the screen is not its own."""

    def __init__(self, job: Job) -> None:
        super().__init__(logging.WARNING)
        self._job = job

    def emit(self, record: logging.LogRecord) -> None:
        cause = record.exc_info[1] if record.exc_info else None
        if isinstance(cause, ConnectionError):
            return  # a client that went away
        self._job.say(f"{record.getMessage()}: {cause!r}" if cause else record.getMessage())


def _logger(job: Job) -> logging.Logger:
    logger = logging.Logger("registry-server")
    logger.addHandler(_Told(job))

    def told(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        cause = context.get("exception")
        if not isinstance(cause, ConnectionError):
            job.say(f"{context['message']}: {cause!r}")

    # What it warns of before it fails it would write over the screen.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.get_running_loop().set_exception_handler(told)
    return logger


def _danger(options: ServeOptions) -> str:
    """Return what a person should know who serves to others than this host."""
    if is_loopback(options.host):
        return ""
    if not options.htpasswd:
        return "; whoever reaches it may " + ("pull" if options.read_only else "push and pull")
    return "" if options.tls_certificate else "; passwords pass unencrypted: --tls-cert"


async def _watch(service: Service, job: Job, note: str) -> None:
    while not job.cancelled:
        moved = service.blobs.sent + service.blobs.received
        job.progress("registry", moved, 0, note)
        await asyncio.sleep(LOOK_S)


def _tls(options: ServeOptions) -> ssl.SSLContext | None:
    if not options.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_certificate, options.tls_key or None)
    except OSError as error:
        raise ConfigError(
            f"{options.tls_certificate}: {error.strerror or error}",
            hint="a PEM file with the certificate and its chain, and one with the key",
            subject=options.tls_certificate,
        ) from error
    return context


def _address(runner: web.ServerRunner, options: ServeOptions) -> str:
    host, port = runner.addresses[0][:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if options.tls_certificate else 'http'}://{shown}:{port}"


def _refused(error: OSError, options: ServeOptions) -> Conflict | HostError:
    place = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"{place} is taken by another program",
            hint="registry serve --address HOST:PORT names another one",
            subject=place,
        )
    # asyncio puts words of its own around those of the system; since 3.13 it drops the number
    # of an address that is not this host's.
    code = error.errno or errno.EADDRNOTAVAIL
    cause = error.strerror if isinstance(error, socket.gaierror) else os.strerror(code)
    return HostError(
        f"cannot listen on {place}: {cause}",
        hint="registry serve --address HOST:PORT",
        subject=place,
        errno=code,
    )
