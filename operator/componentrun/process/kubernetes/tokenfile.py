"""A service account token for one purpose, which the kubelet renews in its file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

__all__ = ["TokenFile"]

_MAX_AGE_SECONDS: Final = 30.0


class TokenFile:
    """A projected token."""

    def __init__(self, file: str) -> None:
        """The file is read at the first use."""
        self._file = Path(file)
        self._token = ""
        self._read_at = float("-inf")

    def authorization(self) -> dict[str, str]:
        """The header that shows the token.

        Raises:
            OSError: the file can't be read.
            ValueError: it is no ASCII.
        """
        if time.monotonic() - self._read_at > _MAX_AGE_SECONDS:
            self._token = self._file.read_text(encoding="ascii").strip()
            self._read_at = time.monotonic()
        return {"Authorization": f"Bearer {self._token}"}

    def invalidate(self) -> None:
        """Read the file again before the next use, because a server did not accept the token."""
        self._read_at = float("-inf")
