"""Command lines: right ones, nearly right ones and wrong ones, made from the grammar itself."""

from __future__ import annotations

from core.commands import load_all
from core.commands.keys import APP_WORDS
from core.record import Record
from tui.addresses import SCREENS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random

    from core.commands.grammar import Arg, Verb

VALUES = (
    "1", "0", "-1", "64m", "10s", "1.5", "x=y", "=", "", "''", "80:80", "127.0.0.1:0:80/udp",
    "99999999999999999999", "{{.Names}}", "{{", "json", "..", "/", "日本語", "$(id)", "a b",
    "sha256:0", "-", "--", "tty=1", "all",
)  # fmt: skip
WHOLE = (
    "ps -a", "images", "stats --no-stream", "system df", "help run", "clear", "tour", "theme",
    "jobs", "run -d --network none starter sleep 30", "run -it --rm --network none starter sh",
    "run -d starter sh -c 'while :; do date; sleep 0.1; done'", "image starter",
    "pane exec -it looper sh", "pane run -it --rm --network none starter sh",
    "exec -it looper sh", "logs looper | grep 1", "logs -f looper | head",
    "logs looper looper2", "ps -a | less", "!echo a", "!", "! vi scratch", "!seq 20000", "!cat",
    "events | wc", "ps | sort | uniq | wc -l", "build -t built context",
    "build --watch -t built context", "build --no-cache context", "debug sh", "sync run",
    "sync plan", "updates", "undo", "system prune -f", "container prune", "image prune -a",
    "volume prune -a", "network prune", "save -o saved.tar starter", "load -i saved.tar",
    "cp looper:/etc .", "commit looper committed", "export -o root.tar looper", "diff looper",
    "top looper", "edit looper", "edit looper --memory 64m",
    "container update looper --memory 128m", "image fsck", "image find passwd",
    "image diff starter built", "image browse starter", "network create net",
    "volume create vol", "network connect net looper", "cancel 1", "cancel", "back", "forward",
    "alias-word", "several", "search app", "login nowhere -u x", "registry ls --probe",
    "doctor", "config", "ps && images || ps; ps", "wait looper", "attach looper",
    "restart looper", "rename looper looper", "history starter", "inspect looper",
)  # fmt: skip

TAILS = (" |", " &&", " '", ' "', " \\", " | head -1", " || ps", ";;", " | nonesuch")


class Names(Record):
    """What there is to be named."""

    containers: tuple[str, ...]
    images: tuple[str, ...]
    remote: tuple[str, ...]
    hosts: tuple[str, ...]


def addresses(names: Names) -> list[str]:
    """Return where `go` leads."""
    found = ["containers", "images", "registries", "jobs", "networks", "volumes", "disk", "doctor",
             "sync", "updates", "events", "job 1", "job 99", "ps -a", "image find passwd", "none",
             "config", "stats --no-stream", "rm looper"]  # fmt: skip
    for name in (*names.containers, "nobody"):
        found += [f"containers {name} {view}" for view in ("", *SCREENS["containers"])]
    for name in (*names.images, "nothing"):
        found += [f"images {name} {view}" for view in ("", *SCREENS["images"])]
    for host in names.hosts:
        found += [f"registries {host}", f"registries {host}/app"]
    found += [f"registries {name} {view}" for name in names.remote for view in ("", "layers")]
    found += [f"compare {one} {other}" for one in names.images[:3] for other in names.images[:3]]
    return found


def line(choice: random.Random, names: Names) -> str:
    """Return a command line."""
    kind = choice.random()
    if kind < 0.45:
        return choice.choice(WHOLE)
    if kind < 0.5:
        return f"{choice.choice([*APP_WORDS])} {choice.choice(VALUES)}"
    verbs = sorted(set(load_all().values()), key=lambda verb: verb.name)
    made = _line(choice, names, choice.choice(verbs))
    if kind < 0.85:
        return made
    if kind < 0.9:  # a half
        return made[: choice.randrange(len(made) + 1)]
    if kind < 0.95:
        return made + choice.choice(TAILS)
    letters = list(made)
    for _ in range(3):
        letters.insert(choice.randrange(len(letters) + 1), choice.choice("'\"|&-= \\日"))
    return "".join(letters)


def _line(choice: random.Random, names: Names, verb: Verb) -> str:
    words = [verb.name]
    for arg in verb.args.declared:
        if arg.flags and choice.random() < 0.12:
            words.append(choice.choice(arg.flags))
            if not arg.is_flag:
                words.append(_value(choice, names, arg))
    for arg in verb.args.declared:
        if not arg.flags and (arg.required or choice.random() < 0.5):
            count = 2 if arg.many and choice.random() < 0.3 else 1
            words += [_value(choice, names, arg) for _ in range(count)]
    return " ".join(words)


def _value(choice: random.Random, names: Names, arg: Arg) -> str:
    if choice.random() < 0.1:
        return choice.choice(VALUES)
    if arg.choices:
        return choice.choice(arg.choices)
    pool = {
        "container": names.containers, "running": names.containers, "stopped": names.containers,
        "image": names.images, "remote-image": names.remote, "registry": names.hosts,
        "path": ("scratch", "context", ".", "/etc/hostname", "saved.tar", "nowhere/x"),
        "copy-end": (*(f"{name}:/etc" for name in names.containers), "scratch", ".", "-"),
        "network": ("bridge", "none", "host", "net"), "volume": ("vol", "vol2"),
        "signal": ("TERM", "KILL", "HUP", "0", "WINCH"),
    }.get(arg.complete)  # fmt: skip
    if arg.rest:
        return choice.choice(("sh", "true", "sleep 5", "sh -c 'seq 1000'", "nonesuch", "cat", "vi"))
    return choice.choice(pool or VALUES)
