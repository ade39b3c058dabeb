"""Names of runs."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import MAX_RUN_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["generated_name"]

_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of names that Kubernetes generates: no vowels, so no words; no letters that look alike."""
_SUFFIX_LENGTH: Final = 5


def generated_name(spec: Mapping[str, Any], prefix: str | None = None) -> str:
    """Generate `<component>-<5 characters>`, with the name of the image if there is no component."""
    if prefix is None:
        image = str(spec.get("image") or "run").partition("@")[0].rpartition("/")[2].partition(":")[0]
        prefix = f"{spec.get('component') or image}-"
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
    stem = re.sub(r"[^a-z0-9.-]+", "-", prefix.lower()).lstrip("-.")[: MAX_RUN_NAME - _SUFFIX_LENGTH]
    return f"{stem or 'run-'}{suffix}"
