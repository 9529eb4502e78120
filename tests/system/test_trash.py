"""What was removed comes back by undo, and goes for good when its time is over."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.commands import find
from core.commands.grammar import parse
from core.commands.result import Plan, Text
from core.config import Config
from core.engine import Engine
from core.errors import Conflict, HostError, NotFound
from core.linux import mount
from core.trash import Trash
from tests.containers import options, run, shell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.database import Transaction


def say(engine: Engine, line: str) -> str:
    verb, words = find(line.split())
    result = verb.run(engine, parse(verb, words))
    if isinstance(result, Plan):
        result = result.apply()
    assert isinstance(result, Text)
    return result.text


def files(engine: Engine) -> list[str]:
    """All directories and blobs of images."""
    return sorted([*os.listdir(engine.paths.layers), *os.listdir(engine.paths.blobs + "/sha256")])


def test_an_image_comes_back_as_it_was(engine: Engine) -> None:
    say(engine, "tag starter other:1")
    before, there = engine.images.list(), files(engine)
    say(engine, "rmi starter other:1")
    assert engine.images.list() == []
    assert files(engine) == there
    assert say(engine, "undo") == "Brought back: image localhost/starter:latest"
    assert engine.images.list() == before
    assert run(engine.containers.run(options("echo", "x", auto_remove=True)))[1] == b"x\n"
    with pytest.raises(NotFound, match="nothing to bring back"):
        say(engine, "undo")


def test_emptied_trash_gives_everything_back(engine: Engine) -> None:
    say(engine, "rmi starter")
    assert "Total reclaimed space: " in say(engine, "trash empty")
    assert files(engine) == []
    assert engine.database.query("SELECT 1 FROM layers") == []
    assert engine.trash.batches() == []


def test_what_is_over_its_time_goes_with_the_next_removal(engine: Engine) -> None:
    say(engine, "tag starter other:1")
    say(engine, "rmi starter")
    with engine.database.write() as sql:
        sql.execute("UPDATE trash SET removed=?", (time.time() - 3601,))
    say(engine, "rmi other:1")
    assert [batch.command for batch in engine.trash.batches()] == ["rmi other:1"]
    assert engine.trash.sweep() == 0
    say(engine, "undo")
    assert [info.tags for info in engine.images.list()] == [("other:1",)]


@pytest.mark.parametrize(
    "settings", [{("storage", "trash_s"): 0}, {("storage", "trash_free_percent"): 100}]
)
def test_nothing_is_kept_when_so_set_or_the_disk_is_full(
    engine: Engine, settings: dict[tuple[str, str], int]
) -> None:
    trash = Trash(engine.paths, engine.database, Config(settings), lambda: engine.store)
    engine.__dict__["trash"] = trash
    say(engine, "rmi starter")
    assert files(engine) == []
    assert trash.batches() == []


def test_containers_come_back_with_what_they_wrote(engine: Engine) -> None:
    for name in ("one", "two"):
        engine.containers.create(shell("echo $0 > /note; exec sleep 1000", name=name))
        engine.containers.start(name)
    before = {info.id for info in engine.containers.list()}
    say(engine, "rm -f one two")
    assert engine.containers.list() == []
    assert os.listdir(engine.paths.containers) == []
    assert say(engine, "undo") == "Brought back: container one\nBrought back: container two"
    assert {info.id for info in engine.containers.list()} == before
    assert {info.state for info in engine.containers.list()} == {"exited"}
    assert os.listdir(engine.paths.trash) == []
    note = Path(f"{engine.paths.container(engine.containers.resolve('one').id)}/upper/note")
    assert note.read_text() == "sh\n"
    engine.containers.start("one")
    assert engine.containers.resolve("one").state == "running"


def test_a_taken_name_is_told_and_nothing_is_lost(engine: Engine) -> None:
    engine.containers.create(options("true", name="one"))
    say(engine, "rm one")
    engine.containers.create(options("true", name="one"))
    with pytest.raises(Conflict, match="'one' is taken"):
        say(engine, "undo")
    engine.containers.rename("one", "new")
    say(engine, "undo")
    assert {info.name for info in engine.containers.list()} == {"one", "new"}


def test_emptying_removes_containers_and_what_was_left(engine: Engine) -> None:
    engine.containers.create(options("true", name="one"))
    say(engine, "rm one")
    os.mkdir(f"{engine.paths.trash}/left-over")
    engine.trash.empty()
    assert os.listdir(engine.paths.trash) == []


def test_what_comes_back_does_so_with_its_image(engine: Engine) -> None:
    """Of removals in a row any can be undone; a container without its image is none."""
    say(engine, "tag starter other:1")
    engine.containers.create(options("true", name="one"))
    say(engine, "untag other:1")
    say(engine, "rm one")
    say(engine, "rmi starter")
    image, container, name = (batch.id for batch in engine.trash.batches())
    for batch, what in ((container, "one"), (name, "other:1")):
        with pytest.raises(Conflict, match=f"the image of {what} was removed") as caught:
            say(engine, f"undo {batch}")
        assert caught.value.hint == f"limpet undo {image} first"
    say(engine, f"undo {image}")
    say(engine, f"undo {container}")
    say(engine, f"undo {name}")
    assert engine.containers.resolve("one").image == "starter"
    assert engine.images.list()[0].tags == ("localhost/starter:latest", "other:1")


def test_a_container_comes_back_with_the_image_that_went_behind_it(engine: Engine) -> None:
    engine.containers.create(options("true", name="one"))
    say(engine, "system prune -a")
    assert engine.images.list() == []
    say(engine, "undo")
    assert engine.containers.resolve("one").state == "created"
    assert engine.images.list()[0].used_by == ("one",)


def test_what_another_has_just_emptied_is_not_said_to_be_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(engine, "rmi starter")
    write = engine.database.write

    def late() -> Transaction:
        monkeypatch.setattr(engine.database, "write", write)
        engine.trash.empty()
        return write()

    monkeypatch.setattr(engine.trash, "_settle", lambda: None)
    monkeypatch.setattr(engine.database, "write", late)
    with pytest.raises(NotFound, match="nothing to bring back"):
        engine.trash.undo()


def test_a_container_that_removes_itself_is_not_kept(engine: Engine) -> None:
    run(engine.containers.run(options("true", auto_remove=True)))
    assert engine.trash.batches() == []


def test_names_come_back_unless_they_mean_something_else_now(engine: Engine) -> None:
    say(engine, "tag starter other:1")
    say(engine, "untag other:1")
    say(engine, "undo")
    assert "other:1" in engine.images.list()[0].tags
    say(engine, "untag other:1")
    container = engine.containers.create(shell("echo > /x"))
    engine.containers.start(container)
    engine.containers.wait(container)
    from core.containers.files.commit import CommitOptions

    new = engine.images.commit(
        container, CommitOptions((engine.reference("other:1").canonical,))
    ).result()
    say(engine, "undo")
    assert engine.store.resolve("other:1").digest == new.digest


def test_layers_are_shared_with_the_trash(engine: Engine) -> None:
    """An image in the trash keeps all its layers, also those that another image had too."""
    container = engine.containers.create(shell("echo > /x"))
    engine.containers.start(container)
    engine.containers.wait(container)
    from core.containers.files.commit import CommitOptions

    engine.images.commit(container, CommitOptions((engine.reference("both:1").canonical,))).result()
    engine.containers.rm(container)
    there = files(engine)
    say(engine, "rmi both:1")
    # The second one goes for good, past the trash.
    plan = engine.store.plan_removal(("starter",), force=False, users={})
    assert plan.layers == ()
    engine.store.apply_removal(plan)
    say(engine, "undo")
    assert set(there) - set(files(engine)) == set(files_of_starter(plan.blobs))
    asked = options("ls", "/x", auto_remove=True).replace(image="both:1")
    assert run(engine.containers.run(asked))[1] == b"/x\n"


def files_of_starter(blobs: tuple[str, ...]) -> list[str]:
    return [digest.partition(":")[2] for digest in blobs]


def killed(engine: Engine, script: str, *words: str) -> None:
    """Run a script on the engine's directories in a process that is killed where it says so."""
    head = (
        "import os, signal, sys\n"
        "from core.config import Config\nfrom core.engine import Engine\n"
        "from core.paths import Paths\n"
        "engine = Engine(Paths(sys.argv[1], sys.argv[2]), Config())\n"
        "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", head + script, engine.paths.data, engine.paths.run, *words]
    )
    assert ran.returncode == -9


