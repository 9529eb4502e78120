"""HTTP as registries need it: redirects, retries, limits.

Authorization goes to the host it was meant for and to no other.  A request that broke or
met a 5xx is tried again a few times; 429 never is, as that only prolongs the ban.  All
answers are treated as hostile: sizes, times and redirects are bounded.
"""

from __future__ import annotations

import time
from urllib.parse import SplitResult, urljoin, urlsplit

from core.errors import ProtocolError, RateLimited, Unreachable
from core.record import Record
from core.registry.transport.certificates import Certificates, make_context
from core.registry.transport.connection import PORTS, Connection
from core.registry.transport.failures import (
    is_final,
    rate_limited,
    server_failed,
    unreachable,
)
from core.registry.transport.quota import LIMITED_MAX_S, LIMITED_S
from core.registry.transport.response import CutShort, HttpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from core.registry.transport.response import Response
    from core.registry.transport.wire import Body, Check

ATTEMPTS = 4
BACKOFF_S = 0.5
"""Pause before the second attempt; doubled for each further one."""
MAX_REDIRECTS = 10
REDIRECTS = (301, 302, 303, 307, 308)
BROKEN = (OSError, HttpError)
"""What a broken connection raises."""


def _unheard(_: int) -> None:
    pass


class Request(Record):
    """What to ask; `url` is absolute."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    authorization: str = ""
    """Sent to the URL's own host only."""
    large: bool = False
    """The answer may take any time, as long as bytes come."""
    body: Body = b""
    sent: Callable[[int], None] = _unheard
    """Told how much of the body has left."""


