"""Signatures of images: which keys are accepted, what is a valid signature, and what is said of everything else."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.images.signatures import (
    BUNDLE_TYPE,
    MAX_SIGNATURE_BYTES,
    SIMPLE_SIGNATURE,
    SIMPLE_TYPE,
    check_bundle,
    check_simple_signature,
    pre_authentication_encoding,
)
from componentrun.core.images.signingkey import SigningKey, parse_signing_key
from componentrun.errors import Reason, UserError
from tests.signing import Signer, bundle_of, statement

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden/cosign.json").read_text())
DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
SIGNERS = {
    "p256": Signer(),
    "p384": Signer(ec.generate_private_key(ec.SECP384R1())),
    "p384-sha384": Signer(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
    "rsa": Signer(rsa.generate_private_key(65537, 2048)),
    "ed25519": Signer(ed25519.Ed25519PrivateKey.generate()),
}
P256 = SIGNERS["p256"]
BUNDLE_OF_OTHER = P256.bundle(OTHER)
ANOTHER_KEY = "it was made with another key, or for other content"


def key_of(signer: Signer) -> SigningKey:
    return parse_signing_key(signer.public, "spec.verify.key")


def rejected(bundle: bytes, signer: Signer = P256, digest: str = DIGEST) -> str:
    with pytest.raises(UserError) as caught:
        check_bundle(bundle, key_of(signer), digest)
    assert caught.value.reason is Reason.IMAGE_UNVERIFIED
    return caught.value.summary


def rejected_simple(payload: bytes, signature: str, signer: Signer = P256, digest: str = DIGEST) -> str:
    with pytest.raises(UserError) as caught:
        check_simple_signature(payload, signature, key_of(signer), digest)
    assert caught.value.reason is Reason.IMAGE_UNVERIFIED
    return caught.value.summary


def changed(bundle: bytes, **fields: Any) -> bytes:
    """A bundle with other fields in its envelope."""
    content = json.loads(bundle)
    content["dsseEnvelope"] |= fields
    return json.dumps(content).encode()


def signed(content: bytes) -> bytes:
    """A bundle with any content, signed with the right key."""
    return bundle_of(P256.envelope(content))


class TestKeys:
    @pytest.mark.parametrize("kind", sorted(SIGNERS))
    def test_the_fingerprint_is_that_of_openssl(self, kind: str, tmp_path: Path) -> None:
        file = tmp_path / "cosign.pub"
        file.write_text(SIGNERS[kind].public)
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", file, "-outform", "DER"], stdout=-1, check=True)
        hashed = subprocess.run(["sha256sum"], input=der.stdout, stdout=-1, check=True)
        assert key_of(SIGNERS[kind]).fingerprint == f"sha256:{hashed.stdout.split()[0].decode()}"

    def test_the_form_of_the_text_does_not_change_the_fingerprint(self) -> None:
        text = "\r\n".join(P256.public.splitlines())
        assert parse_signing_key(f"\n\n{text}\n", "a") == key_of(P256)

    @pytest.mark.parametrize(
        ("pem", "words"),
        [
            ("", "found no PEM block; expected one PEM block `PUBLIC KEY`"),
            ("A" * 100, "found no PEM block"),
            (P256.public * 2, "found `PUBLIC KEY` and `PUBLIC KEY`; expected one"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "found `CERTIFICATE`"),
            ("-----BEGIN PUBLIC KEY-----\n" + "A" * 64, "contains no public key that can be read"),
            (P256.public.replace("M", "!", 1), "contains no public key that can be read"),
            (P256.public.replace("M", "é", 1), "contains no public key that can be read"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "contains no public key that can be read"),
        ],
    )
    def test_what_is_no_public_key_is_refused(self, pem: str, words: str) -> None:
        with pytest.raises(UserError, match=r"spec\.verify\.key: ") as caught:
            parse_signing_key(pem, "Component `app`: spec.verify.key")
        assert words in caught.value.summary
        assert caught.value.reason is Reason.INVALID_SPEC

    @pytest.mark.parametrize(
        ("key", "found"),
        [
            (ec.generate_private_key(ec.SECP521R1()), "ECDSA with the curve secp521r1"),
            (ec.generate_private_key(ec.SECP256K1()), "ECDSA with the curve secp256k1"),
            (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),  # noqa: S505 - that is the point
        ],
    )
    def test_weak_and_rare_keys_are_refused(self, key: Any, found: str) -> None:
        with pytest.raises(UserError, match=f"found a key for {found}; expected ECDSA with the curve P-256 or P-384"):
            key_of(Signer(key))

    def test_a_private_key_is_refused_and_not_repeated(self) -> None:
        pem = P256.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        with pytest.raises(UserError, match="found a private key") as caught:
            parse_signing_key(pem, "spec.verify.key")
        assert pem.splitlines()[1][:20] not in caught.value.message
        assert "Replace the key pair" in caught.value.advice

    def test_cryptography_is_loaded_only_for_a_key(self) -> None:
        """The import takes longer than all others of the operator's images together."""
        code = (
            "import sys, componentrun.core.images.channels, componentrun.registry.verification; "
            "assert not any(name.startswith('cryptography') for name in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestVectorsOfCosign:
    """What cosign itself left in a registry; see tests/golden/README.md."""

    @staticmethod
    def parts(path: str, media_type: str) -> list[tuple[str, dict[str, str]]]:
        """Contents and annotations of the layers of a type in a repository."""
        contents = GOLDEN["contents"]
        found = []
        pending = [digest for tag, digest in GOLDEN["tags"][path].items() if tag != "1.0"]
        for digest in pending:
            manifest = json.loads(contents[digest])
            pending += [child["digest"] for child in manifest.get("manifests", [])]
            found += [
                (contents[layer["digest"]], layer.get("annotations", {}))
                for layer in manifest.get("layers", [])
                if layer["mediaType"].startswith(media_type)
            ]
        return found

    @pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
    def test_a_bundle(self, kind: str) -> None:
        image = GOLDEN["images"][f"{kind}/bundle"]
        [(bundle, _)] = self.parts(f"{kind}/bundle", BUNDLE_TYPE)
        key = parse_signing_key(image["key"], "key")
        check_bundle(bundle.encode(), key, image["digest"])
        assert rejected(bundle.encode(), P256, image["digest"]) == ANOTHER_KEY
        with pytest.raises(UserError, match=f"it is a signature of `{image['digest']}`; expected `{OTHER}`"):
            check_bundle(bundle.encode(), key, OTHER)

    @pytest.mark.parametrize("kind", ["p256", "p384", "rsa"])
    def test_a_signature_of_cosign_2(self, kind: str) -> None:
        image = GOLDEN["images"][f"{kind}/simple"]
        [(payload, annotations)] = self.parts(f"{kind}/simple", SIMPLE_TYPE)
        signature, key = annotations[SIMPLE_SIGNATURE], parse_signing_key(image["key"], "key")
        check_simple_signature(payload.encode(), signature, key, image["digest"])
        assert rejected_simple(payload.encode(), signature, P256, image["digest"]) == ANOTHER_KEY
        with pytest.raises(UserError, match=f"it is a signature of `{image['digest']}`; expected `{OTHER}`"):
            check_simple_signature(payload.encode(), signature, key, OTHER)

    def test_a_signed_list_of_parts_is_no_signature_of_the_image(self) -> None:
        image = GOLDEN["images"]["p256/attested"]
        [(bundle, _)] = self.parts("p256/attested", BUNDLE_TYPE)
        with pytest.raises(UserError, match=r"the statement has the predicateType `https://spdx\.dev/Document`"):
            check_bundle(bundle.encode(), parse_signing_key(image["key"], "key"), image["digest"])

    def test_ed25519ph_is_refused_with_a_hint(self) -> None:
        image = GOLDEN["images"]["ed25519/bundle"]
        [(bundle, _)] = self.parts("ed25519/bundle", BUNDLE_TYPE)
        with pytest.raises(UserError, match="cosign 3 signs with Ed25519ph, which is not supported"):
            check_bundle(bundle.encode(), parse_signing_key(image["key"], "key"), image["digest"])


class TestBundles:
    @pytest.mark.parametrize("kind", sorted(SIGNERS))
    def test_only_the_right_key_and_digest_are_valid(self, kind: str) -> None:
        signer = SIGNERS[kind]
        check_bundle(signer.bundle(DIGEST), key_of(signer), DIGEST)
        assert rejected(signer.bundle(OTHER), signer) == f"it is a signature of `{OTHER}`; expected `{DIGEST}`"
        for other in SIGNERS.values():
            if other is not signer:
                assert rejected(signer.bundle(DIGEST), other).startswith(ANOTHER_KEY)

    def test_another_key_of_the_same_kind_is_refused(self) -> None:
        assert rejected(Signer().bundle(DIGEST)) == ANOTHER_KEY

    def test_one_of_several_signatures_suffices(self) -> None:
        mine, other = P256.envelope(statement(DIGEST)), Signer().envelope(statement(DIGEST))
        both = [*other["signatures"], *mine["signatures"]]
        check_bundle(bundle_of(mine | {"signatures": both}), key_of(P256), DIGEST)
        assert rejected(bundle_of(mine | {"signatures": other["signatures"] * 2})) == ANOTHER_KEY

    def test_entries_of_logs_and_timestamps_are_ignored(self) -> None:
        bundle = json.loads(P256.bundle(DIGEST))
        bundle["verificationMaterial"] = {"tlogEntries": [{"logIndex": "1"}], "timestampVerificationData": {}}
        check_bundle(json.dumps(bundle).encode(), key_of(P256), DIGEST)

    def test_one_of_several_subjects_suffices(self) -> None:
        subjects = [
            {"digest": {"sha512": "a" * 64}},
            {"digest": {"sha256": "b" * 64}},
            {"digest": {"sha256": "a" * 64}},
        ]
        check_bundle(signed(statement(DIGEST, subject=subjects)), key_of(P256), DIGEST)
        assert rejected(signed(statement(DIGEST, subject=subjects[:1]))).startswith(
            "it is a signature of `sha256:None`"
        )

    def test_a_signature_does_not_cover_another_payload(self) -> None:
        stolen = changed(P256.bundle(OTHER), payload=base64.b64encode(statement(DIGEST)).decode())
        assert rejected(stolen) == ANOTHER_KEY

    def test_a_signature_does_not_cover_another_type(self) -> None:
        envelope = P256.envelope(statement(DIGEST), "text/plain")
        assert "payload type `text/plain`; expected `application/vnd.in-toto+json`" in rejected(bundle_of(envelope))
        assert rejected(bundle_of(envelope | {"payloadType": "application/vnd.in-toto+json"})) == ANOTHER_KEY

    def test_a_signature_of_the_payload_alone_is_none(self) -> None:
        """As `cosign sign-blob` makes it of a file that looks like a statement."""
        bare = {"sig": base64.b64encode(P256.sign(statement(DIGEST))).decode()}
        assert rejected(changed(P256.bundle(DIGEST), signatures=[bare])) == ANOTHER_KEY

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (statement(DIGEST, predicateType="https://slsa.dev/provenance/v1"), "predicateType `https://slsa.dev/"),
            (statement(DIGEST, predicateType=None), "predicateType (missing)"),
            (statement(DIGEST, predicateType=["a"]), "predicateType (not a text)"),
            (statement(DIGEST, _type="https://in-toto.io/Statement/v0.1"), "_type `https://in-toto.io/Statement/v0.1`"),
            (statement(DIGEST, subject=None), "it is a signature of no image"),
            (statement(DIGEST, subject=[None, {"digest": "a"}]), "it is a signature of no image"),
            (statement(DIGEST, subject={"digest": {"sha256": "a" * 64}}), "it is a signature of no image"),
            (statement(DIGEST, subject=[{"digest": {"sha256": ["a" * 64]}}]), "it is a signature of `sha256:["),
            (statement(DIGEST, subject=[{"digest": {"SHA256": "a" * 64}}]), "it is a signature of `sha256:None`"),
            (statement(DIGEST, subject=[{"digest": {"sha256": "A" * 64}}]), "it is a signature of `sha256:AAA"),
            (statement(DIGEST, subject=[{"digest": {"sha512": "a" * 64}}]), "it is a signature of `sha256:None`"),
            (b"[]", "the statement is not a JSON object"),
            (b"{", "the statement is not valid JSON"),
            (b"\xff\xfe", "the statement is not valid JSON"),
            (b"[" * 100_000, "the statement is not valid JSON"),
            (b'{"a": ' + b"1" * 5000 + b"}", "the statement is not valid JSON"),
        ],
    )
    def test_other_statements_of_the_right_key_are_refused(self, content: bytes, words: str) -> None:
        assert words in rejected(signed(content))

    @pytest.mark.parametrize(
        ("bundle", "words"),
        [
            (b"", "the bundle is not valid JSON"),
            (b"null", "the bundle is not a JSON object"),
            (b"[" * 100_000, "the bundle is not valid JSON"),
            (b'{"dsseEnvelope": ' * 20_000, "the bundle has 340000 bytes; expected at most 262144"),
            (b" " * (MAX_SIGNATURE_BYTES + 1), "expected at most 262144"),
            (b'{"messageSignature": {}}', "found the signature of a file; expected a bundle with a DSSE envelope"),
            (b'{"dsseEnvelope": []}', "found something else; expected a bundle with a DSSE envelope"),
            (changed(P256.bundle(DIGEST), payloadType=None), "payload type (missing)"),
            (changed(P256.bundle(DIGEST), payloadType="x\n" * 99), "payload type `x?x?"),
            (changed(P256.bundle(DIGEST), payloadType="\ud800"), "payload type `?`"),
            (changed(P256.bundle(DIGEST), signatures=[]), "the envelope has no signatures"),
            (changed(P256.bundle(DIGEST), signatures="abc"), "the envelope has no signatures"),
            (changed(P256.bundle(DIGEST), signatures=[{}] * 17), "has 17 signatures; expected at most 16"),
            (changed(P256.bundle(DIGEST), signatures=[{}]), "a signature is missing or empty"),
            (changed(P256.bundle(DIGEST), signatures=["AAAA"]), "a signature is missing or empty"),
            (changed(P256.bundle(DIGEST), signatures=[{"sig": ""}]), "a signature is missing or empty"),
            (changed(P256.bundle(DIGEST), signatures=[{"sig": "no base64!"}]), "a signature is not valid base64"),
            (changed(P256.bundle(DIGEST), signatures=[{"sig": "AAA"}]), "a signature is not valid base64"),
            (changed(P256.bundle(DIGEST), signatures=[{"sig": "é"}]), "a signature is not valid base64"),
            (changed(P256.bundle(DIGEST), signatures=[{"sig": "AAAA"}]), ANOTHER_KEY),
            (changed(P256.bundle(DIGEST), signatures=[{"sig": base64.b64encode(bytes(64)).decode()}]), ANOTHER_KEY),
            (changed(P256.bundle(DIGEST), payload="no base64!"), "the payload is not valid base64"),
            (changed(P256.bundle(DIGEST), payload=7), "the payload is missing or empty"),
        ],
    )
    def test_malformed_bundles_are_refused(self, bundle: bytes, words: str) -> None:
        summary = rejected(bundle)
        assert words in summary
        assert len(summary) < 300
        assert summary.isprintable()

    @given(st.binary(max_size=300))
    def test_no_content_is_valid_or_breaks_the_check(self, content: bytes) -> None:
        rejected(content)
        rejected(signed(content))

    @given(st.data())
    def test_no_changed_byte_of_what_is_signed_stays_valid(self, data: st.DataObject) -> None:
        content = bytearray(statement(DIGEST))
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        changed_payload = base64.b64encode(bytes(content)).decode()
        assert rejected(changed(P256.bundle(DIGEST), payload=changed_payload)) == ANOTHER_KEY

    @given(st.data())
    def test_no_changed_byte_of_a_bundle_makes_it_valid_for_another_image(self, data: st.DataObject) -> None:
        content = bytearray(BUNDLE_OF_OTHER)
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        rejected(bytes(content))

    @given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
    def test_the_encoding_is_unambiguous(self, a: bytes, b: bytes, c: bytes, d: bytes) -> None:
        assert (pre_authentication_encoding(a, b) == pre_authentication_encoding(c, d)) == ((a, b) == (c, d))

    def test_the_encoding_is_that_of_the_specification(self) -> None:
        encoded = pre_authentication_encoding(b"http://example.com/HelloWorld", b"hello world")
        assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


