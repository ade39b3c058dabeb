"""Where a login may go: the scheme, host and port that it was given for."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

__all__ = ["origin"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)}"
