"""What a client needs to connect to an API server."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.process.kubernetes.access.credentials import Credentials, FixedCredentials
from componentrun.process.kubernetes.access.errors import AccessError

if TYPE_CHECKING:
    from componentrun.process.kubernetes.access.credentials import Certificate, Pem

__all__ = ["Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """One API server, and as whom to talk to it."""

    server: str
    """URL without a slash at its end."""
    credentials: Credentials = field(default_factory=FixedCredentials)
    namespace: str = "default"
    """Where objects are, unless a request says otherwise."""
    authority: Pem | None = None
    """Certificates of the authorities that may sign the server's; None: those that the system trusts."""
    is_verified: bool = True
    """Whether the server's certificate is checked."""
    tls_server_name: str = ""
    """Name in the server's certificate; empty: the host of the URL."""
    proxy_url: str = ""
    """Empty: as the environment says."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every request: whom to act as."""

    def tls(self, certificate: Certificate | None) -> ssl.SSLContext:
        """The TLS settings of connections that show this client certificate.

        Raises:
            AccessError: certificates or a key can't be used.
        """
        context = ssl.create_default_context(cadata=_certificates(self.authority))
        # Clusters' own authorities often lack an Authority Key Identifier, which Python 3.13 began to insist on.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            _add(context, certificate)
        return context


def _certificates(authority: Pem | None) -> str | None:
    """The authority's certificates as `ssl` takes them."""
    if authority is None:
        return None
    text = authority.content.decode("ascii", errors="replace")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:  # ValueError: it is empty
        raise AccessError(f"{authority.source}: found no certificate; expected PEM") from error
    return text


def _add(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Show this certificate to the server. `ssl` reads certificates and keys from files only."""
    with tempfile.NamedTemporaryFile() as chain, tempfile.NamedTemporaryFile() as key:
        for file, pem in ((chain, certificate.chain), (key, certificate.key)):
            file.write(pem.content)
            file.flush()
        try:
            context.load_cert_chain(chain.name, key.name, password=_no_password)
        except (ssl.SSLError, OSError, AccessError) as error:
            raise AccessError(
                f"client certificate of {certificate.chain.source} and key of {certificate.key.source} can't be used: "
                f"{error.args[-1] if error.args else error}",
                advice="Both have to be PEM, belong together, and the key must not be encrypted.",
            ) from error


def _no_password() -> str:
    """Called for an encrypted key; without it, OpenSSL would ask at the terminal."""
    raise AccessError("the key is encrypted")
