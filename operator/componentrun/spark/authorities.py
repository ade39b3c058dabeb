"""The authorities that Java trusts, in a form that it reads: those of this machine and those that the Storage names."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

from componentrun.loader.duck import all_authorities

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["PASSWORD", "write"]

PASSWORD: Final = "componentrun"  # noqa: S105 - Java wants one; authorities are no secret
_END: Final = "-----END CERTIFICATE-----"


def write(file: Path, bundles: Iterable[str | None]) -> None:
    """Write a key store of the kind PKCS12.

    Args:
        file: where to.
        bundles: PEM texts of further authorities.
    """
    text = all_authorities("\n".join(bundle for bundle in bundles if bundle is not None))
    found = {}
    for part in text.split(_END)[:-1]:
        with warnings.catch_warnings():
            # Some old authorities have serial numbers that no new one may have.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            authority = x509.load_pem_x509_certificate(f"{part.strip()}\n{_END}\n".encode())
        found[authority.fingerprint(hashes.SHA256())] = authority
    entries = [
        pkcs12.PKCS12Certificate(authority, f"authority-{number}".encode())
        for number, authority in enumerate(found.values())
    ]
    file.write_bytes(pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode())))
