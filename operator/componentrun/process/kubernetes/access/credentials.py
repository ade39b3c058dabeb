"""Tokens and client certificates, and when they are read again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from componentrun.process.kubernetes.access.errors import AccessError
from componentrun.process.kubernetes.tokenfile import TokenFile

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = ["Certificate", "Credential", "Credentials", "FixedCredentials", "Pem", "TokenFileCredentials"]


@dataclass(frozen=True, slots=True)
class Pem:
    """Certificates or a key in PEM, and where they come from, for messages."""

    content: bytes
    source: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate with its key."""

    chain: Pem
    key: Pem


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request is authenticated with. Both may be empty: an anonymous request."""

    token: str = ""
    certificate: Certificate | None = None
    expires_at: datetime | None = None
    """When the server will refuse it; None: not known."""

    def headers(self) -> dict[str, str]:
        """The header with the token, if there is one."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


class Credentials(Protocol):
    """A source of credentials. Methods may be called from several threads."""

    def is_ready(self) -> bool:
        """Whether `get` answers without starting a process."""

    def get(self) -> Credential:
        """The credential to use now.

        Raises:
            AccessError: there is none.
        """

    def discard(self, refused: Credential) -> bool:
        """Forget a credential that the server refused. Returns whether `get` may answer with another one."""


class FixedCredentials:
    """A credential that never changes."""

    def __init__(self, credential: Credential = Credential()) -> None:
        """Without one, requests are anonymous."""
        self._credential = credential

    def is_ready(self) -> bool:
        """Always."""
        return True

    def get(self) -> Credential:
        """The credential."""
        return self._credential

    def discard(self, refused: Credential) -> bool:  # noqa: ARG002 - part of the protocol
        """There is no other one."""
        return False


class TokenFileCredentials:
    """A token in a file that somebody else renews, such as the kubelet."""

    def __init__(self, file: Path, certificate: Certificate | None = None) -> None:
        """The file is read at the first use."""
        self._file, self._certificate = file, certificate
        self._token = TokenFile(str(file))

    def is_ready(self) -> bool:
        """Always: a file is read at once."""
        return True

    def get(self) -> Credential:
        """The token as it is in the file, at most 30 s old."""
        try:
            token = self._token.read()
        except OSError as error:
            raise AccessError(f"token file `{self._file}`: {error.strerror}") from error
        except ValueError as error:
            raise AccessError(f"token file `{self._file}`: expected ASCII text") from error
        if not token:
            raise AccessError(f"token file `{self._file}` is empty")
        return Credential(token, self._certificate)

    def discard(self, refused: Credential) -> bool:  # noqa: ARG002 - part of the protocol
        """Read the file again at the next use."""
        self._token.invalidate()
        return True