class TestSimpleSignatures:
    @pytest.mark.parametrize("kind", sorted(SIGNERS))
    def test_only_the_right_key_and_digest_are_valid(self, kind: str) -> None:
        signer = SIGNERS[kind]
        payload, signature = signer.payload(DIGEST)
        check_simple_signature(payload, signature, key_of(signer), DIGEST)
        assert rejected_simple(payload, signature, signer, OTHER).startswith("it is a signature of `sha256:aaa")
        for other in SIGNERS.values():
            if other is not signer:
                assert rejected_simple(payload, signature, other).startswith(ANOTHER_KEY)

    @pytest.mark.parametrize(
        ("payload", "words"),
        [
            (
                b'{"critical": {"type": "x"}}',
                "the payload has the type `x`; expected `cosign container image signature`",
            ),
            (b'{"critical": []}', "the payload has the type (missing)"),
            (b"[]", "the payload is not a JSON object"),
            (b"{", "the payload is not valid JSON"),
            (b"[" * 100_000, "the payload is not valid JSON"),
            (
                b'{"critical": {"type": "cosign container image signature", "image": []}}',
                "it is a signature of (missing)",
            ),
        ],
    )
    def test_other_payloads_of_the_right_key_are_refused(self, payload: bytes, words: str) -> None:
        signature = base64.b64encode(P256.sign(payload)).decode()
        assert words in rejected_simple(payload, signature)

    def test_a_huge_payload_is_refused_before_its_signature_is_checked(self) -> None:
        payload = b" " * (MAX_SIGNATURE_BYTES + 1)
        assert "expected at most 262144" in rejected_simple(payload, base64.b64encode(P256.sign(payload)).decode())

    def test_the_signature_of_an_envelope_is_none_of_a_payload(self) -> None:
        """The key has signed both bytes, so only their forms tell them apart."""
        envelope = P256.envelope(statement(DIGEST))
        message = pre_authentication_encoding(b"application/vnd.in-toto+json", statement(DIGEST))
        assert "not valid JSON" in rejected_simple(message, envelope["signatures"][0]["sig"])

    @pytest.mark.parametrize("signature", ["", "!", "AAA"])
    def test_malformed_signatures_are_refused(self, signature: str) -> None:
        payload, _ = P256.payload(DIGEST)
        assert "the signature is" in rejected_simple(payload, signature)
