"""The agents' own signature of a PUT agrees with what the client library makes of the same keys and time."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3

from componentrun.exchange import SessionKeys
from componentrun.sigv4 import put_headers, put_url

NOW = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:9000/bucket",
        "https://store.test/bucket",
        "https://store.test:443/bucket",
        "http://[2001:db8::1]:9000/b",
    ],
)
@pytest.mark.parametrize("key", ["data/u1-1/in.c-main/foo/0000.csv", "data/u1-1/a b/ä+%~.csv", "x"])
def test_the_signature_is_that_of_the_client_library(url: str, key: str) -> None:
    keys = SessionKeys(url, "eu-test-1", "ACCESS", "secret/+=", "token//+==")
    mine = put_headers(keys, key, NOW)
    parts = urlsplit(put_url(keys, key))
    default = (parts.scheme, parts.port) in {("http", 80), ("https", 443)}
    netloc = parts.netloc.rpartition(":")[0] if default else parts.netloc
    theirs = sign_v4_s3(
        method="PUT",
        url=parts,
        region=keys.region,
        headers={
            "Host": netloc,
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "x-amz-date": "20260301T123005Z",
            "x-amz-security-token": keys.session_token,
        },
        credentials=Credentials(access_key=keys.access_key, secret_key=keys.secret_key),
        content_sha256="UNSIGNED-PAYLOAD",
        date=NOW,
    )
    assert mine["Authorization"] == theirs["Authorization"]


def test_no_key_is_shown() -> None:
    told = repr(SessionKeys("http://store.test/b", "r", "ACCESS", "SECRET", "TOKEN"))
    assert not [word for word in ("ACCESS", "SECRET", "TOKEN") if word in told]
