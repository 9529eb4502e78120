"""A process of its own that pulls one image: DATA RUN REFERENCE, prints the digest."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from core.config import Config
from core.database import Database
from core.images.reference import parse_reference
from core.images.store import ImageStore
from core.jobs import Job
from core.paths import Paths
from core.registry.pull import pull

if __name__ == "__main__":
    paths = Paths(*sys.argv[1:3])
    store = ImageStore(paths, Database(paths), Config())
    info = pull(store, Config(), parse_reference(sys.argv[3]), "", Job(1, "pull"))
    sys.stdout.write(info.digest)
