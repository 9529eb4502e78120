"""Options to words and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands import load
from core.commands.container.edit_text import words_of
from core.commands.container.run_words import in_lines, run_words
from core.commands.grammar import REGISTRY, parse
from core.commands.options.create_options import container_options
from core.config import Config
from core.containers.configuration.options import ContainerOptions
from core.containers.networking import endpoints_of
from core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

load("container.create")


class Nobody:
    """An engine that only has settings."""

    config = Config({})


def parsed(words: Sequence[str]) -> ContainerOptions:
    args = parse(REGISTRY["create"], words)
    found = container_options(Nobody(), args)  # type: ignore[arg-type] # all that is asked
    return found.replace(endpoints=endpoints_of(found))


LINES = (
    "starter",
    "starter sh -c 'echo hi; exit'",
    "-it --init --read-only --privileged --oom-kill-disable -P img",
    "--domainname d --annotation a=b --memory-swappiness 0 img",
    "--hostname h -w /w -u 1:2 --group-add 7 -e A=1 -e 'B=x y' --env C= img",
    "-v /a:/b -v /a:/c:ro,rslave -v data:/d:nocopy -v /own --mount type=volume,source=vol,"
    "target=/m,volume-subpath=x,readonly --tmpfs /t:size=64m,mode=1777 --tmpfs /u:ro img",
    "--mount type=volume,target=/own,readonly img",
    "--ipc none --mount type=bind,source=/a,target=/b,bind-recursive=disabled,readonly img",
    "--network front --network name=back,alias=db,ip=10.0.0.9 img",
    "--network host img",
    "-p 80 -p 127.0.0.1:8080:80/udp -p [::1]:81:81 -p 90-91:90-91 -p 127.0.0.1::5 --expose 7 img",
    "--dns 1.1.1.1 --dns-search x.y --dns-option rotate --add-host a:1.2.3.4 img",
    "-m 64m --memory-swap -1 --memory-reservation 1000001 --oom-score-adj -5 --cpus 1.5 img",
    "--cpu-period 50000 --cpu-quota 20000 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 img",
    "--pids-limit 0 --blkio-weight 100 --ulimit nofile=10:20 --ulimit core=-1 img",
    "--sysctl net.ipv4.ip_forward=1 --shm-size 1g --device /dev/null:/dev/x:r img",
    "--device-cgroup-rule 'c 1:3 rwm' --ipc host --uts host --cgroupns host --pid host img",
    "--cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined img",
    "-l a=b -l c --stop-signal INT --stop-timeout 3 --restart on-failure:3 img",
    "--log-driver json-file --log-opt max-size=1m --health-cmd 'test -e /x' --health-interval 2s "
    "--health-timeout 1.5 --health-retries 2 --health-start-period 1m img",
    "--health-interval 336h --health-timeout 1209600.25 --cpus 1.2345678 img",
    "--no-healthcheck --entrypoint /x img a b",
    "--entrypoint '' img a",
)


@pytest.mark.parametrize("line", LINES)
def test_words_come_to_what_they_were_made_of(line: str) -> None:
    import shlex

    options = parsed(shlex.split(line))
    text = "\n".join(in_lines(run_words(options)))
    assert parsed(shlex.split(text)) == options, text


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), max_size=3))
def test_any_command_survives(command: list[str]) -> None:
    import shlex

    options = ContainerOptions("img", tuple(command), network="bridge")
    text = " ".join(in_lines(run_words(options)))
    assert parsed(shlex.split(text)).command == tuple(command)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# all\n--env A=1\n  # out\nimg\n", ["--env", "A=1", "img"]),
        ("--env A=x#y 'b #c'\n", ["--env", "A=x#y", "b #c"]),
        ("sh -c '#!/bin/sh\n# inside\necho'\n", ["sh", "-c", "#!/bin/sh\n# inside\necho"]),
    ],
)
def test_an_edited_text(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    with pytest.raises(UsageError, match="do not end: --env"):
        words_of("--env 'A\n# more\n")


def test_no_option_is_forgotten() -> None:
    from core.commands.container import run_words as module

    elsewhere = {
        "image", "command", "entrypoint", "name", "mounts", "network", "endpoints", "publish",
        "expose", "memory_swappiness", "pids_limit", "throttles", "ulimits", "devices",
        "no_new_privileges",
        "unmasked", "seccomp", "stop_timeout_s", "auto_remove",
    }  # fmt: skip
    tables = (module.SWITCHES, module.VALUES, module.SIZES, module.LISTS, module.PAIRS)
    said = {name for table in tables for name in table}
    assert said | elsewhere == set(ContainerOptions.fields)
