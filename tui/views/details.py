"""What is told about one container or image, as tabs of lines, made from its inspect document."""

from __future__ import annotations

from core.commands.show import ago, short, size
from tui.answers import visible
from tui.screens.detail.tab import Tab
from tui.screens.layers.lines import step_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from core.model import LayerInfo
    from tui.screens.detail.tab import Line

NEVER = "0001-01-01"
LABEL = 14
TONES = {"running": "good", "paused": "warn", "restarting": "warn", "stopping": "warn",
         "dead": "bad"}  # fmt: skip


def container_tabs(document: Mapping[str, Any]) -> list[Tab]:
    """Return the tabs of a container; `document` is as docker's API has it."""
    return [
        Tab("Overview", tuple(_overview(document))),
        Tab("Env", tuple(_env(document["Config"]["Env"] or ()))),
        Tab("Mounts, ports", (*_mounts(document["Mounts"] or ()), [], *_port_lines(document))),
        Tab("Health", tuple(_checks(document["State"].get("Health") or {}))),
        Tab("Inspect", data=document),
    ]


def image_tabs(
    document: Mapping[str, Any], history: Sequence[LayerInfo], uses: Callable[[], Sequence[Line]]
) -> list[Tab]:
    """Return the tabs of an image; `uses` reads the lines that tell what is made of it."""
    config = document["Config"]
    return [
        Tab("Overview", tuple(_image(document))),
        Tab("History", tuple(_history(history))),
        Tab("Uses", load=uses),
        Tab("Env", tuple(_env(config.get("Env") or []))),
        Tab("Labels", tuple(_pairs(config.get("Labels") or {}, "no labels"))),
        Tab("Inspect", data=document),
    ]


def _field(name: str, value: object, tone: str = "") -> list[Line]:
    """Return a line for a value; none for one that is not there."""
    text = visible(str(value)) if value not in (None, "", [], {}) else ""
    return [[(f"{name:<{LABEL}}", "dim"), (text, tone)]] if text else []


def _listed(name: str, values: Iterable[str]) -> list[Line]:
    lines: list[Line] = []
    for value in values:
        lines.append([(f"{'' if lines else name:<{LABEL}}", "dim"), (visible(value), "")])
    return lines


def _pairs(values: Mapping[str, Any], empty: str) -> list[Line]:
    if not values:
        return [[(empty, "dim")]]
    return [
        [(visible(name), "primary"), ("  ", ""), (visible(str(value)), "")]
        for name, value in sorted(values.items())
    ]


def _env(entries: Sequence[str]) -> list[Line]:
    return _pairs(dict(entry.partition("=")[::2] for entry in entries), "no environment")


def command_line(words: Sequence[str] | None) -> str:
    """Return words as a person would type them."""
    import shlex

    return shlex.join(words or ())


def _overview(document: Mapping[str, Any]) -> list[Line]:
    state, config, host = document["State"], document["Config"], document["HostConfig"]
    network = document["NetworkSettings"]
    lines = _field("name", document["Name"].lstrip("/"), "bold")
    lines += _field("state", *_state(state))
    lines += _field("error", state["Error"], "bad")
    lines += _health(state.get("Health") or {})
    lines += _field("started", _when(state["StartedAt"]))
    if not state["Running"]:
        lines += _field("ended", _when(state["FinishedAt"]))
    lines += _field("created", _when(document["Created"]))
    lines += [[]]
    lines += _field("command", command_line([document["Path"], *document["Args"]]))
    lines += _field("image", config["Image"])
    lines += _field("", document["Image"], "dim")
    lines += _field("user", config["User"])
    lines += _field("directory", config["WorkingDir"])
    lines += _field("terminal", "yes" if config["Tty"] else "")
    lines += [[]]
    networks = network.get("Networks") or {}
    if len(networks) > 1:
        lines += _listed("networks", _places(networks))
    else:
        lines += _field("network", host["NetworkMode"])
        lines += _field("address", network["IPAddress"])
    lines += _listed("ports", _ports(_bindings(document)))
    lines += _field("host name", config["Hostname"])
    lines += [[]]
    lines += _field("memory", size(host["Memory"]) if host["Memory"] else "")
    lines += _field("processors", host["NanoCpus"] / 1e9 if host["NanoCpus"] else "")
    lines += _field("processes", host["PidsLimit"])
    lines += _field("privileged", "yes" if host["Privileged"] else "", "warn")
    lines += _field("root", "read-only" if host["ReadonlyRootfs"] else "")
    lines += _field("more rights", ", ".join(host["CapAdd"] or ()), "warn")
    lines += _field("fewer rights", ", ".join(host["CapDrop"] or ()))
    lines += _field("removed", "when it ends" if host["AutoRemove"] else "")
    lines += _listed("labels", map("=".join, sorted((config["Labels"] or {}).items())))
    lines += _field("id", document["Id"], "dim")
    return lines


