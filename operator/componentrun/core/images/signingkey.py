"""The public key of `spec.verify`: which keys are accepted, their fingerprint, and the check of one signature. Pure.

The kind of the key alone decides how a signature is checked; nothing that stands beside the signature is asked. The
algorithms are those with which cosign signs: ECDSA, and RSA with PKCS #1 v1.5, with SHA-256. For P-384, cosign 3 signs
with SHA-384, and cosign 2 with SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey

__all__ = ["SigningKey", "parse_signing_key"]

_BEGIN: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_LABEL: Final = "PUBLIC KEY"
_CURVES: Final = {"secp256r1": ("SHA256",), "secp384r1": ("SHA384", "SHA256")}
"""Hashes by curve."""
_RSA_BITS: Final = range(2048, 8193)
_EXPECTED: Final = "ECDSA with the curve P-256 or P-384, Ed25519, or RSA with 2048 to 8192 bits"
_ED25519_HINT: Final = "cosign 3 signs with Ed25519ph, which is not supported (nor does its own `verify` accept it)"
"""Seen with cosign 3.1.3. Signatures with plain Ed25519 are valid."""
_MOST_KEYS: Final = 256
"""Number of parsed keys that are remembered."""
_ADVICE: Final = "Use the content of `cosign.pub` that `cosign generate-key-pair` wrote."


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key with which images must be signed."""

    fingerprint: str
    """`sha256:` and the SHA-256 of the key in DER form (SubjectPublicKeyInfo), in hexadecimal digits."""
    hint: str
    """What to know when signatures with a key of this kind are not valid; empty for most kinds."""
    _key: PublicKey = field(compare=False, repr=False)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature of the message."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see `parse_signing_key`
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - likewise
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: PLC0415 - likewise

        key = self._key
        if isinstance(key, ec.EllipticCurvePublicKey):
            algorithms = [ec.ECDSA(getattr(hashes, name)()) for name in _CURVES[key.curve.name]]
            checks = [partial(key.verify, signature, message, algorithm) for algorithm in algorithms]
        elif isinstance(key, rsa.RSAPublicKey):
            checks = [partial(key.verify, signature, message, padding.PKCS1v15(), hashes.SHA256())]
        else:
            checks = [partial(key.verify, signature, message)]
        for check in checks:
            try:
                check()
            except InvalidSignature:
                continue
            return True
        return False


@lru_cache(_MOST_KEYS)
def parse_signing_key(pem: str, owner: str) -> SigningKey:
    """Parse a public key.

    Args:
        pem: the key in PEM form.
        owner: what contains it, for messages, such as "Component `app`: spec.verify.key".

    Raises:
        UserError: (InvalidSpec) it is not exactly one public key of an accepted kind. The message does not contain it.
    """
    # Loads in 30 ms, and most operators check no signatures.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    labels = _BEGIN.findall(pem)
    if any("PRIVATE KEY" in label for label in labels):
        raise _invalid(
            f"{owner}: found a private key; expected a public key in PEM form",
            "Replace the key pair, because everybody who may read this object can sign with it now. Then use the new "
            "public key.",
        )
    if labels != [_LABEL]:
        found = " and ".join(f"`{label}`" for label in labels[:3]) or "no PEM block"
        raise _invalid(f"{owner}: found {found}; expected one PEM block `{_LABEL}`", _ADVICE)
    try:
        key = serialization.load_pem_public_key(pem.encode())
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        summary = f"{owner}: the PEM block `{_LABEL}` contains no public key that can be read"
        raise _invalid(summary, _ADVICE) from error
    accepted = _accepted(key, owner)
    hint = _ED25519_HINT if type(accepted).__name__.startswith("Ed25519") else ""
    return SigningKey(f"sha256:{hashlib.sha256(der).hexdigest()}", hint, accepted)


def _accepted(key: object, owner: str) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415 - see `parse_signing_key`

    found = type(key).__name__.removesuffix("PublicKey")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES:
            return key
        found = f"ECDSA with the curve {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size in _RSA_BITS:
            return key
        found = f"RSA with {key.key_size} bits"
    raise _invalid(f"{owner}: found a key for {found}; expected {_EXPECTED}", "Sign with a key of one of these kinds.")


def _invalid(summary: str, advice: str) -> UserError:
    return UserError(summary, Reason.INVALID_SPEC, advice=advice)
