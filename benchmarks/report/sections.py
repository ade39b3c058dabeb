"""Titles and introductions of the areas on docs/benchmarks.md, from sections.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

__all__ = ["SECTIONS"]

_HEADING: Final = re.compile(r"^# (?P<area>\w+): (?P<title>.+)$", re.MULTILINE)


def _read() -> dict[str, tuple[str, str]]:
    _, *parts = _HEADING.split(Path(__file__).with_name("sections.md").read_text(encoding="utf-8"))
    return {area: (title, text.strip()) for area, title, text in zip(*[iter(parts)] * 3, strict=True)}


SECTIONS: Final = _read()
"""Title and introduction of each area, in the order of the page."""
