"""Certificates for servers of the tests: like those of the chart, of a CA, or self-signed for an address."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from componentrun.process.serving.certificate import CERTIFICATE, KEY
from componentrun.wire import logserver

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_certificate", "self_signed"]

_Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
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
    (folder / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    _write(folder, certificate, key)
    return folder


def self_signed(folder: Path, address: str, *, is_authority: bool = True) -> Path:
    """Write `tls.crt` and `tls.key` for a server at this IP address, and return the folder.

    Clients on rustls refuse a server's certificate that is a CA, and those on other libraries may want one.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {folder.name}")])
    certificate = (
        _builder(name, name, key, dt.timedelta(hours=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder, certificate, key)
    return folder


def _write(folder: Path, certificate: x509.Certificate, key: _Key) -> None:
    pem = serialization.Encoding.PEM
    (folder / CERTIFICATE).write_bytes(certificate.public_bytes(pem))
    (folder / KEY).write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key, lifetime: dt.timedelta) -> x509.CertificateBuilder:
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
