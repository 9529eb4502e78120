"""Whom to trust and what to show in TLS: the system's authorities, and files by registry.

A directory `HOST:PORT` (or `HOST`) in one of the certs.d directories holds `*.crt`, authorities
to trust for that registry, and pairs of `NAME.cert` and `NAME.key`, which the registry is
shown: https://docs.docker.com/engine/security/certificates/
"""

from __future__ import annotations

import os

from core.errors import ConfigError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


class Certificates(Record):
    """Where certificates are: one file for all registries, and the certs.d directories."""

    ca_file: str = ""
    directories: tuple[str, ...] = ()


def make_context(certificates: Certificates, host: str, *, verify: bool) -> ssl.SSLContext:
    """Return TLS settings for the server `host` (with its port, where the URL has one).

    No other server sees what was put there for this one.  Raises ConfigError, naming the
    file, for one that cannot be used.
    """
    import ssl

    context = ssl.create_default_context()
    if certificates.ca_file:
        _trust(context, certificates.ca_file, "set registry.ca_file in config.toml")
    for directory in certificates.directories:
        for name in (host, host.rpartition(":")[0]):
            if name and os.path.isdir(f"{directory}/{name}"):
                _load(context, f"{directory}/{name}")
                break
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load(context: ssl.SSLContext, directory: str) -> None:
    for name in sorted(os.listdir(directory)):
        file = f"{directory}/{name}"
        if name.endswith(".crt"):
            _trust(context, file, "replace it, or take it away")
        elif name.endswith(".cert"):
            key = file.removesuffix(".cert") + ".key"
            if not os.path.exists(key):
                raise _unusable(file, f"its key {key} is missing", f"put the key into {key}")
            try:
                context.load_cert_chain(file, key, password=lambda: b"")
            except OSError as error:
                cause = error.strerror or str(error)
                raise _unusable(
                    file, cause, f"{key} must be its key, in PEM, unencrypted"
                ) from error


def _trust(context: ssl.SSLContext, file: str, hint: str) -> None:
    try:
        context.load_verify_locations(file)
    except OSError as error:
        raise _unusable(file, error.strerror or str(error), hint) from error


def _unusable(file: str, cause: str, hint: str) -> ConfigError:
    return ConfigError(f"the certificate {file} cannot be used: {cause}", hint=hint, subject=file)
