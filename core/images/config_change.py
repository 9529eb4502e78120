"""Changes to an image's config, written as Dockerfile instructions: `ENV A=b`, `CMD ["sh"]`.

Those that `docker commit --change` knows; https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import shlex

from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Settings = dict[str, Any]

UNITS_NS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
HEALTH_OPTIONS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod",
                  "start-interval": "StartInterval"}  # fmt: skip


def apply_changes(settings: Settings, changes: Sequence[str]) -> Settings:
    """Return a config's `config` object after the changes; UsageError for one that is none."""
    result = json.loads(json.dumps(settings))
    command_set = False
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        act = ACTIONS.get(word.upper())
        if act is None or not rest.strip():
            raise UsageError(
                f"{change!r} is no change of a config",
                hint=f"one of {', '.join(ACTIONS)} and what they take, as in a Dockerfile",
                subject=change,
            )
        try:
            act(result, rest.strip())
        except ValueError as error:
            raise UsageError(f"{change!r}: {error}", subject=change) from error
        command_set = command_set or word.upper() == "CMD"
        if word.upper() == "ENTRYPOINT" and not command_set:
            # As a Dockerfile does: the old command was meant for the old entry point.
            result.pop("Cmd", None)
    return dict(result)


def _array(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None  # a shell's own [
    return found if all(isinstance(word, str) for word in found) else None


def _command(name: str) -> Callable[[Settings, str], None]:
    def act(settings: Settings, text: str) -> None:
        words = _array(text)
        settings[name] = ["/bin/sh", "-c", text] if words is None else words

    return act


def _pairs(text: str) -> list[tuple[str, str]]:
    words = shlex.split(text)
    if words and "=" not in words[0]:
        name, _, value = text.partition(" ")  # the old form: ENV NAME any words
        return [(name, value.strip())]
    if not all("=" in word and not word.startswith("=") for word in words):
        raise ValueError("NAME=VALUE is expected")
    return [(word.partition("=")[0], word.partition("=")[2]) for word in words]


def _environment(settings: Settings, text: str) -> None:
    known = [str(entry) for entry in settings.get("Env") or []]
    for name, value in _pairs(text):
        entry = f"{name}={value}"
        place = next((n for n, old in enumerate(known) if old.partition("=")[0] == name), None)
        if place is None:
            known.append(entry)
        else:
            known[place] = entry
    settings["Env"] = known


def _labels(settings: Settings, text: str) -> None:
    settings["Labels"] = {**(settings.get("Labels") or {}), **dict(_pairs(text))}


def _expose(settings: Settings, text: str) -> None:
    ports = dict(settings.get("ExposedPorts") or {})
    for word in text.split():
        numbers, _, protocol = word.partition("/")
        first, _, last = numbers.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or int(last or first) > 65535:
            raise ValueError(f"{word!r} is no port")
        if protocol not in ("", "tcp", "udp", "sctp"):
            raise ValueError(f"{protocol!r} is no protocol")
        for port in range(int(first), int(last or first) + 1):
            ports[f"{port}/{protocol or 'tcp'}"] = {}
    settings["ExposedPorts"] = ports


def _volumes(settings: Settings, text: str) -> None:
    words = _array(text) or shlex.split(text)
    settings["Volumes"] = {**(settings.get("Volumes") or {}), **{word: {} for word in words}}


def _workdir(settings: Settings, text: str) -> None:
    import posixpath

    before = settings.get("WorkingDir") or "/"
    settings["WorkingDir"] = posixpath.normpath(posixpath.join("/", before, shlex.split(text)[0]))


def _health(settings: Settings, text: str) -> None:
    if text.upper() == "NONE":
        settings["Healthcheck"] = {"Test": ["NONE"]}
        return
    found: Settings = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option[2:].partition("=")
        if name == "retries" and value.isdigit():
            found["Retries"] = int(value)
        elif name in HEALTH_OPTIONS:
            found[HEALTH_OPTIONS[name]] = _nanoseconds(value)
        else:
            raise ValueError(f"{option} is no option of a health check")
        text = text.strip()
    word, _, rest = text.partition(" ")
    if word.upper() != "CMD" or not rest:
        raise ValueError("NONE, or CMD and a command, is expected")
    words = _array(rest.strip())
    found["Test"] = ["CMD-SHELL", rest.strip()] if words is None else ["CMD", *words]
    settings["Healthcheck"] = found


def _nanoseconds(text: str) -> int:
    """Return a duration as Go writes it: 1m30s, 500ms."""
    from re import findall, fullmatch

    if not fullmatch(r"(\d+(\.\d+)?(h|ms|m|us|s|ns))+", text):
        raise ValueError(f"{text!r} is not a duration such as 30s or 1m30s")
    return int(sum(
        float(number) * UNITS_NS[unit]
        for number, _, unit in findall(r"(\d+(\.\d+)?)(h|ms|m|us|s|ns)", text)
    ))  # fmt: skip


def _set(name: str) -> Callable[[Settings, str], None]:
    def act(settings: Settings, text: str) -> None:
        settings[name] = text

    return act


def _on_build(settings: Settings, text: str) -> None:
    settings["OnBuild"] = [*(settings.get("OnBuild") or []), text]


ACTIONS: dict[str, Callable[[Settings, str], None]] = {
    "CMD": _command("Cmd"),
    "ENTRYPOINT": _command("Entrypoint"),
    "ENV": _environment,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health,
    "LABEL": _labels,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _set("StopSignal"),
    "USER": _set("User"),
    "VOLUME": _volumes,
    "WORKDIR": _workdir,
}
