"""Signs requests (AWS Signature Version 4) with the standard library, because the agents import no client.

The signature of a PUT to S3 does not cover the body, which is read while it is sent; the result is compared afterwards.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

Requests to other services are signed with their bodies, and their paths are encoded once more:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlsplit

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.wire.grants import SessionKeys

__all__ = ["AccessKeys", "put_headers", "put_url", "signed_headers"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = "-_.~"


@dataclass(frozen=True, slots=True)
class AccessKeys:
    """Keys for signing. Their repr shows no secret."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    """None: the keys are not temporary."""


def put_url(keys: SessionKeys, key: str) -> str:
    """Destination of an object."""
    return f"{keys.url}/{quote(key, safe='/-_.~')}"


def put_headers(keys: SessionKeys, key: str, now: datetime) -> dict[str, str]:
    """Return headers that allow storing this object for 15 minutes from `now` (UTC)."""
    parts = urlsplit(put_url(keys, key))
    own = AccessKeys(keys.access_key, keys.secret_key, keys.session_token)
    request = _Request("PUT", _host(parts.scheme, parts.hostname or "", parts.port), parts.path, "", _UNSIGNED)
    return _headers(own, ("s3", keys.region), request, now)


def signed_headers(
    keys: AccessKeys, scope: tuple[str, str], method: str, url: str, body: bytes, now: datetime
) -> dict[str, str]:
    """Return headers that sign a request to an AWS service other than S3, valid for some minutes from `now`.

    Args:
        keys: the keys.
        scope: the service and the region.
        method: HTTP method.
        url: encoded URL as it is sent; a space in its query as `%20`, because `+` is ambiguous.
        body: body as it is sent.
        now: in UTC.
    """
    parts = urlsplit(url)
    pairs = sorted((quote(name, _PLAIN), quote(value, _PLAIN)) for name, value in parse_qsl(parts.query, True))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    host, digest = _host(parts.scheme, parts.hostname or "", parts.port), hashlib.sha256(body).hexdigest()
    return _headers(keys, scope, _Request(method, host, quote(parts.path or "/", f"/{_PLAIN}"), query, digest), now)


@dataclass(frozen=True, slots=True)
class _Request:
    """Return a request in its canonical form."""

    method: str
    host: str
    path: str
    query: str
    digest: str
    """Return the hash of the body."""


def _headers(keys: AccessKeys, scope: tuple[str, str], request: _Request, now: datetime) -> dict[str, str]:
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {"host": request.host, "x-amz-content-sha256": request.digest, "x-amz-date": moment}
    if keys.session_token is not None:
        signed["x-amz-security-token"] = keys.session_token
    names = ";".join(signed)
    lines = [f"{name}:{value}" for name, value in signed.items()]
    canonical = "\n".join((request.method, request.path, request.query, *lines, "", names, request.digest))
    service, region = scope
    credential = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, moment, credential, hashlib.sha256(canonical.encode()).hexdigest()))
    key = _signing_key(keys.secret_key, credential)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    del signed["host"]  # the connection sends it
    told = f"Credential={keys.access_key}/{credential}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "Authorization": f"{_ALGORITHM} {told}"}


def _signing_key(secret_key: str, credential: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in credential.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _host(scheme: str, host: str, port: int | None) -> str:
    """Return the host header: an IPv6 address in brackets, and no default port."""
    host = f"[{host}]" if ":" in host else host
    return host if port in {None, _DEFAULT_PORTS[scheme]} else f"{host}:{port}"