class Answer:
    """An HTTP answer whose body is still to be read; close it, or read it to the end."""

    def __init__(self, response: Response, url: str, release: Callable[[bool], None]) -> None:
        self._response = response
        self._release: Callable[[bool], None] | None = release
        self.status = response.status
        self.url = url

    def header(self, name: str) -> str:
        """Return a header's value, empty if it is not there."""
        return self._response.header(name)

    def headers(self, name: str) -> list[str]:
        """Return all values of a header that may come several times."""
        return self._response.headers(name)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes as soon as some are there, b"" at the end.

        Raises OSError or HttpError when the connection breaks, also when it ends before the body.
        """
        if self._release is None:
            return b""
        chunk = self._response.read(size)
        if not chunk:
            if self._response.length:
                raise CutShort(self._response.length)
            self._finish(reusable=not self._response.will_close)
        return chunk

    def read_all(self, limit: int) -> bytes:
        """Return the whole body; ProtocolError when it is longer than `limit` bytes."""
        body = bytearray()
        while chunk := self.read(min(limit + 1 - len(body), 256 << 10)):
            body += chunk
            if len(body) > limit:
                self.close()
                raise ProtocolError(f"the answer is longer than {limit} bytes")
        return bytes(body)

    def close(self) -> None:
        """Let go of the connection, whatever has been read; idempotent."""
        empty = self._response.length == 0 and not self._response.will_close
        self._finish(reusable=empty)

    def _finish(self, *, reusable: bool) -> None:
        release, self._release = self._release, None
        if release:
            release(reusable)


def join(url: str, target: str) -> str:
    """Return where `target`, seen at `url`, leads; what is no address comes back as it is."""
    try:
        return urljoin(url, target)
    except ValueError:
        return target


def backoff(failures: int, check: Check) -> None:
    """Wait before the next attempt: twice as long after each failure."""
    end = time.monotonic() + BACKOFF_S * 2 ** (failures - 1)
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.1))


class Transport:
    """Sends requests and keeps connections for the next ones; safe between threads.

    `subject` names the registry in messages.  `timeout_s` bounds silence.  Every method
    raises what `check` raises.  `scheme` is what the registry is spoken to in; redirects and
    token servers may use another, but never plain HTTP where `secure`.
    """

    def __init__(
        self,
        subject: str,
        scheme: str,
        timeout_s: float,
        check: Check,
        *,
        certificates: Certificates | None = None,
        verify: bool = True,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.subject = subject
        self.scheme = scheme
        self.attempts = attempts
        self._verify = verify
        self._timeout_s = timeout_s
        self._check = check
        self._certificates = certificates or Certificates()
        self._answered = False
        self._limited: RateLimited | None = None
        self._limited_until = 0.0
        self._idle: dict[tuple[str, str], list[Connection]] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    @property
    def secure(self) -> bool:
        """Whether nobody in between can read or change what is said."""
        return self.scheme == "https" and self._verify

    def open(self, request: Request, attempts: int = 0) -> Answer:
        """Send a request, follow redirects, and return the answer, of whatever status < 500.

        Raises Unreachable after `attempts` (0: the transport's own number) broken connections
        or 5xx answers, RateLimited at once for 429 and then without asking for as long as that
        tells, ProtocolError for redirects that lead nowhere.
        """
        failures = 0
        while True:
            self._check()
            self._heed_limit()
            try:
                answer = self._follow(request)
                self._answered = True
                if answer.status >= 500:
                    failure: Unreachable = server_failed(answer, self.subject)
                elif answer.status == 429:
                    raise self._note_limit(rate_limited(answer, self.subject))
                else:
                    return answer
            except BROKEN as error:
                failure = unreachable(error, request.url, self.subject)
                failure.__cause__ = error
                restarts = self._answered and isinstance(error, ConnectionRefusedError)
                if is_final(error) and not restarts:
                    raise failure from error
            failures += 1
            if failures >= (attempts or self.attempts):
                raise failure
            backoff(failures, self._check)

    def _note_limit(self, error: RateLimited) -> RateLimited:
        wait_s = error.reset_at - time.time() if error.reset_at else LIMITED_S
        # What is waited for does not change when the host's clock is put right.
        self._limited_until = time.monotonic() + min(wait_s, LIMITED_MAX_S)
        self._limited = error
        return error

    def _heed_limit(self) -> None:
        told = self._limited
        if told and time.monotonic() < self._limited_until:
            raise RateLimited(
                told.message, reset_at=told.reset_at, hint=told.hint, subject=told.subject
            )

    def fetch(self, ask: Callable[[], Answer], limit: int, what: str) -> tuple[Answer, bytes]:
        """Return the answer that `ask` gets, with its whole body.

        A body that breaks off is asked for again.  Raises ProtocolError, naming `what`, for one
        longer than `limit` bytes, and what `ask` raises.
        """
        failures = 0
        while True:
            answer = ask()
            try:
                return answer, answer.read_all(limit)
            except BROKEN as error:
                failures += 1
                if failures >= self.attempts:
                    raise unreachable(error, answer.url, self.subject) from error
            except ProtocolError as error:
                raise ProtocolError(f"{what}: {error.message}", subject=self.subject) from None
            finally:
                answer.close()
            backoff(failures, self._check)

    def close(self) -> None:
        """Close idle connections."""
        while self._idle:
            for connection in self._idle.popitem()[1]:
                connection.close()

    def _follow(self, request: Request) -> Answer:
        origin = parts = self._split(request.url)
        authorization = request.authorization
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._send(request, parts, authorization)
            location = answer.header("Location")
            if answer.status not in REDIRECTS or not location:
                return answer
            answer.close()
            parts = self._split(join(parts.geturl(), location))
            if self.secure and parts.scheme == "http":
                raise ProtocolError(
                    f"{self.subject} redirects from HTTPS to plain HTTP at {parts.netloc}",
                    subject=self.subject,
                )
            if (parts.scheme, parts.netloc) != (origin.scheme, origin.netloc):
                if request.body and isinstance(request.body, bytes):
                    raise ProtocolError(
                        f"{self.subject} sends what was meant for it on to {parts.netloc}",
                        subject=self.subject,
                    )
                authorization = ""
        raise ProtocolError(
            f"{self.subject}: more than {MAX_REDIRECTS} redirects", subject=self.subject
        )

    def _send(self, request: Request, parts: SplitResult, authorization: str) -> Answer:
        headers = dict(request.headers)
        if authorization:
            headers["Authorization"] = authorization
        key = (parts.scheme, parts.netloc)
        if connection := self._idle_one(key):
            try:
                return self._ask(connection, key, request, parts, headers)
            except ConnectionError:
                if request.method == "PATCH":
                    raise  # some of it may have been taken
                # the server closed it while it was idle: that is no failure
        connection = Connection(parts, self._tls(parts), self._timeout_s, self._check)
        return self._ask(connection, key, request, parts, headers)

    def _idle_one(self, key: tuple[str, str]) -> Connection | None:
        """Return a connection that is kept and that the server has not closed meanwhile."""
        while True:
            try:
                connection = self._idle[key].pop()
            except (KeyError, IndexError):
                return None
            if not connection.stale:
                return connection
            connection.close()

    def _ask(
        self,
        connection: Connection,
        key: tuple[str, str],
        request: Request,
        parts: SplitResult,
        headers: dict[str, str],
    ) -> Answer:
        def release(reusable: bool) -> None:
            if reusable:
                self._idle.setdefault(key, []).append(connection)
            else:
                connection.close()

        try:
            response = connection.ask(
                request.method, parts, headers, request.body, request.sent, large=request.large
            )
        except BaseException:
            connection.close()
            raise
        return Answer(response, parts.geturl(), release)

    def _split(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            valid = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid or "@" in parts.netloc or not parts.netloc.isascii():
            raise ProtocolError(
                f"{self.subject} points to {url[:200]!r}, which is no web address",
                subject=self.subject,
            )
        return parts

    def _tls(self, parts: SplitResult) -> ssl.SSLContext | None:
        if parts.scheme != "https":
            return None
        context = self._contexts.get(parts.netloc)
        if context is None:
            context = make_context(self._certificates, parts.netloc, verify=self._verify)
            self._contexts[parts.netloc] = context
        return context
