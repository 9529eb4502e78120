"""Who may come in: Basic authentication (RFC 7617) against a file of htpasswd(1).

Only bcrypt entries count, as with docker's registry: the older kinds are broken within hours.
The file is read again whenever it has changed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os

from core.errors import ConfigError

BCRYPT = ("$2y$", "$2b$", "$2a$")
UNKNOWN = "$2b$10$Hm7NgiTqooEKgH9bYlB0gOKRZTrvtvmkZk5ff23D90u/5I9ZN5YnK"
"""Checked in the place of an unknown user's entry, so that the time does not tell who exists."""


class Htpasswd:
    """The users of one file; checks take tens of milliseconds, those that passed are kept."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, str] = {}
        self._passed: set[bytes] = set()
        self._key = os.urandom(32)
        self._read()

    def allows(self, header: str) -> bool:
        """Return whether an Authorization header names a user and the right password."""
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, colon, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        self._read()
        entry = self._users.get(user, UNKNOWN)
        # With the entry: one that was checked while the file changed must not pass for the new.
        pair = f"{entry}\n{header}".encode("utf-8", "replace")
        seen = hmac.new(self._key, pair, hashlib.sha256).digest()
        if seen in self._passed:
            return True
        import bcrypt

        try:
            right = bcrypt.checkpw(password.encode()[:72], entry.encode())
        except ValueError:
            return False
        if not colon or not right or user not in self._users:
            return False
        self._passed.add(seen)
        return True

    def _read(self) -> None:
        try:
            facts = os.stat(self._path)
            stamp = facts.st_mtime_ns, facts.st_size
            if stamp == self._stamp:
                return
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            if self._stamp:
                return  # it is being written anew: the users known so far stay
            raise ConfigError(
                f"{self._path}: {getattr(error, 'strerror', None) or error}",
                hint=f"htpasswd -Bc {self._path} NAME makes it",
                subject=self._path,
            ) from error
        entries = [line.strip().partition(":") for line in lines if line.strip()]
        self._users = {name: entry for name, _, entry in entries if entry.startswith(BCRYPT)}
        if not self._users:
            raise ConfigError(
                f"{self._path} names no user with a bcrypt password",
                hint=f"htpasswd -B {self._path} NAME adds one",
                subject=self._path,
            )
        self._stamp = stamp
        self._passed.clear()
