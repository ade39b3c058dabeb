"""Signatures of images as cosign makes them with a key: is one valid for an image and a key? Pure.

Two forms:

- cosign 3: a bundle with a DSSE envelope, in which an in-toto statement names the image's digest.
- cosign 2: a payload in the form "simple signing" that names the digest, with the signature beside it.

Everything comes from a registry, so it may have been made by anybody. The signature is checked first, over the bytes as
they are; what is in them is read only afterwards, so it is known to come from the holder of the key. Transparency logs,
timestamps and certificates in a bundle are ignored: with a key, they prove nothing that the signature does not.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final, NoReturn

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.core.images.signingkey import SigningKey

__all__ = [
    "BUNDLE_TYPE",
    "MAX_SIGNATURE_BYTES",
    "SIGN_PREDICATE",
    "SIMPLE_SIGNATURE",
    "SIMPLE_TYPE",
    "check_bundle",
    "check_simple_signature",
    "pre_authentication_encoding",
]

BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle"
"""Beginning of the media type of bundles; the version follows."""
SIGN_PREDICATE: Final = "https://sigstore.dev/cosign/sign/v1"
"""Predicate of a signature. Statements with others are attestations, such as lists of parts or results of a scan, which
may say that an image is bad."""
SIMPLE_TYPE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
"""Media type of payloads of cosign 2."""
SIMPLE_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
"""Annotation with the signature of such a payload."""
MAX_SIGNATURE_BYTES: Final = 256 * 1024
"""Size of a bundle or payload. One that was made with a key has 1 to 20 KiB."""
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_SIMPLE_KIND: Final = "cosign container image signature"
_MOST_SIGNATURES: Final = 16
"""Number of signatures of one envelope. cosign writes one."""
_ALGORITHM: Final = "sha256"
_SHOWN: Final = 100
"""Number of characters of a value of a stranger that a message repeats."""


def check_bundle(content: bytes, key: SigningKey, digest: str) -> None:
    """Check that a bundle is a signature of an image by a key.

    Args:
        content: the bundle.
        key: the key.
        digest: `sha256:…` of the image, or of the index if it has several platforms.

    Raises:
        UserError: (ImageUnverified) it is not; the summary says what it is instead.
    """
    bundle = _document(content, "the bundle")
    envelope = bundle.get("dsseEnvelope")
    if not isinstance(envelope, dict):
        what = "the signature of a file" if "messageSignature" in bundle else "something else"
        _reject(f"found {what}; expected a bundle with a DSSE envelope, as `cosign sign` of cosign 3 makes it")
    payload = _signed_payload(envelope, key)
    _check_statement(_document(payload, "the statement"), digest)


def check_simple_signature(content: bytes, signature: str, key: SigningKey, digest: str) -> None:
    """Check that a payload of cosign 2 with its signature is a signature of an image by a key.

    Args:
        content: the payload.
        signature: the value of the annotation `SIMPLE_SIGNATURE`.
        key: the key.
        digest: see `check_bundle`.

    Raises:
        UserError: (ImageUnverified) it is not; the summary says what it is instead.
    """
    _check_size(content, "the payload")
    if not key.verifies(_decoded(signature, "the signature"), content):
        _reject_key(key)
    critical = _document(content, "the payload").get("critical")
    critical = critical if isinstance(critical, dict) else {}
    if critical.get("type") != _SIMPLE_KIND:
        _reject(f"the payload has the type {_shown(critical.get('type'))}; expected `{_SIMPLE_KIND}`")
    image = critical.get("image")
    found = image.get("docker-manifest-digest") if isinstance(image, dict) else None
    if found != digest:
        _reject_image([found], digest)


def pre_authentication_encoding(payload_type: bytes, payload: bytes) -> bytes:
    """The bytes that a signature in a DSSE envelope covers."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(payload), payload)


def _signed_payload(envelope: dict[str, Any], key: SigningKey) -> bytes:
    """The payload of an envelope, if the key has signed it."""
    kind = envelope.get("payloadType")
    if kind != _PAYLOAD_TYPE:
        _reject(f"the envelope has the payload type {_shown(kind)}; expected `{_PAYLOAD_TYPE}`")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        _reject("the envelope has no signatures")
    if len(signatures) > _MOST_SIGNATURES:
        _reject(f"the envelope has {len(signatures)} signatures; expected at most {_MOST_SIGNATURES}")
    payload = _decoded(envelope.get("payload"), "the payload")
    message = pre_authentication_encoding(_PAYLOAD_TYPE.encode(), payload)
    made = [_decoded(item.get("sig") if isinstance(item, dict) else None, "a signature") for item in signatures]
    if not any(key.verifies(signature, message) for signature in made):
        _reject_key(key)
    return payload


def _check_statement(statement: dict[str, Any], digest: str) -> None:
    """Check what the holder of the key has said."""
    for name, expected in (("predicateType", SIGN_PREDICATE), ("_type", _STATEMENT_TYPE)):
        if statement.get(name) != expected:
            _reject(f"the statement has the {name} {_shown(statement.get(name))}; expected `{expected}`")
    subjects = statement.get("subject")
    digests = [
        item["digest"].get(_ALGORITHM)
        for item in (subjects if isinstance(subjects, list) else [])
        if isinstance(item, dict) and isinstance(item.get("digest"), dict)
    ]
    if digest not in [f"{_ALGORITHM}:{found}" for found in digests]:
        _reject_image([f"{_ALGORITHM}:{found}" for found in digests], digest)


def _document(content: bytes, what: str) -> dict[str, Any]:
    _check_size(content, what)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        _reject(f"{what} is not valid JSON", error)
    if not isinstance(document, dict):
        _reject(f"{what} is not a JSON object")
    return document


def _check_size(content: bytes, what: str) -> None:
    if len(content) > MAX_SIGNATURE_BYTES:
        _reject(f"{what} has {len(content)} bytes; expected at most {MAX_SIGNATURE_BYTES}")


def _decoded(text: object, what: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError as error:
        _reject(f"{what} is not valid base64", error)
    if not content:
        _reject(f"{what} is missing or empty")
    return content


def _shown(value: object) -> str:
    """A value of a stranger for a message: short, and without control characters."""
    if not isinstance(value, str):
        return "(missing)" if value is None else "(not a text)"
    text = "".join(character if character.isprintable() else "?" for character in value[:_SHOWN])
    return f"`{text}{'…' if len(value) > _SHOWN else ''}`"


def _reject_key(key: SigningKey) -> NoReturn:
    hint = f" ({key.hint})" if key.hint else ""
    _reject(f"it was made with another key, or for other content{hint}")


def _reject_image(found: list[object], digest: str) -> NoReturn:
    named = _shown(found[0]) if found else "no image"
    _reject(f"it is a signature of {named}{' and others' if found[1:] else ''}; expected `{digest}`")


def _reject(summary: str, cause: BaseException | None = None) -> NoReturn:
    raise UserError(summary, Reason.IMAGE_UNVERIFIED) from cause
