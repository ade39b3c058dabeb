"""A layer of dependencies that was pushed, and the key by which it is found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.identity import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.core.builds.identity import Variables

__all__ = ["DependencyInputs", "DependencyLayer", "dump_layers", "parse_layers"]

_KEY_CHARACTERS: Final = 40
"""160 bits of the hash, as in the names of builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyInputs:
    """Everything that decides what a layer of dependencies contains.

    The commands that install them must see nothing else of the repository: otherwise a commit could have a layer made
    that other commits with the same key get.
    """

    parent: str
    """The parent image by its digest."""
    platform: str
    folder: str
    """Absolute path of the code in the image."""
    files: Variables
    """Paths and SHA-256 of the files that name the dependencies."""
    commands: tuple[str, ...]
    """Lines for the shell that install them."""
    arguments: Variables = ()
    """Environment of the commands."""
    tools: Variables = ()

    def canonical(self) -> bytes:
        """The text that is hashed: the same for the same input."""
        named = {name: dict(getattr(self, name)) for name in ("files", "arguments", "tools")}
        content = {"format": FORMAT, **asdict(self), **named}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def key(self) -> str:
        """Key under which the layer is found again."""
        return hashlib.sha256(self.canonical()).hexdigest()[:_KEY_CHARACTERS]


@dataclass(frozen=True, slots=True)
class DependencyLayer:
    """A layer of dependencies in the repository of a Component's images."""

    key: str
    digest: str
    """Digest of the compressed archive, which names it in the registry."""
    size: int
    """Size of the compressed archive in bytes."""
    diff_id: str
    """Digest of the archive before its compression."""


def dump_layers(layers: Iterable[DependencyLayer]) -> bytes:
    """Layers as JSON, for the step that fetches."""
    return json.dumps([asdict(layer) for layer in layers]).encode()


def parse_layers(content: bytes) -> tuple[DependencyLayer, ...]:
    """The layers that `dump_layers` wrote.

    Raises:
        ValueError: these are none.
    """
    try:
        return tuple(DependencyLayer(**item) for item in json.loads(content))
    except TypeError as error:
        raise ValueError("not the layers of dependencies") from error
