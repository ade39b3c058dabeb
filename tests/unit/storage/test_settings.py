"""Settings: what no client could work with is refused, and keys are never shown."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest

from componentrun.errors import UserError
from componentrun.storage.access.grants import Signer, make_client
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.settings import StoreSettings


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
        "http://[s.test",
        "http://[s.test]",
        "http://s.test:99999",
        "http://s.test:0",
        "http://s.test:-1",
        "http://s.test:port",
        "http://<host>",
        "http://s|test",
        "http://s\u00e9.test",
        "http://%31",
        "http://10.0.0.256:9000",
        "http://1.2.3",
    ],
)
def test_an_endpoint_is_a_scheme_and_a_host(endpoint: str) -> None:
    with pytest.raises(UserError, match="endpoint") as refusal:
        StoreSettings(bucket="bkt", endpoint=endpoint)
    assert "pass" not in refusal.value.message
    with pytest.raises(UserError, match="`sts` endpoint"):
        StoreSettings(bucket="bkt", sts_endpoint=endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://store",
        "https://a_b.c-d.test:8443/",
        "http://[::1]:9000",
        "http://10.0.0.1",
        "http://1a.test",
        "http://s:",
    ],
)
async def test_an_endpoint_of_any_usual_form_is_taken_by_all_clients(endpoint: str) -> None:
    settings = StoreSettings(bucket="bkt", endpoint=endpoint, sts_endpoint=endpoint, access_key="a", secret_key="b")
    open_store(settings)
    make_client(settings)
    assert Signer(settings).sign_get("x", timedelta(hours=1)).startswith(settings.base_url.rstrip(":"))


@pytest.mark.parametrize("region", ["", "eu central", "eu-central-1\n", "-eu", "eu/1", "\u00e9", "a" * 64])
def test_a_region_is_a_word(region: str) -> None:
    with pytest.raises(UserError, match="region"):
        StoreSettings(bucket="bkt", region=region)


@pytest.mark.parametrize("key", ["two\nlines", "a\x00", "a\x7f"])
@pytest.mark.parametrize("which", ["access_key", "session_token"])
def test_a_key_that_can_stand_in_no_header_is_refused_and_not_told(which: str, key: str) -> None:
    keys = {"access_key": "a", "secret_key": "b"} | {which: key}
    with pytest.raises(UserError, match=which.replace("_", " ")) as refusal:
        StoreSettings(bucket="bkt", **keys)  # type: ignore[arg-type]  # names as they are parametrized
    assert key not in refusal.value.message


def test_a_bundle_is_read_though_a_name_beside_its_certificates_has_other_letters() -> None:
    certificate = f"# F\u0151tan\u00fas\u00edtv\u00e1ny\n{ssl.DER_cert_to_PEM_cert(_authority())}"
    settings = StoreSettings(bucket="bkt", endpoint="https://s.test", ca_bundle=certificate)
    open_store(settings)
    make_client(settings)
    ssl.create_default_context(cadata=settings.ca_bundle)


def _authority() -> bytes:
    """One that every machine knows."""
    return ssl.create_default_context().get_ca_certs(binary_form=True)[0]


@pytest.mark.parametrize("bucket", ["", "a", "A B", "a/b", "-ab", "a" * 64, "a..b", "a.-b", "a-.b", "1.2.3.4"])
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
        (StoreSettings(bucket="bkt", endpoint="http://h:9000/"), "http://h:9000/bkt"),
        (StoreSettings(bucket="bkt", region="eu-west-1"), "https://s3.eu-west-1.amazonaws.com/bkt"),
        (StoreSettings(bucket="bkt"), "https://s3.us-east-1.amazonaws.com/bkt"),
        (StoreSettings(bucket="bkt", region="cn-north-1"), "https://s3.cn-north-1.amazonaws.com.cn/bkt"),
    ],
)
def test_the_bucket_is_the_first_part_of_the_path(settings: StoreSettings, url: str) -> None:
    assert settings.bucket_url == url
