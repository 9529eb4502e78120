"""limpet is killed at every step of an edit: the container is as before or as asked, whole."""

from __future__ import annotations

import os

import pytest

from core.containers import stored
from core.containers.edit import editing
from core.containers.files.commit import CommitOptions
from core.engine import Engine
from core.paths import Paths
from tests.containers import make_engine, reap, run, shell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

NEW = "localhost/new:latest"


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    made = make_engine(paths, "spawner")
    run(made.containers.run(shell("echo new > /version", name="maker")))
    made.images.commit("maker", CommitOptions(tags=(NEW,))).result()
    made.containers.create(shell("cat /version; cat /written; echo >> /written old"
                                , name="web"))  # fmt: skip
    yield made
    for info in made.containers.list():
        made.containers.rm(info.id, force=True)
    made.close()
    reap()


def killed(engine: Engine, act: Callable[[], None], step: int) -> bool:
    """Do it in a process that is killed before the step-th change; tell whether that came."""
    pid = os.fork()
    if pid == 0:
        try:
            engine.database.close()
            left = [step]
            for place, name in ((os, "mkdir"), (os, "rename"), (os, "chmod"), (editing, "align")):
                _kill_before(place, name, left)
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def _kill_before(place: Any, name: str, left: list[int]) -> None:
    real = getattr(place, name)

    def counted(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), 9)
        return real(*args, **options)

    setattr(place, name, counted)


def said(engine: Engine) -> bytes:
    return run(engine.containers.start_attached("web"))[1]


def test_an_edit_to_another_image(engine: Engine) -> None:
    assert said(engine) == b""
    assert said(engine) == b"old\n"
    options = stored.find(engine.database, "web").options
    for step in range(20):
        if not killed(engine, lambda: engine.editing.edit("web", options, image=NEW), step):
            break
        changed = engine.containers.resolve("web").image == NEW
        if changed:
            engine.editing.undo("web")
        # Whatever was cut short, what the container wrote is there.
        assert said(engine).startswith(b"old\n"), step
        left = os.listdir(engine.paths.container(engine.containers.resolve("web").id))
        assert sum(name.startswith("upper") for name in left) <= 2, (step, left)
    assert step >= 6
    assert said(engine) == b"new\n"
    for step in range(10):
        if not killed(engine, lambda: engine.editing.undo("web"), step):
            break
        if engine.containers.resolve("web").image == NEW:
            engine.editing.undo("web")
        assert said(engine).startswith(b"old\n")
        engine.editing.undo("web")
