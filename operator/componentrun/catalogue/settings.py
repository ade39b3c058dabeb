"""What a catalogue says about itself: the file `catalogue.yaml` of a folder, and `catalogue` of a bundle. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["CATALOGUE_NAME", "CatalogueSettings", "settings_from"]

CATALOGUE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
"""Names of catalogues, which are values of a label."""


@dataclass(frozen=True, slots=True)
class CatalogueSettings:
    """The content of `catalogue.yaml`."""

    name: str = ""
    """Name of the catalogue."""
    image_prefix: str = ""
    """Registry and path below which the images of imported repositories are."""


def settings_from(content: Any) -> CatalogueSettings:
    """The settings in a parsed `catalogue.yaml`.

    Raises:
        ValueError: a field is not known or has another form than expected.
    """
    if not isinstance(content, dict):
        raise ValueError("expected an object with `name` and, if needed, `imagePrefix`")  # noqa: TRY004 - wrong data
    unknown = sorted(str(key) for key in content if key not in {"name", "imagePrefix"})
    if unknown:
        raise ValueError(f"found `{unknown[0][:80]}`; expected only `name` and `imagePrefix`")
    name, prefix = content.get("name", ""), content.get("imagePrefix", "")
    if not isinstance(name, str) or not CATALOGUE_NAME.fullmatch(name):
        raise ValueError(f"`name` is `{str(name)[:80]}`; expected at most 63 small letters, digits, `-` and `.`")
    if not isinstance(prefix, str):
        raise ValueError("`imagePrefix` is no text; expected a registry and a path")  # noqa: TRY004 - wrong data
    return CatalogueSettings(name, prefix)
