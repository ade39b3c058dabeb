"""Whom the collector takes for a log server: who has a certificate of this authority. Read again as it changes."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Final

__all__ = ["Authority"]

_MAX_AGE_SECONDS: Final = 30.0


class Authority:
    """Certificates of the authority in a file."""

    def __init__(self, file: str) -> None:
        """Nothing is read yet."""
        self._file = Path(file)
        self._read = ""
        self._read_at = float("-inf")
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """What to connect with: the same one as long as the file does not change, so that connections are kept.

        Raises:
            OSError: the file can't be read; (ssl.SSLError) it holds no certificate.
        """
        if self._context is None or time.monotonic() - self._read_at > _MAX_AGE_SECONDS:
            text = self._file.read_text(encoding="ascii")
            if self._context is None or text != self._read:
                context = ssl.create_default_context(cadata=text)
                context.minimum_version = ssl.TLSVersion.TLSv1_3
                self._context, self._read = context, text
            self._read_at = time.monotonic()
        return self._context

    def invalidate(self) -> None:
        """A server had another certificate: look at the file before the next connection."""
        self._read_at = float("-inf")
