"""Everything that goes into a build, and its hash, which is the build's name.

The same input has the same name, so the API server itself makes runs that ask at once share one build, and an image
that is there is found by its tag. Credentials are not part of it: they decide whether a build can read and push, not
what it makes. The URL is part of it, although the commit determines the content: otherwise, whoever knows a commit
of a repository that they can't read would get the image that others built from it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

__all__ = ["FORMAT", "BuildInputs", "Variables"]

FORMAT: Final = 1
"""To be increased if the same input is to give another image, for example other modes of files in layers."""
_NAME_PREFIX: Final = "build-"
_NAME_CHARACTERS: Final = 40
"""160 bits of the hash: two builds with one name are out of reach, and names fit into labels (63 characters)."""

_VARIABLES: Final = ("arguments", "bases", "tools")
_ADDED: Final = frozenset({"dockerfile", "stage", "bases", "secrets", "not_before"})
"""Names of builds without these do not depend on them."""

Variables = tuple[tuple[str, str], ...]
"""Names and values. Their order has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInputs:
    """Everything that decides what a build makes and where its image is."""

    engine: Literal["layer", "dockerfile"] = "layer"
    url: str
    """Normal form of the repository's address."""
    commit: str
    context_dir: str = ""
    parent: str = ""
    """The parent image by its digest; empty with a Dockerfile."""
    platform: str
    """`os/architecture`."""
    folder: str
    """Absolute path of the code in the image."""
    dockerfile: str = ""
    """Path of the Dockerfile in the folder that is built; this and the next three are of the engine `dockerfile`."""
    stage: str = ""
    """Stage of the Dockerfile; empty: the last one."""
    bases: Variables = ()
    """Names of images in the Dockerfile, and the images by digest that replace them."""
    secrets: tuple[str, ...] = ()
    """Ids of the values that steps of the Dockerfile can mount, sorted."""
    commands: tuple[str, ...] = ()
    """Lines for the shell; empty: those of a convention."""
    arguments: Variables = ()
    """Environment of the commands, or build arguments. They are no place for secrets."""
    entrypoint: tuple[str, ...] = ()
    """Empty: that of a convention."""
    tools: Variables = ()
    """Versions of what makes the image, such as the builder."""
    target: str
    """Repository that the image is pushed to."""
    not_before: str = ""
    """Time after which it is built; empty: any image of the same input will do."""

    def canonical(self) -> bytes:
        """The text that is hashed: the same for the same input."""
        content = asdict(self) | {name: dict(getattr(self, name)) for name in _VARIABLES}
        return _canonical({name: value for name, value in content.items() if value or name not in _ADDED})

    @classmethod
    def parse(cls, canonical: bytes) -> BuildInputs:
        """The inputs with this canonical form.

        Raises:
            ValueError: it is not one, or has another format.
        """
        try:
            content = json.loads(canonical)
            if content.pop("format") != FORMAT:
                raise ValueError("the inputs of a build have another format")
            for name in _VARIABLES:
                content[name] = tuple(sorted(content.get(name, {}).items()))
            for name in ("commands", "entrypoint", "secrets"):
                content[name] = tuple(content.get(name, ()))
            return cls(**content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("not the inputs of a build") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.canonical()).hexdigest()

    @property
    def name(self) -> str:
        """Name of the build, and tag of its image."""
        return _NAME_PREFIX + self.digest[:_NAME_CHARACTERS]


def _canonical(content: dict[str, Any]) -> bytes:
    text = json.dumps({"format": FORMAT, **content}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
