"""TLS certificate of the log server. It is reloaded when its files change, for new connections."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from pathlib import Path
from typing import Final

from componentrun.errors import PlatformError
from componentrun.process import nodelogs

__all__ = ["Certificate"]

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 30.0


class Certificate:
    """A certificate and its key in a folder.

    Attributes:
        context: the TLS context of the server.
    """

    def __init__(self, folder: str) -> None:
        """Read the files.

        Raises:
            PlatformError: there is no certificate, or the key does not match it.
        """
        self._folder = Path(folder)
        self._loaded = b""
        self.context = _empty_context()
        # Both sides are of the same release.
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.load()

    def load(self) -> bool:
        """Load the files again. Returns whether they changed.

        Raises:
            PlatformError: there is no certificate, or the key does not match it.
        """
        files = self._folder / nodelogs.CERTIFICATE, self._folder / nodelogs.KEY
        try:
            found = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).digest()
            if found == self._loaded:
                return False
            _empty_context().load_cert_chain(*files)  # a failure leaves a context without a key
            # Open connections keep their certificate.
            self.context.load_cert_chain(*files)
        except (OSError, ssl.SSLError) as error:
            raise PlatformError(
                f"can't serve logs without a certificate: {self._folder} should have {nodelogs.CERTIFICATE} and the "
                f"key of it, {nodelogs.KEY}, in PEM: {error.strerror or error}; see `nodeLogs.tls` of the chart"
            ) from error
        self._loaded = found
        return True

    async def tend(self) -> None:
        """Look now and then whether the files have changed, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                if self.load():
                    log.info("serving logs with another certificate from now on")
            except PlatformError as error:
                log.error("still serving with the certificate before: %s", error.message)  # noqa: TRY400 - told in a sentence


def _empty_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
