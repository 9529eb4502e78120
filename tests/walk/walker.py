"""Who walks: chooses what to press next, the least used first, and counts."""

from __future__ import annotations

import random
import time
from collections import Counter, deque

from tests.walk import hands, lines
from tests.walk.pictures import SETTLED_S
from tests.walk.seat import Finding, Seat
from tests.walk.watched import NOBODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.walk.place import Place

SIZES = ((80, 24), (160, 50), (60, 18), (40, 10), (200, 60), (119, 33), (20, 5), (2, 1))
TYPING = ("BarInput", "AskInput", "Script")
PANE = "TerminalPane"
AWAY_FROM_PANE = "ctrl+right_square_bracket"
ENDS = ("enter", "tab", "escape", "ctrl+r", "up", "ctrl+j", "f5", "right")
"""What may be pressed behind a line."""
LEAVING = ("escape", "q", "ctrl+c", "ctrl+q", "n")
"""Who presses these as often as the others gets nowhere."""
OUT = (
    b"\x10\x11",
    b"\r",
    b"\x03",
    b"\x04",
    b"\x1b:q!\r",
    b"exit\r",
    b"q",
    b"\x03",
    b"\x1c",
    b"\x03",
)
"""Leaves whatever has the terminal: detaches, ends it, quits."""
ESCAPED_S = 0.06
"""After so long an escape is a key of its own."""
ANSWER_S = 30.0
KEPT = 400
LOOKS = 1 / 8
"""How often what is shown is compared with what is meant."""


