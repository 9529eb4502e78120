"""Lets what a monitor uses all the time lie together in memory.

The interpreter writes to an object, its reference count, whenever it looks at one, and a
forked process copies each page that it writes to.  New objects lie wherever an old one has
left room, so the few that a monitor uses would lie on as many pages.

What is known here of CPython (Objects/obmalloc.c: up to 512 bytes are given out in pools of
objects of one size, more comes from malloc(3)) only saves memory: elsewhere it does nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, FunctionType
    from typing import Any
else:
    FunctionType = type(lambda: None)  # the module `types` would be memory, too

POOL, FIRST = 16 << 10, 48
"""Bytes of a pool, and where in it the first object is."""
STEP, LARGEST = 16, 512
"""Sizes of pools are so far apart, and go so far."""
BYTES_HEAD = 33
"""What a bytes object takes besides its bytes."""
LARGE = (8192, 4096, 2048, 1024, 768, 640, 576, 528)
IN_A_ROW, CHUNK_HEAD = 16, 32
"""So many adjacent ones, but for what malloc(3) adds to each, are in no hole between others."""
PATIENCE = 1024
"""Objects of a size; there is no room for more among what a spawner has loaded."""
LARGE_CODE = 400
"""Bytes of instructions that no pool has room for, with the rest of a code object."""

_fillings: list[object] = []


def fill_holes() -> None:
    """Take all room between objects for good: what is made from now on lies behind them."""
    _fill_pool(object)
    _fill_pool(float, "0.5")
    for size in range(FIRST, LARGEST + 1, STEP):
        _fill_pool(bytes, size - BYTES_HEAD)
    for size in LARGE:
        _fill_heap(size)


def _fill_pool(make: Callable[..., object], *of: object) -> None:
    for _ in range(PATIENCE):
        if _keep(make(*of)) % POOL == FIRST:
            return


def _fill_heap(size: int) -> None:
    last = in_a_row = 0
    for _ in range(PATIENCE):
        place = _keep(bytes(size - BYTES_HEAD))
        in_a_row = in_a_row + 1 if 0 < place - last <= size + CHUNK_HEAD else 0
        if in_a_row == IN_A_ROW:
            return
        last = place


def _keep(filling: object) -> int:
    _fillings.append(filling)
    return id(filling)


def called_by(play: Callable[[], None]) -> dict[int, str]:
    """Return the address of each code that `play` runs, and the name of its module."""
    called: dict[int, str] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called[id(frame.f_code)] = frame.f_globals["__name__"]

    sys.setprofile(note)
    try:
        play()
    finally:
        sys.setprofile(None)
    return called


def move_together(called: dict[int, str]) -> None:
    """Put new functions in the place of those that `called` tells of, one beside the other."""
    old = [
        (holder, name, function)
        for module in dict.fromkeys(called.values())
        for holder, name, function in _functions(sys.modules[module])
        if id(function.__code__) in called
    ]
    new = {function: _copy(function) for _, _, function in old}
    for holder, name, function in old:
        setattr(holder, name, new[function])
    for function in new.values():
        code = function.__code__
        # Small code would lie in a pool of its size, each on a page of its own.
        function.__code__ = code.replace(co_code=code.co_code.ljust(LARGE_CODE, b"\0"))


def _functions(module: Any) -> Iterator[tuple[Any, str, FunctionType]]:
    """Yield a module's functions and its classes' methods, each with who has it and its name."""
    classes = [one for one in vars(module).values() if isinstance(one, type)]
    for holder in (module, *classes):
        for name, value in list(vars(holder).items()):
            if isinstance(value, FunctionType):
                yield holder, name, value


def _copy(function: FunctionType) -> FunctionType:
    copy = type(function)(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    return copy
