"""The settings a person can change, each with its default, and the reader of config.toml.

`/etc/limpet/config.toml` is read first, then the user's own file; the later one wins key
by key.  `SECTIONS` is the only list of keys: the reader, the error messages and
`config.toml.example` are made from it.
"""

from __future__ import annotations

import os

from core.errors import ConfigError
from core.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Key(Record):
    """One setting: the default also gives its type."""

    name: str
    default: Any
    help: str


SECTIONS: dict[str, tuple[Key, ...]] = {
    "storage": (
        Key(
            "data_root",
            "",
            "what survives a reboot; empty: /var/lib/limpet, or the user's XDG data directory",
        ),
        Key(
            "run_root",
            "",
            "sockets and locks; empty: /run/limpet, or the user's XDG runtime directory",
        ),
        Key("trash_s", 3600, "seconds that undo can bring back what was removed; 0: never"),
        Key("trash_free_percent", 10, "with less of the disk free than this, nothing is kept"),
    ),
    "registry": (
        Key("default", "docker.io", "registry of a reference that names none"),
        Key("insecure", (), "registries spoken to over plain HTTP; loopback addresses always may"),
        Key("ca_file", "", "PEM file of authorities to trust besides the system's"),
        Key(
            "certs_dirs",
            ("/etc/limpet/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d"),
            "each may hold HOST:PORT/*.crt (authorities), *.cert and *.key (client certificates)",
        ),
        Key("parallel_layers", 4, "layers fetched side by side"),
        Key("timeout_s", 30, "seconds without a byte before a connection is given up"),
    ),
    "registry_server": (
        Key(
            "s3",
            "",
            "what is pushed to registry serve goes to this bucket, s3://BUCKET[/PREFIX]",
        ),
        Key("s3_endpoint", "", "address of an S3 that is not Amazon's, https://minio:9000"),
        Key(
            "s3_redirect", False, "send clients to the bucket for blobs instead of passing them on"
        ),
    ),
    "image": (
        Key("max_layer_bytes", 64 << 30, "an unpacked layer larger than this is refused as a bomb"),
        Key(
            "max_layer_files", 5_000_000, "a layer with more entries than this is refused as a bomb"
        ),
    ),
    "container": (
        Key("network", "bridge", "network of a container that names none"),
        Key(
            "pids_limit",
            4096,
            "processes in a container that sets no limit of its own; 0: no limit",
        ),
        Key("stop_timeout_s", 10, "seconds between the stop signal and SIGKILL"),
        Key("log_max_bytes", 10 << 20, "a container's log file is rotated at this size"),
        Key("log_max_files", 3, "rotated log files kept, the current one included"),
        Key(
            "detach_keys",
            "ctrl-p,ctrl-q",
            "keys that leave a container's terminal and let it run on",
        ),
    ),
    "network": (
        Key("bridge", "limpet0", "the default network's bridge device, and its nftables table"),
        Key(
            "subnet",
            "10.89.0.0/16",
            "the default network's IPv4 subnet; the first address is the gateway's",
        ),
        Key(
            "subnet6",
            "",
            "the default network's IPv6 subnet, e.g. fd00:1::/64; empty: it has no IPv6",
        ),
        Key("mtu", 1500, "largest packet on the default network, in bytes"),
        Key("pool", "10.90.0.0/15", "network create takes its subnets from here, a /24 each"),
        Key("publish_ip", "0.0.0.0", "address that -p PORT:PORT binds when it names none"),
        Key("dns", (), "name servers for containers; empty: the host's, loopback ones left out"),
    ),
    "tui": (
        Key(
            "theme",
            "limpet",
            "colours: limpet, limpet-light, limpet-contrast, limpet-terminal, or one of Textual's",
        ),
        Key("ascii", False, "draw with ASCII signs only"),
        Key(
            "notify_s",
            10,
            "tell the terminal of the end of jobs that took so many seconds; 0: never",
        ),
        Key("mouse", True, "let the app see the mouse; off: the terminal selects text"),
        Key("refresh_s", 1.0, "seconds between two readings of usage"),
        Key(
            "log_max_bytes", 32 << 20, "bytes a log view keeps; the oldest fall out and are counted"
        ),
        Key("frame_diff", True, "send only the cells that changed"),
        Key("pane", False, "show containers' terminals in a pane beside the tables, not alone"),
    ),
}
"""Every setting by section.  `[aliases]` and `[keys]` take free names, see `Config`."""

FREE_SECTIONS = {
    "aliases": 'words of your own for a command line, e.g. lt = "logs --tail 100"',
    "keys": 'K = "kill {names}": {name} is the row, {names} all that are marked; K = "": no key',
    "mirrors": '"REGISTRY" = "HOST[:PORT][/PREFIX] …": pulls ask these first, in this order',
}


SYNC_EXAMPLE = """
# What `limpet sync` keeps alike; each rule begins with [[sync]].
# [[sync]]
# name = "nginx"
# HOST/PATH, HOST/PATH/*, store, store:PATTERN, oci:DIRECTORY or dir:DIRECTORY
# from = "docker.io/library/nginx"
# to = "registry.local:5000/mirror/nginx"
# tags = ["1.2*", "stable"]                  # names or patterns, any of them
# regex = '1\\.[0-9]+'                       # and the whole tag
# semver = ">=1.25 <2"                       # and a range of versions
# since = 2024-05-01                         # and made no earlier
# newest = 5                                 # of those, so many
# platforms = ["linux/amd64"]                # only these images of an index
# delete = true                              # take away what else is there
# referrers = true                           # also their signatures, SBOMs and attestations: off,
#                                            # as looking for new ones asks both ends for each image
""".splitlines()
"""How the tables of [[sync]] are written; `core.registry.sync.rules` reads them."""


