"""Keys and certificates of our own cluster, created once for each node address."""

import datetime as dt
import ipaddress
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dev.cluster import layout, paths

LIFETIME = dt.timedelta(days=365)
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Identity:
    """Holder of a certificate. `names` are the DNS names and addresses of a server; empty for clients."""

    file: str
    name: str
    group: str = ""
    names: tuple[str, ...] = ()


def identities(node_address: str) -> list[Identity]:
    """All holders of certificates in the cluster."""
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    return [
        Identity(
            "apiserver", "kube-apiserver", names=("localhost", *service, "127.0.0.1", layout.API_SERVICE, node_address)
        ),
        Identity("apiserver-kubelet", "kube-apiserver-kubelet-client", group="system:masters"),
        Identity("admin", "admin", group="system:masters"),
        Identity("manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("router", "kube-router", group="system:masters"),
        Identity(
            "node",
            f"system:node:{layout.NODE_NAME}",
            group="system:nodes",
            names=(layout.NODE_NAME, "localhost", "127.0.0.1", node_address),
        ),
    ]


def ensure(node_address: str, folder: Path | None = None) -> Path:
    """Create missing keys and certificates and return the folder. A new address or a near expiry renews all of them.

    `folder` selects the folder of a control plane other than our own cluster's.
    """
    folder = folder or layout.pki()
    record = folder / "issued.json"
    if record.exists():
        content = json.loads(record.read_text())
        remaining = dt.datetime.fromisoformat(content["ends"]) - _now()
        if content["address"] == node_address and remaining > LIFETIME / 10:
            return folder
        shutil.rmtree(folder)
    paths.make_private(folder)
    authority_key, authority = _make_authority(folder)
    for identity in identities(node_address):
        _issue(folder, identity, authority_key, authority)
    # Kubernetes signs service account tokens with this key. RSA, because every client library can verify it.
    _write_key(folder / "service-accounts.key", rsa.generate_private_key(public_exponent=65537, key_size=2048))
    paths.write_private(record, json.dumps({"address": node_address, "ends": (_now() + LIFETIME).isoformat()}))
    return folder


def _make_authority(folder: Path) -> tuple[Key, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "componentrun development cluster")])
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / "ca.key", key)
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key, certificate


def _issue(folder: Path, identity: Identity, authority_key: Key, authority: x509.Certificate) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, identity.name)]
    if identity.group:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.group))
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if identity.names:
        purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(x509.Name(parts), authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    )
    if identity.names:
        builder = builder.add_extension(x509.SubjectAlternativeName(_general_names(identity.names)), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    _write_key(folder / f"{identity.file}.key", key)
    (folder / f"{identity.file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name, key: Key) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - dt.timedelta(minutes=5))
        .not_valid_after(_now() + LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    result: list[x509.GeneralName] = []
    for name in names:
        try:
            result.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            result.append(x509.DNSName(name))
    return result


def _write_key(file: Path, key: Key | rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths.write_private(file, pem.decode())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
