"""Words to limits, devices and namespaces, as docker writes them.

Every function takes one word and raises ValueError saying what was expected.
"""

from __future__ import annotations

from core.commands.options import values

ULIMITS = ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
           "nproc", "rss", "rtprio", "rttime", "sigpending", "stack")  # fmt: skip
RLIMIT_NAMES = {"locks": ""}
"""Of those, what Python's `resource` does not know."""


def ulimit(word: str) -> tuple[str, int, int]:
    """Parse NAME=SOFT[:HARD]; -1 or unlimited is none."""
    name, _, numbers = word.partition("=")
    if name not in ULIMITS or name in RLIMIT_NAMES:
        raise ValueError(f"{name!r} is no ulimit; they are {', '.join(ULIMITS)}")
    soft_word, colon, hard_word = numbers.partition(":")
    soft = _limit(soft_word)
    hard = _limit(hard_word) if colon else soft
    if hard >= 0 and (soft > hard or soft < 0):
        raise ValueError(f"{word!r}: the soft limit is above the hard one")
    return name, soft, hard


def _limit(word: str) -> int:
    value = -1 if word in ("unlimited", "-1") else values.whole(word)
    if value >= 1 << 63:
        raise ValueError(f"{word} is out of range; unlimited is -1")
    return value


def swap(word: str) -> int:
    """Parse memory and swap together; -1 is no limit to swap."""
    return -1 if word == "-1" else values.size(word)


def cpu_set(word: str) -> str:
    """Check a list of processors or memory nodes such as 0-2,4."""
    for part in word.split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise ValueError(f"{word!r} is not a list such as 0-2,4")
    return word


def shares(word: str) -> int:
    """Parse --cpu-shares."""
    value = values.whole(word)
    if not 2 <= value <= 262144:
        raise ValueError(f"{word}: shares go from 2 to 262144, 1024 is the usual")
    return value


def weight(word: str) -> int:
    """Parse --blkio-weight."""
    value = values.whole(word)
    if not 10 <= value <= 1000:
        raise ValueError(f"{word}: weights go from 10 to 1000")
    return value


def percent(word: str) -> int:
    """Parse --memory-swappiness."""
    value = values.whole(word)
    if not 0 <= value <= 100:
        raise ValueError(f"{word}: it goes from 0 to 100")
    return value


def oom_score(word: str) -> int:
    """Parse --oom-score-adj."""
    value = values.whole(word)
    if not -1000 <= value <= 1000:
        raise ValueError(f"{word}: it goes from -1000 to 1000")
    return value


def bytes_rate(word: str) -> tuple[str, int]:
    """Parse DEVICE:BYTES of --device-read-bps."""
    path, _, rate = word.partition(":")
    _check_device(path)
    return path, values.size(rate)


def operations_rate(word: str) -> tuple[str, int]:
    """Parse DEVICE:NUMBER of --device-read-iops."""
    path, _, rate = word.partition(":")
    _check_device(path)
    return path, values.whole(rate)


def device(word: str) -> tuple[str, str, str]:
    """Parse HOST[:CONTAINER][:RIGHTS]."""
    host, _, rest = word.partition(":")
    inside, _, rights = rest.partition(":")
    if inside and not inside.startswith("/"):
        inside, rights = "", inside
    inside, rights = inside or host, rights or "rwm"
    _check_device(host)
    if not inside.startswith("/"):
        raise ValueError(f"{inside!r} is not an absolute path in the container")
    if not set(rights) <= set("rwm"):
        raise ValueError(f"{rights!r}: rights are of r, w and m")
    return host, inside, rights


def _check_device(path: str) -> None:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not the path of a device of the host")


def device_rule(word: str) -> str:
    """Check a rule such as `c 10:200 rwm`."""
    parts = word.split()
    if len(parts) == 3 and parts[0] in ("a", "b", "c") and set(parts[2]) <= set("rwm"):
        major, colon, minor = parts[1].partition(":")
        if colon and all(number == "*" or number.isdecimal() for number in (major, minor)):
            return " ".join(parts)
    raise ValueError(f"{word!r} is not a rule such as 'c 10:200 rwm'")


def gpus(word: str) -> str:
    """Refuse --gpus: what it does is a program of the vendor's."""
    raise ValueError(
        "limpet does not set up GPUs; share the device and the driver's libraries: "
        "--device /dev/nvidia0 -v /usr/lib/…:/usr/lib/…:ro"
    )


def sysctl(word: str) -> tuple[str, str]:
    """Parse NAME=VALUE."""
    name, equals, value = word.partition("=")
    if not equals or not name or ".." in name or "/" in name:
        raise ValueError(f"{word!r} is not NAME=VALUE with a name such as net.core.somaxconn")
    return name, value


def host_or_container(word: str) -> str:
    """Check `host`, `private` or container:NAME."""
    if word == "private":
        return ""
    if word == "host" or (word.startswith("container:") and word != "container:"):
        return word
    raise ValueError(f"{word!r} is none of host, private, container:NAME")


def ipc(word: str) -> str:
    """Check --ipc; any container of limpet's can be shared."""
    if word == "none":
        return word
    return "" if word == "shareable" else host_or_container(word)


def host_only(word: str) -> str:
    """Check `host` or `private`."""
    if word not in ("host", "private"):
        raise ValueError(f"{word!r} is neither host nor private")
    return "" if word == "private" else word


def user_namespace(word: str) -> str:
    """Check --userns."""
    if word != "host":
        raise ValueError("the only user namespace of a container here is the host's: --userns host")
    return word


def security(word: str) -> tuple[str, str]:
    """Parse docker's --security-opt."""
    # The colon is docker's former sign; a file's name may have one, too.
    name, _, value = word.partition("=" if "=" in word else ":")
    if name == "no-new-privileges" and value in ("", "true", "false"):
        return name, "" if value == "false" else "true"
    if (name == "seccomp" and value) or (name, value) in UNCONFINED:
        return name, value
    raise ValueError(
        f"{word!r} is none of no-new-privileges, seccomp=unconfined, seccomp=FILE, "
        "systempaths=unconfined"
    )


UNCONFINED = (("systempaths", "unconfined"), ("apparmor", "unconfined"), ("label", "disable"))
"""The last two change nothing: limpet confines by neither AppArmor nor SELinux."""