def test_killed_between_the_directory_and_the_row(engine: Engine) -> None:
    """The directory was moved, the transaction never ended: the next limpet puts it back."""
    engine.containers.create(options("true", name="one"))
    rename = (
        "import core.trash_bin as bin_\n"
        "real = os.rename\n"
        "bin_.os.rename = lambda *paths: (real(*paths), die())\n"
    )
    killed(engine, rename + "engine.containers.rm('one', bin_=engine.trash.open('rm one'))")
    assert [info.name for info in engine.containers.list()] == ["one"]
    assert os.listdir(engine.paths.containers) == []
    engine.trash.open("anything")
    assert len(os.listdir(engine.paths.containers)) == 1
    engine.containers.start("one")
    engine.containers.wait("one")
    say(engine, "rm one")
    killed(engine, rename.replace("core.trash_bin", "core.trash") + "engine.trash.undo()")
    assert engine.containers.list() == []
    assert say(engine, "undo") == "Brought back: container one"
    engine.containers.start("one")


def test_a_batch_comes_back_as_a_whole_or_not_at_all(engine: Engine) -> None:
    for name in ("one", "two"):
        engine.containers.create(options("true", name=name))
    say(engine, "rm one two")
    engine.containers.create(options("true", name="two"))
    with pytest.raises(Conflict):
        say(engine, "undo")
    assert [info.name for info in engine.containers.list()] == ["two"]
    assert len(os.listdir(engine.paths.containers)) == 1
    engine.containers.rm("two")
    say(engine, "undo")
    assert {info.name for info in engine.containers.list()} == {"one", "two"}
    engine.containers.start("one")


def test_killed_while_the_trash_is_emptied(engine: Engine) -> None:
    """Files that nothing names are left, never rows without their files."""
    say(engine, "rmi starter")
    killed(
        engine, "engine.store.blobs.remove = die\n"
        "import core.trees as trees\ntrees.remove_tree = die\nengine.trash.empty()",
    )  # fmt: skip
    assert engine.trash.batches() == []
    assert engine.images.list() == []
    assert engine.database.query("SELECT 1 FROM layers") == []
    engine.images.make_starter().result()
    assert engine.images.fsck((), repair=False, quick=False).result() == []


def test_what_cannot_be_removed_is_told_by_whoever_empties_the_trash(engine: Engine) -> None:
    box = engine.containers.create(options("true", name="one"))
    say(engine, "rm one")
    kept = f"{engine.paths.trash}/{box}"
    mount.mount("tmpfs", f"{kept}/upper", "tmpfs")
    try:
        for _ in range(2):
            with pytest.raises(HostError, match=f"{kept} cannot be removed: ") as caught:
                say(engine, "trash empty")
            assert caught.value.hint.endswith("then limpet trash empty")
    finally:
        mount.umount2(f"{kept}/upper")
    say(engine, "trash empty")
    assert os.listdir(engine.paths.trash) == []
