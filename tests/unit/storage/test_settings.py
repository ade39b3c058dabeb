"""Settings: what no client could work with is refused, and keys are never shown."""

from __future__ import annotations

import pytest

from componentrun.errors import UserError
from componentrun.storage.connection import open_store
from componentrun.storage.grants import Signer
from componentrun.storage.settings import StoreSettings


def test_no_repr_shows_a_key() -> None:
    settings = StoreSettings(
        bucket="bkt", access_key="AKIA-1", secret_key="hush-2", session_token="tok-3", ca_bundle=None
    )
    shown = f"{settings!r} {settings} {open_store(settings)!r} {Signer(settings)!r}"
    assert not any(secret in shown for secret in ("AKIA-1", "hush-2", "tok-3"))
    assert "bkt" in shown


@pytest.mark.parametrize(
    "endpoint",
    [
        "store.test",
        "ftp://store.test",
        "http://",
        "http://user:pass@store.test",
        "http://s.test/path",
        "http://s.test?x=1",
    ],
)
def test_an_endpoint_is_a_scheme_and_a_host(endpoint: str) -> None:
    with pytest.raises(UserError, match="endpoint") as refusal:
        StoreSettings(bucket="bkt", endpoint=endpoint)
    assert "pass" not in refusal.value.message


@pytest.mark.parametrize("bucket", ["", "a", "A B", "a/b", "-ab", "a" * 64])
def test_a_bucket_has_a_name_that_stores_accept(bucket: str) -> None:
    with pytest.raises(UserError, match="bucket"):
        StoreSettings(bucket=bucket)


@pytest.mark.parametrize("keys", [{"access_key": "a"}, {"secret_key": "b"}, {"access_key": "", "secret_key": ""}])
def test_half_a_key_pair_is_refused(keys: dict[str, str]) -> None:
    with pytest.raises(UserError, match="half of a key pair"):
        StoreSettings(bucket="bkt", access_key=keys.get("access_key"), secret_key=keys.get("secret_key"))


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (StoreSettings(bucket="bkt", endpoint="http://h:9000"), "http://h:9000/bkt"),
        (StoreSettings(bucket="bkt", endpoint="http://h:9000/", virtual_hosted=True), "http://bkt.h:9000"),
        (StoreSettings(bucket="bkt", region="eu-west-1"), "https://s3.eu-west-1.amazonaws.com/bkt"),
        (StoreSettings(bucket="bkt", virtual_hosted=True), "https://bkt.s3.us-east-1.amazonaws.com"),
        (StoreSettings(bucket="bkt", region="cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn/bkt"),
    ],
)
def test_the_buckets_url_is_path_style_unless_asked_otherwise(settings: StoreSettings, url: str) -> None:
    assert settings.bucket_url == url