class Walker:
    """Walks through one app after the other, until so many keys are pressed."""

    def __init__(self, place: Place, seed: int, term: str, size: tuple[int, int]) -> None:
        self.place = place
        self.choice = random.Random(seed)
        self.size = size
        self.pressed = 0
        """Keys; a line, a paste and what a mouse does count as one."""
        self.sent_bytes = 0
        self.keys: Counter[str] = Counter()
        self.used: Counter[tuple[str, str]] = Counter()
        """By screen and key."""
        self.offered: set[tuple[str, str]] = set()
        """Keys that did something on a screen, by screen."""
        self.screens: Counter[str] = Counter()
        self.doings: Counter[str] = Counter()
        self.starts = 0
        self.slowest_s, self.slowest = 0.0, ""
        """How long an answer took at most, and to what."""
        self.looks = Counter[bool]()
        """Whether what is shown could be compared."""
        self.last: deque[str] = deque(maxlen=KEPT)
        self.addresses: Counter[str] = Counter(dict.fromkeys(lines.addresses(place.names), 0))
        self._env = {**place.env, "TERM": term}
        self.seat = self._sit_down()

    def _sit_down(self) -> Seat:
        told = self.place.work / "told"
        seat = Seat(self.place.argv(told), self._env, told, self.place.home)
        seat.resize(*self.size)
        self.starts += 1
        self.last.append(f"<start {self.starts}>")
        self.seat = seat
        seat.settle(0.5)
        seat.ask()
        return seat

    # One step

    def walk(self, count: int) -> None:
        """Press so many keys."""
        goal = self.pressed + count
        while self.pressed < goal:
            if self.seat.ended:
                self._start_again()
            elif self.seat.away:
                self._come_back()
            else:
                self._step()

    def _step(self) -> None:
        seat = self.seat
        doing = self._doing()
        self.doings[doing.__name__.strip("_")] += 1
        doing()
        took = seat.ask()
        if took > self.slowest_s:
            self.slowest_s, self.slowest = took, f"{self._where()}: {' '.join([*self.last][-4:])}"
        for name, screen, _ in seat.keys:
            self.keys[name] += 1
            self.used[screen, name] += 1
        seat.keys.clear()
        self._must_have_keys()
        if not (seat.ended or seat.away) and self.choice.random() < LOOKS:
            self._look()
        if not (seat.ended or seat.away):
            self.screens[self._where()] += 1
            self.offered |= {(seat.screen, name) for name in seat.active}

    def _doing(self) -> Callable[[], None]:
        if self.seat.focus in TYPING:
            weights = {self._type: 40, self._known: 30, self._any: 10, self._paste: 6,
                       self._mouse: 4, self._broken: 4, self._resize: 3,
                       self._flood: 2}  # fmt: skip
        elif self.seat.focus == PANE:
            weights = {self._type: 30, self._any: 20, self._leave_pane: 30, self._mouse: 8,
                       self._paste: 4, self._broken: 4, self._resize: 4}  # fmt: skip
        else:
            weights = {self._known: 60, self._any: 8, self._line: 8, self._go: 6,
                       self._mouse: 7, self._paste: 2, self._broken: 4, self._resize: 3,
                       self._flood: 2}  # fmt: skip
        return self.choice.choices([*weights], [*weights.values()])[0]

    def _where(self) -> str:
        seat = self.seat
        words = seat.address.split()
        if seat.screen in ("ConfirmScreen", "PickScreen", "HelpScreen", "TourScreen"):
            return seat.screen
        tab = words[2] if words[:1] in (["containers"], ["images"]) and len(words) > 2 else ""
        return f"{seat.screen}({' '.join([*words[:1], tab]).strip()})+{seat.focus}"

    # What can be done

    def press(self, *names: str) -> None:
        """Press keys; an escape waits until it is one."""
        for name in names:
            data = hands.key(name)
            if data:
                self._send(name, data)

    def _send(self, what: str, data: bytes, keys: int = 1) -> None:
        self.last.append(what)
        self.pressed += keys
        self.sent_bytes += len(data)
        self.seat.send(data)
        if data[-1:] == b"\x1b":
            self.seat.settle(ESCAPED_S)

    def _known(self) -> None:
        """Press keys that do something here, those that were pressed least before others."""
        screen = self.seat.screen
        keys = [name for name in self.seat.active if hands.key(name)] or ["escape"]
        for _ in range(self.choice.choice((1, 1, 2, 3))):
            some = self.choice.sample(keys, min(len(keys), self.choice.choice((1, 8, 99))))
            name = min(some, key=lambda name: self.used[screen, name])
            if name in LEAVING and self.choice.random() < 0.5:
                continue
            self.press(name)

    def _any(self) -> None:
        names = self.choice.sample([*hands.SEQUENCES], self.choice.choice((1, 2, 3)))
        self.press(*names)

    def _type(self) -> None:
        if self.choice.random() < 0.4:
            line = lines.line(self.choice, self.place.names)
            self._send(line, line.encode())
            self.press(*self.choice.choices(ENDS, k=2))
            return
        for _ in range(self.choice.randint(1, 6)):
            letter = self.choice.choice(hands.LETTERS)
            self._send(letter, letter.encode())

    def _line(self) -> None:
        line = lines.line(self.choice, self.place.names)
        self._send(f":{line}", b":" + line.encode())
        self.press(self.choice.choice(("enter",) * 8 + ("tab", "escape")))

    def _go(self) -> None:
        least = min(self.addresses.values())
        rare = [name for name, count in self.addresses.items() if count == least]
        address = self.choice.choice(rare)
        self.addresses[address] += 1
        self._send(f":go {address}", f":go {address}".encode())
        self.press("enter")

    def _mouse(self) -> None:
        data = hands.mouse(self.choice, self.seat.columns, self.seat.rows)
        self._send(repr(data), data)

    def _paste(self) -> None:
        text = self.choice.choice(hands.PASTES)
        self._send(f"<paste {text[:40]!r}>", hands.paste(text))

    def _broken(self) -> None:
        data = self.choice.choice(hands.BROKEN)
        self._send(repr(data), data)

    def _resize(self) -> None:
        for _ in range(self.choice.choice((1, 1, 5))):
            size = self.size if self.choice.random() < 0.4 else self.choice.choice(SIZES)
            self.last.append(f"<{size[0]}x{size[1]}>")
            self.seat.resize(*size)
            self.seat.settle(0.01)

    def _flood(self) -> None:
        """Hold a few keys down: many come before the first is acted upon."""
        keys = [name for name in self.seat.active if name not in LEAVING] or ["j"]
        names = self.choice.choices(keys, k=30)
        data = b"".join(hands.key(name) for name in names)
        self._send(f"<flood {' '.join(names)}>", data, len(names))

    def _leave_pane(self) -> None:
        self.press(*self.choice.choice((("ctrl+p", "ctrl+q"), (AWAY_FROM_PANE,), ("ctrl+d",))))

    # Elsewhere, and again

    def _come_back(self) -> None:
        """Type something where the terminal is now, and find the way back."""
        for _ in range(self.choice.randrange(8)):
            letter = self.choice.choice(hands.LETTERS)
            self._send(letter, letter.encode())
        self.doings["away"] += 1
        for number in range(60):
            if self.seat.ended or not self.seat.away:
                return
            data = OUT[number % len(OUT)]
            self._send(repr(data), data)
            self.seat.settle(0.1 if number < 2 * len(OUT) else 0.5)
        said = f"{self.seat.words}\n{self.seat.stacks()}"
        raise Finding(f"the terminal does not come back from {self.seat.guest}:\n{said}")

    def _start_again(self) -> None:
        code = self.seat.wait()
        if code or "Traceback" in self.seat.words:
            raise Finding(f"the app ended with {code}:\n{self.seat.words}")
        self._sit_down()

    # What must be true

    def _must_have_keys(self) -> None:
        """Finding when nothing has the keys, and that is not about to change."""
        deadline = time.monotonic() + SETTLED_S
        while self.seat.focus == NOBODY and self.seat.screen != "ConfirmScreen":
            if self.seat.ended or self.seat.away:
                return
            if time.monotonic() > deadline:
                raise Finding(f"nothing has the keys:\n{self.seat.picture()}")
            self.seat.settle(0.1)
            self.seat.ask()

    def _look(self) -> None:
        """Compare what is shown with what is meant, when it holds still."""
        self.looks[self.seat.look() is not None] += 1

    def home(self) -> None:
        """Find the way to the tables."""
        self.seat.resize(*self.size)
        for number in range(80):
            if self.seat.ended:
                self._start_again()
            elif self.seat.away:
                self._come_back()
            self.seat.ask()
            here = (self.seat.screen, self.seat.focus)
            if here == ("DashboardScreen", "LineTable") and number > 3:
                return
            self.press(AWAY_FROM_PANE if self.seat.focus == PANE else "escape")
        raise Finding(f"escape does not lead home, but to {here}:\n{self.seat.picture()}")

    def question(self) -> float:
        """Ask something on the tables; return after how long the answer was there, in seconds."""
        while True:
            self.home()
            self.seat.send(b":clear\r")
            self.seat.ask()
            self.seat.send(b":version\r")
            took = self.seat.ask()
            # A program whose turn came only now has the keys, and got what was typed.
            if not (self.seat.away or self.seat.focus == PANE):
                break
        took += self.seat.until("limpet 0.", ANSWER_S)
        self.home()
        return took

    def compare(self) -> None:
        """Finding unless the table of containers says what `ps` says, when both have settled."""
        deadline = time.monotonic() + ANSWER_S
        while meant := self.seat.look():
            said = self.place.ps()
            if meant["frozen"] or meant["containers"] == said:
                return
            if time.monotonic() > deadline:
                raise Finding(f"the table has {meant['containers']},\nps {said}")

    def leave(self) -> None:
        """Quit, as a person does; Finding when it does not end well."""
        self.home()
        self.press("q")
        self.seat.settle(1)
        if not self.seat.ended:
            self.press("y")
        code = self.seat.wait()
        if code:
            raise Finding(f"the app ended with {code}:\n{self.seat.words}")
