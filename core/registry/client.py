"""One registry, spoken to in the OCI distribution API.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import _thread
from urllib.parse import urlsplit

from core.errors import NotFound, ProtocolError, RegistryError, Unauthorized, Unreachable
from core.images.digest import check_digest, digest_of, is_digest
from core.images.manifest import ACCEPTED, MAX_SIZE
from core.images.reference import DOCKER_HUB, parse_host
from core.registry.auth import Authorizer
from core.registry.transport.certificates import Certificates
from core.registry.transport.failures import (
    describe_answer,
    is_final,
    printable,
    speaks_no_tls,
    unreachable,
)
from core.registry.transport.http import ATTEMPTS, BROKEN, Request, Transport, backoff, join
from core.registry.transport.proxy import is_loopback
from core.registry.transport.quota import read_quota

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from core.config import Config
    from core.registry.credentials import Credentials
    from core.registry.transport.http import Answer
    from core.registry.transport.quota import Quota
    from core.registry.transport.wire import Body

HUB_ENDPOINT = "registry-1.docker.io"
"""Where Docker Hub's API is; its name in references is docker.io."""
WEB = ("https://", "http://")
PAGE_ENTRIES = 1000
PAGE_MAX = 16 << 20
PAGES_MAX = 10_000
LIST_MAX = 1_000_000


