"""Names for containers that were given none: two words a person can remember and say."""

from __future__ import annotations

import os

QUALITIES = (
    "amber", "bold", "brisk", "briny", "calm", "clear", "coral", "crisp", "deep", "drifting",
    "eager", "even", "fair", "fleet", "foamy", "gentle", "gleaming", "hardy", "hidden", "humble",
    "keen", "kind", "lively", "lunar", "mellow", "merry", "mild", "mossy", "nimble", "northern",
    "patient", "pearly", "placid", "plucky", "polar", "proud", "quick", "quiet", "ready", "rocky",
    "rosy", "salty", "sandy", "serene", "shy", "silver", "sleek", "snug", "solid", "southern",
    "stormy", "steady", "sturdy", "sunny", "swift", "tidal", "tidy", "tranquil", "velvet", "warm",
    "wild", "windy", "wise", "witty",
)  # fmt: skip
CREATURES = (
    "abalone", "anemone", "auk", "barnacle", "bream", "char", "chiton", "clam", "cockle", "cod",
    "conch", "coot", "crab", "cuttle", "dab", "dolphin", "dory", "dunlin", "eel", "eider",
    "fulmar", "gannet", "goby", "gull", "gurnard", "haddock", "hake", "heron", "herring", "kelp",
    "krill", "lamprey", "ling", "lobster", "mackerel", "marlin", "mullet", "murre", "mussel",
    "nautilus", "octopus", "orca", "osprey", "otter", "oyster", "perch", "petrel", "pipefish",
    "plaice", "plover", "porpoise", "prawn", "puffin", "ray", "remora", "scallop", "seal",
    "shrimp", "skate", "sponge", "squid", "tern", "urchin", "whelk",
)  # fmt: skip


def make_name(attempt: int = 0) -> str:
    """Return a name such as `briny_otter`; later attempts carry a number."""
    first, second = os.urandom(2)
    name = f"{QUALITIES[first % len(QUALITIES)]}_{CREATURES[second % len(CREATURES)]}"
    return f"{name}{os.urandom(2).hex()}" if attempt > 2 else name


def is_name(text: str) -> bool:
    """Return whether a container may be called so: [a-zA-Z0-9][a-zA-Z0-9_.-]+, as in docker."""
    return (
        2 <= len(text) <= 128
        and text.isascii()
        and text[0].isalnum()
        and all(letter.isalnum() or letter in "_.-" for letter in text)
    )
