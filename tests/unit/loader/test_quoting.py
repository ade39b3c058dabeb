"""What a catalog says of an error, as it may be shown: an attacker may have written it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
import requests

from componentrun.loader.catalog.quoting import quotable, told_by

SECRET = "s3cr+t/Value=0"
TOKEN = "kJ8fQ2mZ71xCv5"


def answer(body: bytes, status: int = 500, authorization: str | None = None) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, body
    made.request = requests.PreparedRequest()
    made.request.headers = requests.structures.CaseInsensitiveDict()
    if authorization is not None:
        made.request.headers["Authorization"] = authorization
    return made


@pytest.mark.parametrize(
    "said",
    [
        f"got Authorization: Bearer {TOKEN}",
        f"token {TOKEN} is not mine",
        f"client_secret={SECRET}",
        f"client_secret={quote(SECRET, safe='')}",
        json.dumps({"client_secret": SECRET}),
        f"basic {base64.b64encode(f'me:{SECRET}'.encode()).decode()}",
        f"{SECRET[:5]}\u200b{SECRET[5:]}",
        f"{SECRET[:5]}\u202e\u2066{SECRET[5:]}",
        "x" * 290 + SECRET,
        "x" * 296 + SECRET,
    ],
)
@pytest.mark.parametrize("shape", ["error", "oauth", "plain", "html"])
def test_no_credential_comes_back_however_the_catalog_writes_it(said: str, shape: str) -> None:
    documents = {
        "error": json.dumps({"error": {"message": said, "type": "ServerError", "code": 500}}),
        "oauth": json.dumps({"error": "invalid_client", "error_description": said}),
        "plain": said,
        "html": f"<html><b>{said}</b></html>",
    }
    told = told_by(answer(documents[shape].encode(), authorization=f"Bearer {TOKEN}"), (SECRET, f"me:{SECRET}"))
    plain = base64.b64encode(f"me:{SECRET}".encode()).decode()
    for hidden in (SECRET, quote(SECRET, safe=""), TOKEN, plain, SECRET[:6]):
        assert hidden not in told
    assert len(told) <= 300


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "can't read https://lake.s3.test/a/b?X-Amz-Credential=AKIA%2F2026&X-Amz-Signature=abcdef0123: gone",
            "can't read https://lake.s3.test/a/b gone",
        ),
        ("jdbc:postgresql://admin:hunter2@db.test/iceberg is away", "jdbc:postgresql://db.test/iceberg is away"),
        ("see https://user@host.test/path#token=1", "see https://host.test/path"),
        (
            f"header AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu/glue/aws4_request, Signature={'0f' * 32} is stale",
            "header AWS4-HMAC-SHA256 *** is stale",
        ),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl ended", "jwt *** ended"),
        ("x-api-key: 0123456789abcdef0123", "x-api-key: ***"),
        ("a\x1b[31mred\x07\r\nline\x00\u2028end", "a [31mred line end"),
    ],
)  # fmt: skip
def test_signatures_tokens_and_control_characters_are_left_out(said: str, shown: str) -> None:
    assert quotable(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        "NoSuchTableException: Table does not exist: out_c_main.bar",
        "CommitFailedException: Requirement failed: branch main has changed: expected id 4358109269898191893",
        "token expired, access key unknown",
        "can't write s3://lake/out_c_main/bar-9c12d441-03fe-4693-9a96-a0705ddf69c1/metadata/v3.json",
        "Ungültige Tabelle: Größe 10 < 20",
    ],
)
def test_what_helps_is_kept(said: str) -> None:
    assert quotable(said) == said


def test_type_and_message_of_an_error_are_told() -> None:
    body = {"error": {"message": "no room", "type": "InternalServerError", "code": 500, "stack": ["at x", "at y"]}}
    assert told_by(answer(json.dumps(body).encode())) == "InternalServerError: no room"


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b"\x00" * 70_000, b"x" * 10**7])
def test_whatever_the_body_is_the_sentence_is_short(body: bytes) -> None:
    assert 0 < len(told_by(answer(body))) <= 300
