"""Which commands the full host is measured with: every verb of the grammar, or why not.

`{registry}` is a registry of the run, `{place}` a directory of the host that is looked at.
"""

from __future__ import annotations

MANY = (
    "ps", "ps -a --size", "ps -a --filter name=load-1", "ps -a --filter label=tier=3",
    "ps -a --filter ancestor=app0:1", "ps -a --filter volume=volume-7",
    "ps -a --filter network=net-2", "ps -a --filter publish=80", "ps -a --filter status=exited",
    "stats --no-stream", "stats --history 5m", "logs load-0", "diff load-1",
    "container prune", "container updates", "updates",
    "images", "images app7", "images --filter label=tier=3", "images --filter reference=app1*",
    "images --filter dangling=true", "images --filter before=app7:1",
    "image find module_77.py", "image find *e_7777.py", "image find sha256:0123456789ab",
    "image prune", "image prune -a", "image prune --keep 3", "image fsck --quick",
    "system df", "system df -v", "system prune -a", "build cache", "build prune -a",
    "volume ls", "volume ls --filter dangling=true", "volume prune -a",
    "network ls", "network prune", "trash ls", "info", "boot",
    "events --since 1h --until 0s", "sync plan all",
)  # fmt: skip
"""What only looks at all there is; a removal is planned, and nobody says yes to it."""

EACH = (
    ("container inspect", "ps -aq"), ("image inspect", "images -q"),
    ("volume inspect", "volume ls -q"), ("network inspect", "network ls -q"),
)  # fmt: skip
"""Commands that are given all names, and what tells them."""

ONE = (
    "container inspect load-7", "container command load-7", "port load-5", "logs -n 10 load-0",
    "top load-7", "diff load-7", "stats --no-stream load-7", "stats --history 5m load-7",
    "exec load-7 true", "restart -t 0 load-7", "restart -t 0 load-5",
    "update --pids-limit 100 load-7", "cp load-7:/bin/sh {place}/copied",
    "run --rm --network none starter true", "run --rm starter true",
    "run --rm --network net-2 starter true", "run --rm -p 127.0.0.1::80 starter true",
    "run --rm --network none -v volume-7:/data starter true",
    "image inspect app7:1", "history app7:1", "image files app7:1", "image browse app7:1",
    "image check app7:1", "image hints app7:1", "image diff app7:1 app8:1", "image starter",
    "container export -o /dev/null load-7", "inspect load-7",
    "image save -o /dev/null starter", "image bundle -o /dev/null starter",
    "volume inspect volume-7", "network inspect net-2", "volume export -o /dev/null volume-7",
    "registry ls", "registry catalog {registry}", "registry tags {registry}/busybox",
    "registry inspect {registry}/busybox", "registry history {registry}/busybox",
    "registry files {registry}/busybox", "registry referrers {registry}/busybox",
    "registry gc", "search {registry}/busy", "sync ls", "sync plan one", "sync run one",
    "system config", "version", "doctor", "unit show",
)  # fmt: skip
"""Commands about one thing: what else there is shall not matter."""

AND_BACK = (
    ("tag app7:1 more:1", "rmi more:1"),
    ("tag app7:1 more:1", "untag more:1", "undo", "untag more:1"),
    ("pause load-7", "unpause load-7"),
    ("kill load-7", "wait load-7", "start load-7"),
    ("stop -t 0 load-7", "start load-7"),
    ("rename load-7 other", "rename other load-7"),
    ("create --name one starter true", "rm one", "undo", "rm one"),
    ("create --name one starter true", "container edit -y --label seen=1 one",
     "container edit -y --undo one", "rm one"),
    ("network create one", "network rm one"),
    ("network connect net-2 load-7", "network disconnect net-2 load-7"),
    ("volume create one", "volume rm one"),
    ("commit load-7 made:1", "rmi made:1"),
    ("build -q -t made:1 {place}/context", "rmi made:1"),
    ("container export -o {place}/files.tar load-7", "import {place}/files.tar made:1",
     "rmi made:1"),
    ("volume export -o {place}/volume.tar volume-7", "volume import volume-7 {place}/volume.tar"),
    ("image save -o {place}/image.tar starter", "load -i {place}/image.tar"),
    ("pull {registry}/busybox", "create --name one {registry}/busybox true",
     "container upgrade one", "rm one", "rmi {registry}/busybox"),
    ("tag starter {registry}/pushed:1", "push {registry}/pushed:1",
     "registry rm {registry}/pushed:1", "rmi {registry}/pushed:1"),
    ("login -u somebody -p secret {registry}", "logout {registry}"),
)  # fmt: skip
"""Commands about one thing that leave what there was, one after the other."""

ELSEWHERE = {
    "build debug": "a shell in what a failed build has left",
    "container attach": "lasts as long as its container",
    "image send": "an ssh to another host",
    "image receive": "the other end of it",
    "registry serve": "lasts: see the case of the registries",
    "trash empty": "there is nothing in it a second time",
    "unit install": "changes the host's systemd",
    "unit remove": "changes the host's systemd",
}
"""Verbs without a row."""
