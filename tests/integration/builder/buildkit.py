"""An image with BuildKit. Its programs take minutes to build, so tests use it only if they were built before:
`python -m dev.cluster build buildkit`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev.cluster.build import builds
from dev.images import Image, ensure_one
from dev.images.catalogue import ROOT

if TYPE_CHECKING:
    from dev.cluster.connection import Connection

_TOOLS = ("buildkit", "runc")
_PROGRAMS = ("buildkitd", "buildctl", "rootlesskit", "runc")


def is_built() -> bool:
    """Whether the programs are there."""
    return not builds.missing(_TOOLS)


def image(connection: Connection) -> str:
    """Bring the image to the cluster and return its reference."""
    programs = builds.build(_TOOLS)
    with tempfile.TemporaryDirectory(prefix="componentrun-buildkit-") as name:
        context = Path(name)
        shutil.copy2(ROOT / "dev/images/buildkit/Dockerfile", context)
        (context / "bin").mkdir()
        for program in _PROGRAMS:
            shutil.copy2(programs / program, context / "bin")
        return ensure_one(connection, Image("buildkit", context, ("Dockerfile", "bin")))
