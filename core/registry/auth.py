"""How a registry lets us in: not at all, with Basic, or with a token from its token server.

https://distribution.github.io/distribution/spec/auth/token/ and RFC 9110, section 11.
Secrets are never part of an error.
"""

from __future__ import annotations

import _thread
import time
from urllib.parse import urlencode

from core.errors import ConfigError, ProtocolError, Unauthorized
from core.record import Record
from core.registry.credentials import IDENTITY_TOKEN_USER, find_credentials
from core.registry.transport.failures import describe_answer
from core.registry.transport.http import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.registry.credentials import Credentials
    from core.registry.transport.http import Answer, Transport

TOKEN_MAX = 1 << 20
DEFAULT_LIFE_S = 60
"""How long a token lives whose server does not say."""
_BLANK = " \t"
_SEPARATORS = frozenset('()<>@,;:\\"/[]?={} \t')


class Challenge(Record):
    """One way in that a server offers; scheme and parameter names in lower case."""

    scheme: str
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """Return a parameter, empty if it is not there."""
        return dict(self.parameters).get(name, "")


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Read WWW-Authenticate headers; what does not parse is left out."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for value in values:
        position = 0
        while position < len(value):
            word, position = _token(value, _skip(value, position, _BLANK + ","))
            if not word:
                position += 1
                continue
            after = _skip(value, position, _BLANK)
            if value[after : after + 1] == "=" and found:
                content, position = _value(value, _skip(value, after + 1, _BLANK))
                found[-1][1].append((word.lower(), content))
            else:
                found.append((word.lower(), []))
    return [Challenge(scheme, tuple(parameters)) for scheme, parameters in found]


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _token(text: str, position: int) -> tuple[str, int]:
    start = position
    while position < len(text) and text[position] not in _SEPARATORS:
        position += 1
    return text[start:position], position


def _value(text: str, position: int) -> tuple[str, int]:
    if text[position : position + 1] != '"':
        start = position
        while position < len(text) and text[position] not in ", \t":
            position += 1
        return text[start:position], position
    content = []
    position += 1
    while position < len(text) and text[position] != '"':
        if text[position] == "\\":
            position += 1
        content.append(text[position : position + 1])
        position += 1
    return "".join(content), position + 1


def _refresh(realm: str, service: str, scope: str, token: str) -> Request:
    """Return the request that turns an identity token into one for a scope.

    https://distribution.github.io/distribution/spec/auth/oauth/
    """
    form = [
        ("grant_type", "refresh_token"),
        ("service", service),
        ("client_id", "limpet"),
        ("scope", scope),
        ("refresh_token", token),
    ]
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    return Request("POST", realm, (kind,), body=urlencode(form).encode())


class Authorizer:
    """Finds the Authorization header for each scope; safe between threads.

    Credentials are looked for when a server first asks for them.
    """

    def __init__(self, host: str, transport: Transport, credentials: Credentials | None) -> None:
        self._host = host
        self._transport = transport
        self._credentials = credentials
        self._looked = credentials is not None
        self._problem = ""
        self._lock = _thread.allocate_lock()
        self._basic = ""
        self._tokens: dict[str, tuple[str, float]] = {}

    def header(self, scope: str) -> str:
        """Return the header that let us in before, empty for none or an expired one."""
        header, until = self._tokens.get(scope, ("", 0.0))
        return header if time.monotonic() < until else self._basic

    def respond(self, answer: Answer, scope: str, refused: str) -> str:
        """Return a header that answers a 401; `refused` is what was sent.

        Closes the answer.  Raises Unauthorized when there is nothing better to show.
        """
        challenges = parse_challenges(answer.headers("WWW-Authenticate"))
        cause = describe_answer(answer)
        with self._lock:
            current = self.header(scope)
            if current and current != refused:
                return current  # another thread was faster
            self._tokens.pop(scope, None)
            for challenge in challenges:
                if challenge.scheme == "bearer" and challenge.get("realm"):
                    return self._bearer(challenge, scope)
                if challenge.scheme == "basic" and not refused:
                    self._basic = self._basic_header()
                    if self._basic:
                        return self._basic
            raise self.refusal(cause)

    def refusal(self, cause: str) -> Unauthorized:
        """Return the error for a registry that does not let us in."""
        credentials = self._find()
        if credentials:
            message = f"{self._host} refuses {credentials.user}: {self.redact(cause)}"
        elif self._problem:
            message = f"{self._host} asks for credentials, and {self._problem}"
        else:
            message = f"{self._host} asks for credentials: {cause}"
        return Unauthorized(
            message, hint=f"limpet login -u NAME {self._host}", subject=self._host, status=401
        )

    def redact(self, text: str) -> str:
        """Return what a server said without the secrets it may have repeated."""
        secrets = [self._basic.partition(" ")[2]]
        secrets += [header.partition(" ")[2] for header, _ in self._tokens.values()]
        if self._credentials:
            secrets.append(self._credentials.password)
        for secret in filter(None, secrets):
            text = text.replace(secret, "…")
        return text

    def _find(self) -> Credentials | None:
        if not self._looked:
            self._looked = True
            try:
                self._credentials = find_credentials(self._host)
            except ConfigError as error:
                self._problem = error.message
        return self._credentials

    def _basic_header(self) -> str:
        from base64 import b64encode

        credentials = self._find()
        if credentials is None:
            return ""
        if credentials.user == IDENTITY_TOKEN_USER:
            raise Unauthorized(
                f"what is stored for {self._host} is an identity token, and it asks for a password",
                hint=f"limpet login -u NAME {self._host}",
                subject=self._host,
            )
        pair = f"{credentials.user}:{credentials.password}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    def _bearer(self, challenge: Challenge, scope: str) -> str:
        realm = challenge.get("realm")
        if not realm.lower().startswith("https://") and self._transport.secure:
            raise ProtocolError(
                f"{self._host} wants credentials sent without TLS, to {realm[:200]!r}",
                subject=self._host,
            )
        credentials = self._find()
        if credentials and credentials.user == IDENTITY_TOKEN_USER:
            request = _refresh(realm, challenge.get("service"), scope, credentials.password)
            return self._exchange(request, scope)
        query = [("service", challenge.get("service"))] if challenge.get("service") else []
        query += [("scope", one) for one in scope.split()]
        mark = "&" if "?" in realm else "?"
        url = realm + (mark + urlencode(query) if query else "")
        return self._exchange(Request("GET", url, authorization=self._basic_header()), scope)

    def _exchange(self, request: Request, scope: str) -> str:
        answer, body = self._transport.fetch(
            lambda: self._transport.open(request), TOKEN_MAX, f"{self._host}: the token server"
        )
        if answer.status in (400, 401, 403):
            raise self.refusal(f"its token server answers {answer.status}")
        if answer.status != 200:
            raise ProtocolError(
                f"{self._host}: the token server answers HTTP {answer.status}",
                subject=self._host,
                status=answer.status,
            )
        token, life_s = self._read_token(body)
        self._tokens[scope] = (f"Bearer {token}", time.monotonic() + life_s * 0.9)
        return f"Bearer {token}"

    def _read_token(self, body: bytes) -> tuple[str, float]:
        import json

        try:
            document = json.loads(body)
            token = document.get("token") or document.get("access_token")
            life_s = document.get("expires_in") or DEFAULT_LIFE_S
        except (ValueError, AttributeError, RecursionError):
            token = life_s = None
        if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
            raise ProtocolError(
                f"{self._host}: the token server sends no token", subject=self._host
            )
        if not isinstance(life_s, int | float):
            life_s = DEFAULT_LIFE_S
        return token, min(max(life_s, 0), 86400)
