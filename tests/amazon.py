"""Signatures as AWS itself makes them: by the signer of its own SDKs (`awscrt`)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from awscrt import auth, http

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.wire.signatures import AccessKeys

__all__ = ["authorization"]


def authorization(
    keys: AccessKeys, scope: tuple[str, str], method: str, url: str, body: bytes, now: datetime
) -> str:  # fmt: skip
    """The header `Authorization` of a request to a service other than S3; arguments as of `sigv4.signed_headers`."""
    parts = urlsplit(url)
    service, region = scope
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=auth.AwsCredentialsProvider.new_static(
            keys.access_key, keys.secret_key, keys.session_token
        ),
        region=region,
        service=service,
        date=now,
        signed_body_header_type=auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
    )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = http.HttpRequest(method, path, http.HttpHeaders([("Host", parts.netloc)]), io.BytesIO(body))
    signed = auth.aws_sign_request(request, config).result(10)
    return str(signed.headers.get("Authorization"))
