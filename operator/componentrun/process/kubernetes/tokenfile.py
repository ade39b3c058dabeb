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

    def read(self) -> str:
        """The token, read from the file at most 30 s ago.

        Raises:
            OSError: the file can't be read.
            ValueError: the file is not ASCII.
        """
        if time.monotonic() - self._read_at > _MAX_AGE_SECONDS:
            self._token = self._file.read_text(encoding="ascii").strip()
            self._read_at = time.monotonic()
        return self._token

    def authorization(self) -> dict[str, str]:
        """The header with the token.

        Raises:
            OSError, ValueError: as `read`.
        """
        return {"Authorization": f"Bearer {self.read()}"}

    def invalidate(self) -> None:
        """Read the file again at the next use, because a server refused the token."""
        self._read_at = float("-inf")