class Blob:
    """A blob on its way; `start` is the offset of the first byte that comes."""

    def __init__(self, answer: Answer, start: int, host: str) -> None:
        self._answer = answer
        self._host = host
        self.start = start

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end; Unreachable when the connection breaks."""
        try:
            return self._answer.read(size)
        except BROKEN as error:
            raise unreachable(error, f"//{self._host}", self._host) from error

    def close(self) -> None:
        """Let go of the connection."""
        self._answer.close()


class RegistryClient:
    """Speaks to the registry `host`; safe between threads, to be closed.

    Loopback hosts are asked over HTTP first, those of registry.insecure over HTTPS without
    checking who answers and then over HTTP, all others over HTTPS.  All methods raise
    Unreachable, Unauthorized, RateLimited or ProtocolError, and what `check` raises.
    """

    def __init__(
        self,
        host: str,
        config: Config,
        *,
        check: Callable[[], None] = lambda: None,
        credentials: Credentials | None = None,
        timeout_s: float = 0,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.host = parse_host(host)
        self.quota: Quota | None = None
        self._endpoint = HUB_ENDPOINT if self.host == DOCKER_HUB else self.host
        self._insecure = self.host in config["registry", "insecure"]
        self._timeout_s = timeout_s or config["registry", "timeout_s"]
        self._certificates = Certificates(
            config["registry", "ca_file"], config["registry", "certs_dirs"]
        )
        self._check = check
        self._credentials = credentials
        self._attempts = attempts
        self._lock = _thread.allocate_lock()
        self._way: tuple[Transport, Authorizer] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept for the next request."""
        if self._way:
            self._way[0].close()

    @property
    def scheme(self) -> str:
        """Return http or https; asks the registry where both are possible."""
        return self._connect()[0].scheme

    @property
    def base(self) -> str:
        """Return the URL of the API, /v2/ included."""
        return self._url(self._connect()[0], "")

    def ping(self) -> None:
        """Return if the registry answers and lets us in."""
        answer = self._get("", "", "the registry")
        answer.close()

    def manifest(self, path: str, reference: str) -> tuple[bytes, str, str]:
        """Return a manifest or index, its media type and its digest, by tag or digest.

        Raises NotFound, and Corrupt if the content does not have the digest that was asked
        for or that the registry names.
        """
        mark = "@" if is_digest(reference) else ":"
        what = f"{self.host}/{path}{mark}{reference}"
        headers = (("Accept", ", ".join(ACCEPTED)),)
        answer, content = self._fetch(
            f"{path}/manifests/{reference}", pull_scope(path), what, MAX_SIZE, headers
        )
        digest = answer.header("Docker-Content-Digest")
        if is_digest(reference):
            digest = reference
        elif not is_digest(digest):
            digest = digest_of(content)
        check_digest(content, digest, what)
        return content, answer.header("Content-Type"), digest

    def digest_of_manifest(self, path: str, reference: str) -> str:
        """Return the digest that a tag or digest stands for, "" if it is not there: one HEAD."""
        what = f"{self.host}/{path}:{reference}"
        headers = (("Accept", ", ".join(ACCEPTED)),)
        target = f"{path}/manifests/{reference}"
        scope = pull_scope(path)
        answer = self.ask("HEAD", target, scope, what, headers, accepted=(200, 404))
        answer.close()
        if answer.status == 404:
            return ""
        digest = answer.header("Docker-Content-Digest")
        return digest if is_digest(digest) else self.manifest(path, reference)[2]

    def blob(self, path: str, digest: str, offset: int = 0) -> Blob:
        """Return a blob from `offset` on, or from 0 if the server knows no ranges.

        The content is not verified here.  Raises NotFound.
        """
        what = f"blob {digest} of {self.host}/{path}"
        if not offset:
            answer = self._get(f"{path}/blobs/{digest}", pull_scope(path), what, large=True)
            return Blob(answer, 0, self.host)
        answer = self._get(
            f"{path}/blobs/{digest}",
            pull_scope(path),
            what,
            (("Range", f"bytes={offset}-"),),
            large=True,
            accepted=(200, 206, 416),
        )
        if answer.status == 200:
            return Blob(answer, 0, self.host)
        if answer.status == 206 and answer.header("Content-Range").startswith(f"bytes {offset}-"):
            return Blob(answer, offset, self.host)
        answer.close()
        return self.blob(path, digest)

    def small_blob(self, path: str, digest: str, limit: int) -> bytes:
        """Return a blob as a whole, verified; Corrupt if it is not what its digest says."""
        what = f"blob {digest} of {self.host}/{path}"
        _, content = self._fetch(f"{path}/blobs/{digest}", pull_scope(path), what, limit)
        check_digest(content, digest, what)
        return content

    def document(
        self, url: str, what: str, limit: int, accepted: tuple[int, ...] = (200,)
    ) -> tuple[Answer, bytes]:
        """Return an answer with its whole body; only the registry's own host sees credentials."""
        return self._fetch(url, "", what, limit, accepted=accepted)

    def tags(self, path: str) -> Iterator[str]:
        """Return the tags of a repository, page by page as they are taken."""
        return self._list(f"{path}/tags/list", pull_scope(path), "tags", f"{self.host}/{path}")

    def catalog(self) -> Iterator[str]:
        """Return the repositories of the registry, page by page as they are taken."""
        return self._list("_catalog", "registry:catalog:*", "repositories", self.host)

    def pages(
        self, target: str, scope: str, what: str, accepted: tuple[int, ...] = (200,)
    ) -> Iterator[bytes]:
        """Return each page of a list, as they are taken; none behind one that is not 200.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-tags
        """
        seen: set[str] = set()
        while target:
            if target in seen or len(seen) > PAGES_MAX:
                raise ProtocolError(f"{what}: the list does not end", subject=self.host)
            seen.add(target)
            answer, body = self._fetch(target, scope, what, PAGE_MAX, accepted=accepted)
            if answer.status != 200:
                return
            yield body
            target = self._next_page(answer, what)

    def _connect(self) -> tuple[Transport, Authorizer]:
        with self._lock:
            if self._way is None:
                transport = self._find_way()
                self._way = transport, Authorizer(self.host, transport, self._credentials)
            return self._way

    def _find_way(self) -> Transport:
        """Return the transport of the first way to speak that the registry understands."""
        if self._insecure:
            ways = [("https", False), ("http", False)]
        elif is_loopback(urlsplit(f"//{self.host}").hostname or ""):
            ways = [("http", False), ("https", True)]
        else:
            return self._transport("https", verify=True)
        failures = 0
        while True:
            try:
                return self._try_ways(ways)
            except Unreachable as error:
                failures += 1
                cause = error.__cause__
                final = isinstance(cause, Exception) and is_final(cause)
                if final or failures >= self._attempts:
                    raise
                backoff(failures, self._check)

    def _try_ways(self, ways: list[tuple[str, bool]]) -> Transport:
        failure: RegistryError = ProtocolError(
            f"{self.host} speaks neither HTTP nor HTTPS", subject=self.host
        )
        for scheme, verify in ways:
            transport = self._transport(scheme, verify=verify)
            try:
                answer = transport.open(Request("GET", self._url(transport, "")), attempts=1)
            except Unreachable as error:
                if error.status:
                    return transport  # it fails, but in HTTP
                if not (isinstance(failure, Unreachable) and speaks_no_tls(error)):
                    failure = error
                if isinstance(error.__cause__, ConnectionRefusedError) and not self._insecure:
                    break
            else:
                answer.close()
                # To plain HTTP, a TLS server answers 400.
                if answer.status != 400 or scheme == "https":
                    return transport
        raise failure

    def _transport(self, scheme: str, *, verify: bool) -> Transport:
        return Transport(
            self.host,
            scheme,
            self._timeout_s,
            self._check,
            certificates=self._certificates,
            verify=verify,
            attempts=self._attempts,
        )

    def _url(self, transport: Transport, path: str) -> str:
        return f"{transport.scheme}://{self._endpoint}/v2/{path}"

    def ask(
        self,
        method: str,
        target: str,
        scope: str,
        what: str,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        large: bool = False,
        accepted: tuple[int, ...] = (200,),
        body: Body = b"",
        sent: Callable[[int], None] = lambda _: None,
        attempts: int = 0,
    ) -> Answer:
        """Return an answer of an accepted status; `what` names in errors what was asked for.

        `target` is a path below /v2/, or the URL that an earlier answer named.  Other statuses
        raise NotFound, Unauthorized or ProtocolError.
        """
        transport, authorizer = self._connect()
        url = target if target.startswith(WEB) else self._url(transport, target)
        if transport.secure and not url.startswith("https:"):
            raise ProtocolError(f"{self.host} wants {what} over plain HTTP", subject=self.host)
        known = urlsplit(url).netloc == self._endpoint
        request = Request(method, url, headers, "", large, body, sent)
        header = authorizer.header(scope) if known else ""
        answer = transport.open(request.replace(authorization=header), attempts)
        if answer.status == 401 and known:
            header = authorizer.respond(answer, scope, header)
            answer = transport.open(request.replace(authorization=header), attempts)
        self.quota = read_quota(answer) or self.quota
        if answer.status in accepted:
            return answer
        cause = authorizer.redact(describe_answer(answer))
        raise self._refused(answer.status, cause, what, authorizer)

    def _get(
        self,
        path: str,
        scope: str,
        what: str,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        large: bool = False,
        accepted: tuple[int, ...] = (200,),
    ) -> Answer:
        return self.ask("GET", path, scope, what, headers, large=large, accepted=accepted)

    def _refused(
        self, status: int, cause: str, what: str, authorizer: Authorizer
    ) -> RegistryError | NotFound:
        if status == 401:
            return authorizer.refusal(cause)
        if status == 403:
            return Unauthorized(
                f"{what}: access is denied: {cause}",
                hint=f"limpet login -u NAME {self.host}",
                subject=self.host,
                status=status,
            )
        if status == 404:
            return NotFound(
                f"{what} is not there: {cause}",
                hint=f"limpet registry catalog {self.host}",
                subject=what,
            )
        return ProtocolError(f"{what}: {cause}", subject=self.host, status=status)

    def _fetch(
        self,
        path: str,
        scope: str,
        what: str,
        limit: int,
        headers: tuple[tuple[str, str], ...] = (),
        accepted: tuple[int, ...] = (200,),
    ) -> tuple[Answer, bytes]:
        transport = self._connect()[0]
        return transport.fetch(
            lambda: self._get(path, scope, what, headers, accepted=accepted), limit, what
        )

    def _list(self, path: str, scope: str, key: str, what: str) -> Iterator[str]:
        count = 0
        for body in self.pages(f"{path}?n={PAGE_ENTRIES}", scope, what):
            names = read_names(body, key, what)
            count += len(names)
            if count > LIST_MAX:
                raise ProtocolError(f"{what}: the list of {key} does not end", subject=self.host)
            yield from names

    def _next_page(self, answer: Answer, what: str) -> str:
        link = next_link(answer.headers("Link"))
        if not link:
            return ""
        base = self._url(self._connect()[0], "")
        url = join(answer.url, link)
        if not url.startswith(base):
            raise ProtocolError(f"{what}: the next page is elsewhere: {printable(url)}")
        return url.removeprefix(base)


def read_names(body: bytes, key: str, what: str) -> list[str]:
    """Return the list under `key` of a JSON object; ProtocolError if it is none of names."""
    import json

    try:
        names = json.loads(body)[key] or []
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ProtocolError(f"{what}: the answer is no list of {key}") from None
    if not isinstance(names, list) or not all(
        isinstance(name, str) and name.isprintable() for name in names
    ):
        raise ProtocolError(f"{what}: the list of {key} holds something else")
    return names


def next_link(headers: list[str]) -> str:
    """Return the target of `rel="next"` among Link headers (RFC 8288), empty for none."""
    for header in headers:
        for link in header.split("<")[1:]:
            target, _, parameters = link.partition(">")
            if "rel=next" in parameters.replace('"', "").replace(" ", "").lower():
                return target
    return ""


def pull_scope(path: str) -> str:
    """Return what must be allowed to read from a repository."""
    return f"repository:{path}:pull"
