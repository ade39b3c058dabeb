"""Signing one PUT with temporary keys (AWS Signature Version 4), on the standard library: the agents import no client.

The body is not part of the signature: it is read while it is sent, and what arrived is compared afterwards.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.exchange import SessionKeys

__all__ = ["put_headers", "put_url"]

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def put_url(keys: SessionKeys, key: str) -> str:
    """Where an object is stored."""
    return f"{keys.url}/{quote(key, safe='/-_.~')}"


def put_headers(keys: SessionKeys, key: str, now: datetime) -> dict[str, str]:
    """Headers that allow storing this object, for a quarter of an hour from `now` (UTC) on."""
    parts = urlsplit(put_url(keys, key))
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    signed = {
        "host": _host(parts.scheme, parts.hostname or "", parts.port),
        "x-amz-content-sha256": _UNSIGNED,
        "x-amz-date": moment,
        "x-amz-security-token": keys.session_token,
    }
    names = ";".join(signed)
    lines = [f"{name}:{value}" for name, value in signed.items()]
    request = "\n".join(("PUT", parts.path, "", *lines, "", names, _UNSIGNED))
    scope = f"{moment[:8]}/{keys.region}/s3/aws4_request"
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_signing_key(keys, moment[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
    del signed["host"]  # the connection sends it
    credential = f"{keys.access_key}/{scope}"
    return {
        **signed,
        "Authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }


def _signing_key(keys: SessionKeys, day: str) -> bytes:
    key = f"AWS4{keys.secret_key}".encode()
    for part in (day, keys.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _host(scheme: str, host: str, port: int | None) -> str:
    """As the connection will say it: an IPv6 address in brackets, and no port where it is the scheme's own."""
    host = f"[{host}]" if ":" in host else host
    return host if port in {None, _DEFAULT_PORTS[scheme]} else f"{host}:{port}"
