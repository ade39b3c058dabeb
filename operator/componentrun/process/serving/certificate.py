"""TLS certificate of a server. It is reloaded when its files change, for new connections."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
from pathlib import Path
from typing import Final

from componentrun.errors import PlatformError

__all__ = ["CERTIFICATE", "KEY", "Certificate"]

log = logging.getLogger(__name__)

CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
_LOOK_EVERY: Final = 30.0


class Certificate:
    """A certificate and its key in a folder.

    Attributes:
        context: the TLS context of the server.
    """

    def __init__(self, folder: str, server: str, value: str) -> None:
        """Read the files.

        Args:
            folder: where they are.
            server: whose certificate it is, for messages: `log server`.
            value: the chart's value that says where it comes from.

        Raises:
            PlatformError: there is no certificate, or the key does not match it.
        """
        self._folder, self._server, self._value = Path(folder), server, value
        self._loaded = b""
        self.context = _empty_context()
        # Both sides have the same release.
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.load()

    def load(self) -> bool:
        """Load the files again. Returns whether they changed.

        Raises:
            PlatformError: there is no certificate, or the key does not match it.
        """
        files = self._folder / CERTIFICATE, self._folder / KEY
        try:
            found = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).digest()
            if found == self._loaded:
                return False
            _empty_context().load_cert_chain(*files)  # a failure leaves a context without a key
            # Open connections keep their certificate.
            self.context.load_cert_chain(*files)
        except (OSError, ssl.SSLError) as error:
            raise PlatformError(
                f"the {self._server} can't serve without a certificate: {self._folder} should have {CERTIFICATE} and "
                f"the key of it, {KEY}, in PEM: {error.strerror or error}; see `{self._value}` of the chart"
            ) from error
        self._loaded = found
        return True

    async def tend(self) -> None:
        """Reload the files when they change, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                if self.load():
                    log.info("serving with another certificate from now on")
            except PlatformError as error:
                log.error("still serving with the certificate before: %s", error.message)  # noqa: TRY400 - the message is enough


def _empty_context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
