"""Trees of files for a screen: of a layer, or of the image up to it, made once each."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.images.files.file_tree import Node
    from core.images.files.layer_stack import Stack

    Which = tuple[bool, int]
    """Whether the whole image up to a layer, and which layer."""

KEPT = 8
QUICK = 15_000
"""Entries of which a tree is made at once; more are made in a thread."""


class LayerTrees:
    """The trees that were shown last."""

    def __init__(self) -> None:
        self._trees: dict[Which, Node] = {}

    def get(self, which: Which) -> Node | None:
        """Return a tree if it is kept."""
        return self._trees.get(which)

    def keep(self, which: Which, tree: Node) -> None:
        """Keep a tree, in the place of the oldest if there are too many."""
        if which not in self._trees and len(self._trees) >= KEPT:
            self._trees.pop(next(iter(self._trees)))
        self._trees[which] = tree

    def forget(self, number: int) -> None:
        """Drop what a layer had that is another now."""
        self._trees = {which: tree for which, tree in self._trees.items() if which[1] != number}


def make_tree(stack: Stack, which: Which) -> Node:
    """Return a tree, from a stack that has the layer."""
    whole, number = which
    return stack.image_tree(number) if whole else stack.layer_tree(number)


def is_quick(counts: Sequence[int], which: Which) -> bool:
    """Tell from the layers' numbers of entries whether a tree is made before anybody waits."""
    whole, number = which
    return sum(counts[0 if whole else number : number + 1]) <= QUICK
