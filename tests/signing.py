"""Signatures of images as cosign makes them with a key, made with `cryptography`, and the manifests that hold them.

test_cosign.py shows that cosign accepts them.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from componentrun.core.images.signatures import SIGN_PREDICATE, SIMPLE_SIGNATURE, SIMPLE_TYPE
from componentrun.registry.manifest import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

__all__ = [
    "BUNDLE",
    "EMPTY",
    "IMAGE",
    "INDEX",
    "Signer",
    "bundle_manifest",
    "bundle_of",
    "index_of",
    "simple_manifest",
    "statement",
    "tag_of",
]

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
EMPTY: Final = b"{}"
"""Configuration of a signature."""
_IN_TOTO: Final = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Signer:
    """A key pair."""

    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    hash: hashes.HashAlgorithm = field(default_factory=hashes.SHA256)
    """For ECDSA."""

    @property
    def public(self) -> str:
        """The public key as `cosign.pub` has it."""
        return (
            self.key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message, ec.ECDSA(self.hash))

    def envelope(self, content: bytes, kind: str = _IN_TOTO) -> dict[str, Any]:
        """A DSSE envelope."""
        # The encoding is spelled out here, so that tests do not compare the product's with itself.
        message = b"DSSEv1 " + b" ".join(
            part for text in (kind.encode(), content) for part in (str(len(text)).encode(), text)
        )
        signature = {"sig": base64.b64encode(self.sign(message)).decode()}
        return {"payload": base64.b64encode(content).decode(), "payloadType": kind, "signatures": [signature]}

    def bundle(self, digest: str) -> bytes:
        """A bundle as cosign 3 makes it."""
        return bundle_of(self.envelope(statement(digest)))

    def payload(self, digest: str) -> tuple[bytes, str]:
        """A payload of cosign 2, and its signature in base64."""
        critical = {
            "identity": {"docker-reference": "registry.example.com/team/app"},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        }
        content = json.dumps({"critical": critical, "optional": None}).encode()
        return content, base64.b64encode(self.sign(content)).decode()


def statement(digest: str, **other: Any) -> bytes:
    """The statement that an image is signed, with other fields if they are given."""
    content = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}, "annotations": {}}],
        "predicateType": SIGN_PREDICATE,
        "predicate": {},
    }
    return json.dumps(content | other).encode()


def bundle_of(envelope: dict[str, Any]) -> bytes:
    """A bundle with an envelope."""
    material = {"publicKey": {"hint": "AAAA"}}
    return json.dumps({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}).encode()


def tag_of(digest: str) -> str:
    """The tag below which signatures are, without the referrers API."""
    return digest.replace(":", "-")


def bundle_manifest(bundle: bytes, subject: str) -> bytes:
    """The manifest of a bundle that refers to an image."""
    content = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": BUNDLE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": [{"mediaType": BUNDLE, "digest": digest_of(bundle), "size": len(bundle)}],
        "subject": {"mediaType": IMAGE, "digest": subject, "size": 1},
    }
    return json.dumps(content).encode()


def index_of(manifests: Sequence[bytes]) -> bytes:
    """The list that is at the tag."""
    items = [
        {"mediaType": IMAGE, "digest": digest_of(item), "size": len(item), "artifactType": BUNDLE} for item in manifests
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": items}).encode()


def simple_manifest(signed: Sequence[tuple[bytes, str]]) -> bytes:
    """The manifest of signatures of cosign 2."""
    layers = [
        {
            "mediaType": SIMPLE_TYPE,
            "digest": digest_of(payload),
            "size": len(payload),
            "annotations": {SIMPLE_SIGNATURE: signature},
        }
        for payload, signature in signed
    ]
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)}
    return json.dumps({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers}).encode()