class Config:
    """The settings in force.  `config["network", "bridge"]` is one value."""

    def __init__(
        self,
        values: Mapping[tuple[str, str], Any] | None = None,
        free: Mapping[str, Mapping[str, str]] | None = None,
        files: tuple[str, ...] = (),
        sync: tuple[dict[str, Any], ...] = (),
    ) -> None:
        self._values = dict(values or {})
        self._free = {name: dict((free or {}).get(name, {})) for name in FREE_SECTIONS}
        self.files = files
        self.sync = sync
        """The tables of [[sync]], as they are written; `core.registry.sync.rules` reads them."""

    def __getitem__(self, key: tuple[str, str]) -> Any:
        if key in self._values:
            return self._values[key]
        section, name = key
        return next(k.default for k in SECTIONS[section] if k.name == name)

    @property
    def aliases(self) -> dict[str, str]:
        """Command lines by the word that stands for them."""
        return self._free["aliases"]

    @property
    def mirrors(self) -> dict[str, str]:
        """Mirrors, separated by blanks, by the registry they stand in for."""
        return self._free["mirrors"]

    @property
    def keys(self) -> dict[str, str]:
        """Command lines by the key that runs them."""
        return self._free["keys"]


def config_files() -> tuple[str, ...]:
    """Return the files that are read, in order, whether they exist or not."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME", "/"), ".config")
    named = os.environ.get("LIMPET_CONFIG")
    if named:
        return (named,)
    return ("/etc/limpet/config.toml", f"{home}/limpet/config.toml")


def load_config(files: tuple[str, ...] | None = None) -> Config:
    """Read the configuration files that exist.

    Raises ConfigError for bad TOML, an unknown key or a wrong type; the message names the
    file, the key and what is expected.
    """
    values: dict[tuple[str, str], Any] = {}
    free: dict[str, dict[str, str]] = {}
    sync: list[dict[str, Any]] = []
    found = []
    for path in files if files is not None else config_files():
        try:
            with open(path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}", subject=path) from error
        found.append(path)
        document = _parse(path, text)
        sync += _sync_tables(path, document.pop("sync", []))
        _merge(path, document, values, free)
    return Config(values, free, tuple(found), tuple(sync))


def _parse(path: str, text: bytes) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(text.decode())
    except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", subject=path) from error


def _sync_tables(path: str, tables: Any) -> list[dict[str, Any]]:
    if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
        return tables
    raise ConfigError(
        f"{path}: sync is not a list of rules",
        hint='each rule begins with [[sync]], and has name = "…", from = "…", to = "…"',
        subject=path,
    )


def _merge(
    path: str,
    document: dict[str, Any],
    values: dict[tuple[str, str], Any],
    free: dict[str, dict[str, str]],
) -> None:
    for section, content in document.items():
        if not isinstance(content, dict):
            raise ConfigError(
                f"{path}: {section} = … stands outside a section",
                hint=f"sections are: {', '.join((*SECTIONS, *FREE_SECTIONS))}",
                subject=path,
            )
        if section in FREE_SECTIONS:
            for name, value in content.items():
                free.setdefault(section, {})[name] = _checked(path, section, name, value, "")
        elif section in SECTIONS:
            for name, value in content.items():
                default = _default(path, section, name)
                values[section, name] = _checked(path, section, name, value, default)
        else:
            raise _unknown(path, f"[{section}]", (*SECTIONS, *FREE_SECTIONS))


def _default(path: str, section: str, name: str) -> Any:
    for key in SECTIONS[section]:
        if key.name == name:
            return key.default
    raise _unknown(path, f"{section}.{name}", tuple(key.name for key in SECTIONS[section]))


def _unknown(path: str, name: str, known: tuple[str, ...]) -> ConfigError:
    import difflib

    near = difflib.get_close_matches(name.rpartition(".")[2].strip("[]"), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}"
    return ConfigError(f"{path}: unknown key {name}", hint=hint, subject=path)


def _checked(path: str, section: str, name: str, value: Any, default: Any) -> Any:
    """Return `value` as the type of `default`; a TOML array of strings becomes a tuple."""
    if isinstance(default, tuple):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        expected = "an array of strings"
    elif isinstance(default, bool):
        if isinstance(value, bool):
            return value
        expected = "true or false"
    elif isinstance(default, float):
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        expected = "a number above 0"
    elif isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        expected = "a whole number, 0 or more"
    else:
        if isinstance(value, str):
            return value
        expected = "a string"
    raise ConfigError(f"{path}: {section}.{name} = {value!r} must be {expected}", subject=path)


def example() -> str:
    """Return the text of config.toml.example: every key, commented out, with its default."""
    lines = [
        "# limpet's settings, each with its default.",
        "# Read from /etc/limpet/config.toml, then ~/.config/limpet/config.toml.",
    ]
    for section, keys in SECTIONS.items():
        lines += ["", f"[{section}]"]
        for key in keys:
            lines += [f"# {key.help}", f"# {key.name} = {_toml(key.default)}"]
    for section, text in FREE_SECTIONS.items():
        lines += ["", f"[{section}]", f"# {text}"]
    return "\n".join([*lines, *SYNC_EXAMPLE]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