def _health(health: Mapping[str, Any]) -> list[Line]:
    words = health.get("Status", "")
    if words in ("", "none"):
        return []
    failed = health.get("FailingStreak") or 0
    streak = f", {failed} failure{'s' * (failed != 1)} in a row" if failed else ""
    tone = {"healthy": "good", "unhealthy": "bad"}.get(words, "warn")
    lines = _field("health", words + streak, tone)
    log = health.get("Log") or ()
    if log:
        lines += _field("last check", " ".join(str(log[-1].get("Output", "")).split())[:200], "dim")
    return lines


def _checks(health: Mapping[str, Any]) -> list[Line]:
    """Return how the health check stands, and its last results, newest first."""
    lines = _health(health)
    if not lines:
        return [
            [("no health check", "dim")],
            [("run --health-cmd, edit, or HEALTHCHECK in a Dockerfile sets one", "dim")],
        ]
    for check in reversed(health.get("Log") or ()):
        code = check.get("ExitCode")
        words = ("passed", "good") if code == 0 else (f"failed with {code}", "bad")
        lines += [[], [(_when(str(check.get("End", ""))), "dim"), ("  ", ""), words]]
        lines += [
            [(f"  {visible(line)}", "")] for line in str(check.get("Output", "")).splitlines()
        ]
    return lines


def _state(state: Mapping[str, Any]) -> tuple[str, str]:
    words, tone = state["Status"], TONES.get(state["Status"], "")
    if state["Running"]:
        return f"{words}, process {state['Pid']}", tone
    if words == "exited":
        words += f" with {state['ExitCode']}"
        tone = "bad" if state["ExitCode"] or state["OOMKilled"] else ""
    return words + (", out of memory" if state["OOMKilled"] else ""), tone


def _when(moment: str) -> str:
    """Return `2026-11-24 19:47:17 UTC, 3 hours ago`."""
    if not moment or moment.startswith(NEVER):
        return ""
    from datetime import datetime

    try:
        seconds = datetime.fromisoformat(moment[:19] + "+00:00").timestamp()
    except ValueError:
        return moment
    return f"{moment[:10]} {moment[11:19]} UTC, {ago(seconds)}"


def _places(networks: Mapping[str, Any]) -> Iterable[str]:
    """Yield each network with the container's addresses and names there."""
    for name, place in networks.items():
        addresses = (place.get("IPAddress"), place.get("GlobalIPv6Address"))
        aliases = ", ".join(place.get("Aliases") or ())
        words = [name, *filter(None, addresses), *([f"as {aliases}"] if aliases else [])]
        yield "  ".join(words)


def _bindings(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the ports that are published, or would be if it ran."""
    return document["NetworkSettings"]["Ports"] or document["HostConfig"]["PortBindings"] or {}


def _port_lines(document: Mapping[str, Any]) -> list[Line]:
    bindings = _bindings(document)
    closed = [inner for inner, outer in bindings.items() if not outer]
    lines = _listed("ports", _ports(bindings)) or [[("no published ports", "dim")]]
    return [*lines, *_field("not published", ", ".join(closed), "dim")]


def _ports(ports: Mapping[str, Any]) -> Iterable[str]:
    from core.network.ports.exposure import exposure

    for inner, outer in ports.items():
        for binding in outer or ():
            ip = binding["HostIp"] or "0.0.0.0"
            yield f"{ip}:{binding['HostPort'] or '?'} → {inner}, reached from {exposure(ip)}"


def _mounts(mounts: Sequence[Mapping[str, Any]]) -> list[Line]:
    if not mounts:
        return [[("no mounts", "dim")]]
    wide = max(len(mount["Destination"]) for mount in mounts)
    return [
        [
            (f"{visible(mount['Destination']):<{wide}}  ", "primary"),
            (f"{mount['Type']:<7}{'' if mount['RW'] else 'ro':<4}", "dim"),
            (visible(mount["Source"]), ""),
        ]
        for mount in mounts
    ]


def _image(document: Mapping[str, Any]) -> list[Line]:
    config = document["Config"]
    platform = "/".join(filter(None, (document["Os"], document["Architecture"],
                                      document["Variant"])))  # fmt: skip
    lines = _listed("names", document["RepoTags"] or ["<none>"])
    lines += _field("platform", platform)
    lines += _field("size", size(document["Size"]))
    lines += _field("created", _when(document["Created"]))
    lines += _field("author", document["Author"])
    lines += _listed("used by", document["UsedBy"])
    lines += [[]]
    lines += _field("entrypoint", command_line(config.get("Entrypoint")))
    lines += _field("command", command_line(config.get("Cmd")))
    lines += _field("user", config.get("User"))
    lines += _field("directory", config.get("WorkingDir"))
    lines += _listed("ports", config.get("ExposedPorts") or ())
    lines += _listed("volumes", config.get("Volumes") or ())
    lines += _field("stop signal", config.get("StopSignal"))
    lines += [[]]
    lines += _field("id", document["Id"], "dim")
    lines += _field("digest", document["Digest"], "dim")
    return lines


def _history(history: Sequence[LayerInfo]) -> list[Line]:
    return [
        [
            (f"{size(step.size_bytes) if step.diff_id else '-':>8}  ", ""),
            (f"{short(step.diff_id):<12}  ", "faint"),
            (step_words(step), "" if step.diff_id else "dim"),
        ]
        for step in reversed(history)
    ]
