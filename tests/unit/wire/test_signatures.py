"""Signatures agree with those that other implementations make of the same keys, request and time."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3

from componentrun.wire.grants import SessionKeys
from componentrun.wire.signatures import AccessKeys, put_headers, put_url, signed_headers
from tests.amazon import authorization

S3_TABLES = "https://s3tables.eu-west-1.amazonaws.com/iceberg/v1"
ARN = "arn%3Aaws%3As3tables%3Aeu-west-1%3A111122223333%3Abucket%2Flake"
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


@pytest.mark.parametrize("service", ["glue", "s3tables"])
@pytest.mark.parametrize("session_token", [None, "token//+=="])
@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "https://glue.eu-west-1.amazonaws.com/iceberg/v1/config?warehouse=111122223333", b""),
        (
            "GET",
            f"{S3_TABLES}/config?warehouse={ARN}",
            b"",
        ),
        (
            "POST",
            f"{S3_TABLES}/{ARN}/namespaces/out_c_main/tables/t",
            b'{"requirements": []}',
        ),
        ("GET", "http://catalog.test:8181/v1/namespaces?parent=a%1Fb&pageToken=&z=1&a=2&a=1", b""),
        ("DELETE", "http://catalog.test:8181/v1/namespaces/a/tables/%C3%A4~x?purgeRequested=False", b""),
        ("GET", "http://catalog.test:8181/v1/namespaces?x=a%20b&y=%2B%20", b""),
    ],
)
def test_requests_to_catalogs_are_signed_as_the_sdks_of_aws_sign_them(
    service: str, session_token: str | None, method: str, url: str, body: bytes
) -> None:
    keys = AccessKeys("AKIAEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", session_token)
    scope = (service, "eu-west-1")
    mine = signed_headers(keys, scope, method, url, body, NOW)
    assert mine["Authorization"] == authorization(keys, scope, method, url, body, NOW)


def test_keys_show_no_secret() -> None:
    assert "hush" not in repr(AccessKeys("ACCESS", "hush", "hush"))
