"""Certificates for the tests' log servers, like those of the chart: a CA and a certificate that it signed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from componentrun.process.serving.certificate import CERTIFICATE, KEY
from componentrun.wire import logserver

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_certificate"]

_SKEW = dt.timedelta(minutes=5)


def make_certificate(
    folder: Path, name: str = logserver.SERVER_NAME, *, lifetime: dt.timedelta = dt.timedelta(hours=2)
) -> Path:
    """Write `ca.crt`, `tls.crt` and `tls.key` for a server with this name, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    issuer, subject = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("test", name))
    authority = (
        _builder(issuer, issuer, authority_key, lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder(subject, issuer, key, lifetime)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(authority.public_bytes(pem))
    (folder / CERTIFICATE).write_bytes(certificate.public_bytes(pem))
    (folder / KEY).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW - max(-lifetime, dt.timedelta(0)) - dt.timedelta(minutes=1))
        .not_valid_after(now + lifetime)
    )
