"""The same Dockerfiles by limpet and by buildah: what comes out is compared file by file.

Paths, types, modes, owners, content, links and attributes of the whole root, and the config.
Differences that are meant are named here, each with its reason.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import subprocess
import tarfile
from pathlib import Path

import pytest

from core.engine import Engine
from core.paths import Paths
from tests.builds import Workshop, leftovers, run
from tests.containers import make_engine
from tests.fixture_images import Registry, busybox_rootfs, write_oci_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CONFIG = """\
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
[containers]
default_ulimits = ["nofile=1024:20000", "nproc=32768:32768"]
"""
FILES = {
    "a.txt": "a", "b.txt": "bee", "docs/read.md": "# read", "docs/deep/more.md": "more",
    "src/main.py": "print()", "src/lib/x.py": "x", "src/lib/y.pyc": "y", "bin/tool": "#!/bin/sh\n",
    ".hidden": "h", "with space": "s", ".dockerignore": "**/*.pyc\ndocs\n!docs/read.md\n",
}  # fmt: skip
CASES = {
    "files": "COPY a.txt /x\nCOPY a.txt b.txt /d/\nCOPY a.txt /d2/\nCOPY a.txt /new/deep/name\n",
    "directories": "COPY src /s\nCOPY src/ /t/\nCOPY . /all/\nCOPY src/lib /etc\n",
    "globs": "COPY *.txt /g/\nCOPY src/*/x.p? /g2/\nCOPY [ab].txt /g3/\n",
    "links": "COPY link /l\nCOPY links /ls\nRUN ln -s /etc /e && ln -s missing /m\n"
             "COPY a.txt /e/a\n",
    "owners": "COPY --chown=1000:1000 src /o\nCOPY --chown=user a.txt /p/q/\n"
              "COPY --chown=user:root a.txt /r\n",
    "modes": "COPY --chmod=711 bin /b\nCOPY bin/tool /tool\nCOPY modes /modes\n",
    "workdir": "WORKDIR /w/x\nCOPY a.txt .\nWORKDIR y\nCOPY b.txt ./z/\nWORKDIR ../..\n"
               "RUN pwd >p\n",
    "environment": 'ENV A=1 B="two words" C=a\\ b\nENV D=$A-${B:-x}-${Z:-z}-${A:+y}\n'
                   "ENV E old way\nRUN echo $A $B $C $D $E >/env\nLABEL l=$D\nWORKDIR /$A\n",
    "arguments": "ARG V=1\nARG W=${V}2\nENV E=$W\nRUN echo $V $W $E >/args\nARG V=3\n"
                 "RUN echo $V >>/args\n",
    "run": "RUN echo one >/one; rm /etc/group; mkdir /d; touch -d 2020-01-01 /d/old\n"
           'RUN ["touch", "$x"]\nRUN chmod 700 /d; ln /one /two; mkfifo /fifo; chown 5:6 /d\n'
           "RUN rm /two && rm -r /d && mkdir /d\n",
    "user": "USER 1000:1000\nWORKDIR /home/u\nRUN id -u >/tmp/id; id -g >>/tmp/id\n"
            "COPY a.txt /tmp/a\nUSER root\nRUN id -u >/id\n",
    "commands": "CMD echo hi\nENTRYPOINT exec top\n",
    "config": "EXPOSE 80 53/udp\nVOLUME /v /w\nVOLUME [\"/x\"]\nSTOPSIGNAL SIGINT\nUSER user\n"
              'LABEL a=1 b="x y"\nENTRYPOINT ["/bin/sh"]\nCMD ["-c", "true"]\n',
    "archive": "ADD a.tar /un/\nADD a.tgz /un2\nCOPY a.tar /kept/\nADD a.txt /plain/\n",
    "over": "RUN mkdir /o && echo old >/o/f && ln -s f /o/l\nCOPY over/ /o/\nCOPY a.txt /o/f\n",
    "ignored": "COPY . /c/\nCOPY docs /docs/\nCOPY src/lib /lib2\n",
    "names": 'COPY ["with space", "/n/"]\nCOPY .hidden /n/\nRUN touch "/n/ü ñ" /n/.w\n',
    "hardlinks": "RUN echo x >/h1 && ln /h1 /h2\nRUN echo y >>/h1\n",
    "replace": "RUN mkdir -p /r/s && touch /r/s/t\nRUN rm -r /r && touch /r\n"
               "RUN rm /r && mkdir /r && touch /r/new\n",
}  # fmt: skip
"""What follows FROM, by name; HEALTHCHECK and SHELL are not in buildah's OCI images."""
STAGES = {
    "stages": "FROM {base} AS one\nRUN mkdir -p /d/e && echo 1 >/d/f && chown 7:8 /d/f"
              " && chmod 4755 /d/f && ln -s f /d/s && chmod 700 /d/e\n"
              "FROM {base} AS unused\nRUN exit 1\nFROM {base}\nCOPY --from=one /d /d2\n"
              "COPY --from=0 /d/f /f\nCOPY --from=one /d/s /s\n",
    "base-stage": "FROM {base} AS one\nENV A=1\nRUN touch /one\nCMD [\"x\"]\n"
                  "FROM one AS two\nRUN touch /two\nENTRYPOINT [\"e\"]\n",
    "scratch": "FROM {base} AS one\nFROM scratch\nCOPY --from=one /bin/busybox /bin/\n"
               "COPY a.txt /\nCMD [\"/bin/busybox\"]\n",
    "image": "FROM {base}\nCOPY --from={base} /etc/passwd /copied\n",
}  # fmt: skip
MODES_KEPT = {
    # buildah takes setuid away from what comes out of the context; docker leaves it.
    "modes/4755": "mode",
}
ACCEPTED = {
    "directories": {f"/all/{path}": word for path, word in MODES_KEPT.items()},
    "ignored": {f"/c/{path}": word for path, word in MODES_KEPT.items()},
    # A target that is made without a slash at its end is a copy of its source with BuildKit,
    # mode and --chmod included; buildah makes it 0755.
    "modes": {f"/{path}": word for path, word in MODES_KEPT.items()}
    | {"/modes": "mode", "/b": "mode"},
}
"""Per case: a path and the word for what differs there."""
STUBS = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run", "/run/.containerenv")
"""Mount points of a RUN, which buildah leaves in the layer and limpet, as BuildKit, takes away."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, isolated: None) -> Iterator[str]:
    place = tmp_path_factory.mktemp("registry")
    layout = write_oci_layout(place / "base", [busybox_rootfs()], history=True)
    with Registry(place / "served") as registry:
        yield registry.push(layout, "base:latest")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, base: str) -> Iterator[Engine]:
    place = tmp_path_factory.mktemp("limpet")
    made = make_engine(Paths(str(place / "data"), str(place / "run")), "spawner")
    made.images.pull(base).result()
    yield made
    assert leftovers(made) == []
    made.close()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("context")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "bin/tool").chmod(0o755)
    (root / "link").symlink_to("a.txt")
    (root / "links").mkdir()
    (root / "links/up").symlink_to("../a.txt")
    (root / "links/out").symlink_to("/etc/passwd")
    (root / "links/dir").symlink_to("../src")
    (root / "modes").mkdir(mode=0o711)
    for mode in (0o600, 0o4755, 0o1777, 0o444):
        (root / f"modes/{mode:o}").write_text("m")
        (root / f"modes/{mode:o}").chmod(mode)
    (root / "over").mkdir()
    (root / "over/l").write_text("no link")
    (root / "over/new").write_text("new")
    for name, kind in (("a.tar", "w"), ("a.tgz", "w:gz")):
        with tarfile.open(root / name, kind) as tar:  # type: ignore[call-overload]
            entry = tarfile.TarInfo("t/owned")
            entry.uid, entry.gid, entry.mode = 12, 13, 0o640
            tar.addfile(entry)
            tar.add(root / "src", "t/src")
    return root


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory, base: str) -> Iterator[list[str]]:
    place = tmp_path_factory.mktemp("buildah")
    (place / "containers.conf").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(place / "containers.conf"))
        yield ["buildah", "--root", f"{place}/root", "--runroot", f"{place}/run",
            "--storage-driver", "overlay"]  # fmt: skip


def flat(blobs: Path, layers: list[str]) -> dict[str, tuple[Any, ...]]:
    """Return what layers come to: by path, type, mode, owner, content or link, attributes."""
    found: dict[str, tuple[Any, ...]] = {}
    for layer in layers:
        with tarfile.open(blobs / layer.removeprefix("sha256:")) as tar:
            entries = [(posixpath.normpath(f"/{entry.name}"), entry) for entry in tar]
            for path, _ in entries:
                folder, _, name = path.rpartition("/")
                if name == ".wh..wh..opq":
                    hidden = [old for old in found if old.startswith(folder + "/")]
                elif name.startswith(".wh."):
                    gone = f"{folder}/{name[4:]}"
                    hidden = [old for old in found if old == gone or old.startswith(gone + "/")]
                else:
                    continue
                for old in hidden:
                    del found[old]
            for path, entry in entries:
                if path.rpartition("/")[2].startswith(".wh.") or path == "/":
                    continue
                if not entry.isdir():
                    for old in [old for old in found if old.startswith(path + "/")]:
                        del found[old]
                content: Any = entry.linkname
                if entry.isreg():
                    file = tar.extractfile(entry)
                    assert file is not None
                    content = hashlib.sha256(file.read()).hexdigest()
                elif entry.islnk():
                    found[path] = found[f"/{entry.linkname.removeprefix('./').lstrip('/')}"]
                    continue
                found[path] = (entry.type, entry.mode & 0o7777, entry.uid, entry.gid, content)
    return found


def by_limpet(engine: Engine, shop: Workshop, text: str) -> tuple[Any, dict[str, Any]]:
    built = shop.build(text, network="none")
    engine.close()
    manifest = engine.store.manifest(built.digest)
    blobs = Path(engine.paths.blobs) / "sha256"
    tree = flat(blobs, [layer.digest for layer in manifest.layers])
    return tree, engine.store.config(built.digest)


def by_buildah(
    buildah: list[str], context: Path, place: Path, *more: str
) -> tuple[Any, dict[str, Any]]:
    run(*buildah, "bud", *more, "--isolation", "chroot", "--tls-verify=false", "--format", "oci",
        "-q", "-t", "built", str(context))  # fmt: skip
    run(*buildah, "push", "-q", "built", f"oci:{place}:latest")
    index = json.loads((place / "index.json").read_text())
    blobs = place / "blobs/sha256"

    def read(digest: str) -> Any:
        return json.loads((blobs / digest.removeprefix("sha256:")).read_text())

    manifest = read(index["manifests"][0]["digest"])
    tree = flat(blobs, [layer["digest"] for layer in manifest["layers"]])
    subprocess.run([*buildah, "rmi", "-f", "built"], capture_output=True)
    return tree, read(manifest["config"]["digest"])


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, str]:
    """Return what differs, by path: missing, extra, or the word for what is not the same."""
    words = ("type", "mode", "uid", "gid", "content")
    found = {path: "missing" for path in theirs if path not in ours and path not in STUBS}
    found |= {path: "extra" for path in ours if path not in theirs}
    for path in ours.keys() & theirs.keys():
        if ours[path] != theirs[path]:
            found[path] = " ".join(
                word
                for word, one, other in zip(words, ours[path], theirs[path], strict=True)
                if one != other
            )
    return found


def settings(config: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in config["config"].items() if value}
    labels = found.get("Labels") or {}
    labels.pop("io.buildah.version", None)  # buildah's name for itself
    if not labels:
        found.pop("Labels", None)
    found.pop("WorkingDir", None) if found.get("WorkingDir") == "/" else None
    return found


@pytest.mark.parametrize("case", [*CASES, *STAGES])
def test_the_same_as_buildah(
    case: str, base: str, engine: Engine, context: Path, buildah: list[str], tmp_path: Path
) -> None:
    text = STAGES[case].format(base=base) if case in STAGES else f"FROM {base}\n{CASES[case]}"
    shop = Workshop(engine, context)
    ours, our_config = by_limpet(engine, shop, text)
    # All in one layer is quicker; a link that a layer breaks shows only with layers.
    more = ("--layers",) if case == "hardlinks" else ()
    theirs, their_config = by_buildah(buildah, context, tmp_path / "image", *more)
    assert differences(ours, theirs) == ACCEPTED.get(case, {})
    assert settings(our_config) == settings(their_config)
