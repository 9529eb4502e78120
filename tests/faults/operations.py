"""What is done while it goes wrong."""

from __future__ import annotations

from core.record import Record

DOCKERFILE = """\
FROM base
RUN echo one > /one && mkdir -p /many && for i in $(seq 200); do echo $i > /many/$i; done
COPY file /file
RUN cat /file > /two
"""


class Operation(Record):
    """One thing to do: what comes before it, and the command itself.

    `{registry}` and `{own}` are registries, `{disk}` and `{context}` directories, `{n}` the
    number of the run.
    """

    words: str
    before: tuple[str, ...] = ()
    again: str = ""
    """What is said before the command is said again: what it made may be there already."""
    after: str = ""
    """What removes what would pile up."""
    far: bool = False
    """It needs the network."""


OPERATIONS = {
    "pull": Operation(
        "pull {registry}/app:1", ("rmi -f {registry}/app:1", "trash empty"), far=True
    ),
    "push": Operation("push copy {registry}/pushed:{n}", ("tag base copy",), far=True),
    "build": Operation("build -q --no-cache -t built {context}"),
    "commit": Operation("commit --pause=false box committed", ("start box",)),
    "save": Operation("save -o {disk}/saved.tar base"),
    "load": Operation("load -i {disk}/base.tar", ("rmi -f loaded",)),
    "prune": Operation(
        "image prune -a -f", ("tag base spare", "pull {registry}/spare:1"), again="tag base spare"
    ),
    "gc": Operation(
        "registry gc --keep 0s --untagged",
        ("push base {own}/gc:{n}", "registry rm -f {own}/gc:{n}"),
    ),
    "sync": Operation("sync layout", ("!rm -rf {disk}/mirror",), far=True),
    "run": Operation(
        "run -d --name run{n} -p 127.0.0.1::80 base sleep 1000",
        again="rm -f run{n}", after="rm -f run{n}",
    ),
    "start": Operation("start box", ("stop -t 0 box",)),
    "stop": Operation("stop -t 0 box", ("start box",)),
    "rm": Operation(
        "rm -f gone{n}", ("run -d --name gone{n} -p 127.0.0.1::80 base sleep 1000",),
        again="run -d --name gone{n} base sleep 1000",
    ),
    "edit": Operation(
        "container edit --force --env N={n} box", ("start box",),
        again="container edit --force --env N=other{n} box",
    ),
    "cp": Operation("cp {context} box:/copied", ("start box",)),
    "volume": Operation(
        "run --rm --network none -v vol{n}:/many built true", ("build -q -t built {context}",)
    ),
    "rotate": Operation(
        "run --name log{n} --network none --log-opt max-size=20k --log-opt max-file=4 "
        "base seq 20000",
        again="rm -f log{n}", after="rm -f log{n}",
    ),
}  # fmt: skip
