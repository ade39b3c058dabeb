"""TLS context that accepts servers with a certificate of the chart's authority; reloads when the file changes."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Final

__all__ = ["Authority"]

_MAX_AGE_SECONDS: Final = 30.0


class Authority:
    """The authority's certificates, read from a file."""

    def __init__(self, file: str) -> None:
        """The file is read at the first use."""
        self._file = Path(file)
        self._read = ""
        self._read_at = float("-inf")
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context for connections. It stays the same until the file changes, so that connections are reused.

        Raises:
            OSError: the file can't be read; (ssl.SSLError) it holds no certificate.
            ValueError: it is empty, or not ASCII.
        """
        if self._context is None or time.monotonic() - self._read_at > _MAX_AGE_SECONDS:
            text = self._file.read_text(encoding="ascii")
            if not text.strip():
                # Without certificates, `ssl` would trust the authorities of the system.
                raise ValueError("the file is empty")
            if self._context is None or text != self._read:
                context = ssl.create_default_context(cadata=text)
                context.minimum_version = ssl.TLSVersion.TLSv1_3
                self._context, self._read = context, text
            self._read_at = time.monotonic()
        return self._context

    def invalidate(self) -> None:
        """Read the file again at the next connection, because the certificate of a server was refused."""
        self._read_at = float("-inf")
