"""The session's blocks: wrapped for one width, the oldest fall out."""

from __future__ import annotations

from rich.cells import cell_len

from tui.theme import plain
from tui.widgets.output.blocks import MOST_LINES, Blocks


def test_the_oldest_fall_out_but_never_the_last() -> None:
    blocks = Blocks(">")
    for _ in range(3):
        block = blocks.add("ps")
        block.body = [[("row", "")]] * (MOST_LINES // 2)
        blocks.wrap(block.number, 80)
    assert [block.number for block in blocks.all] == [3]
    assert blocks.get(1) is None
    last = blocks.add("logs web")
    last.body = [[("row", "")]] * (MOST_LINES + 1)
    blocks.wrap(last.number, 80)
    assert blocks.all == [last]
    assert len(blocks.lines) == MOST_LINES + 2


def test_lines_know_their_block_and_fit_the_width() -> None:
    blocks = Blocks(">")
    for line, words in (("ps", "a long answer in words"), ("images", ""), ("df", "日本語 " * 9)):
        block = blocks.add(line)
        block.body = [[(words, "")]]
        assert blocks.wrap(block.number, 12)
        assert not blocks.wrap(block.number, 12)
    assert max(cell_len(plain(parts)) for parts in blocks.lines[1:]) <= 12
    for block in blocks.all:
        start = blocks.start(block)
        found = {blocks.at(line) for line in range(start, start + len(block.lines))}
        assert found == {block}
    assert blocks.at(len(blocks.lines)) is None
