"""Settings of a catalog: what no client could work with is refused, and credentials are never shown."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.errors import Reason, UserError
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings


def settings(**values: Any) -> CatalogSettings:
    return CatalogSettings(**{"uri": "https://catalog.test/api", "warehouse": "s3://lake/", "name": "main", **values})


def test_no_repr_shows_a_credential() -> None:
    shown = f"{settings(client_id='the-id', client_secret='hush-1')!r} {settings(token='hush-2', ca_bundle='hush-3')}"
    assert not any(secret in shown for secret in ("the-id", "hush-1", "hush-2", "hush-3"))
    assert "https://catalog.test/api" in shown
    assert "hush-2" not in repr(StoreSettings(bucket="bkt", catalog=settings(token="hush-2")))


def test_tokens_are_requested_below_the_uri_unless_another_url_is_given() -> None:
    assert settings(uri="http://c:8181/a/").uri == "http://c:8181/a"
    assert settings(uri="http://c:8181/a/").oauth2_server_uri == "http://c:8181/a/v1/oauth/tokens"
    assert settings(oauth2_server_uri="https://login.test/t").oauth2_server_uri == "https://login.test/t"
    assert settings().scope == "catalog"


@pytest.mark.parametrize(
    "uri",
    [
        "http://c",
        "https://c.test:8443/api/catalog",
        "http://[::1]:8181/x",
        "https://glue.eu-west-1.amazonaws.com/iceberg",
        "https://dbc.test/api/2.1/unity-catalog/iceberg-rest",
        "https://c.test/iceberg/v1/restcatalog",
        "https://c.test/a%20b/~c",
    ],
)
def test_a_uri_may_have_a_path(uri: str) -> None:
    assert settings(uri=uri).uri == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "c.test",
        "s3://lake/",
        "http://",
        "http:///v1",
        "https://user:pass@c.test/a",
        "https://c.test/a?x=1",
        "https://c.test/a?",
        "https://c.test/a#b",
        "https://c.test/a b",
        "https://c.test/a\n",
        "https://c.test/\u00e9",
        "https://c\u00a0.test/",
        "https://c.test:0/a",
        "https://[c.test]/a",
        "https://10.0.0.256/a",
    ],
)
def test_a_uri_is_a_scheme_a_host_and_a_path(uri: str) -> None:
    with pytest.raises(UserError, match=r"`uri` of the catalog of Storage `main` is not") as refusal:
        settings(uri=uri)
    assert refusal.value.reason is Reason.INVALID_SPEC
    assert "pass" not in refusal.value.message
    if uri:
        with pytest.raises(UserError, match="`oauth2ServerUri` of the catalog"):
            settings(oauth2_server_uri=uri)


@pytest.mark.parametrize("uri", ["https://c.test/api/v1", "https://c.test/api/v1/"])
def test_the_version_of_the_api_is_no_part_of_the_uri(uri: str) -> None:
    with pytest.raises(UserError, match=r"ends in `/v1`.*expected `https://c\.test/api`"):
        settings(uri=uri)


@pytest.mark.parametrize("prefix", ["", "team_", "a1_b2_", "inner_", "outin_", "a" * 31 + "_"])
def test_a_prefix_is_words_with_an_underscore_behind_each(prefix: str) -> None:
    assert settings(namespace_prefix=prefix).namespace_prefix == prefix


@pytest.mark.parametrize(
    "prefix", ["team", "_", "1a_", "a__b_", "Team_", "a-b_", "in_", "team_out_", "in_b_", "a_\n", "a" * 32 + "_"]
)
def test_a_prefix_that_would_mix_storages_up_is_refused(prefix: str) -> None:
    with pytest.raises(UserError, match=r"namespacePrefix of the catalog of Storage `main` is .*`team_`"):
        settings(namespace_prefix=prefix)


@pytest.mark.parametrize("warehouse", ["", " ", "a\nb", "a\x00"])
def test_a_warehouse_is_a_text(warehouse: str) -> None:
    with pytest.raises(UserError, match="warehouse of the catalog"):
        settings(warehouse=warehouse)


@pytest.mark.parametrize("scope", ["", " a", "a  b", 'a"', "a\\b", "a\n", "\u00e9"])
def test_a_scope_is_words(scope: str) -> None:
    with pytest.raises(UserError, match="scope of the catalog"):
        settings(scope=scope)
    assert settings(scope="PRINCIPAL_ROLE:ALL api://a/.default").scope == "PRINCIPAL_ROLE:ALL api://a/.default"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"client_id": "a"}, "half of its client credentials"),
        ({"client_secret": "hush"}, "half of its client credentials"),
        ({"client_id": "", "client_secret": "hush"}, "half of its client credentials"),
        ({"token": ""}, "token of the catalog of Storage `main` is empty"),
        ({"client_id": "a", "client_secret": "hush", "token": "hush"}, "has `client credentials` and `token`"),
        ({"token": "hush", "sigv4_service": "glue", "sigv4_region": "eu"}, "has `token` and `sigV4`"),
        ({"token": "hush\nhush"}, "token of the catalog of Storage `main` contains a line break.*Check the Secret"),
        ({"token": "hush\u00e9"}, "non-ASCII"),
        ({"client_id": "a\x00", "client_secret": "hush"}, "client id of the catalog"),
        ({"sigv4_service": "s3", "sigv4_region": "eu"}, "sigV4 service.*expected one of glue, s3tables"),
        ({"sigv4_service": "glue"}, "sigV4 region"),
        ({"sigv4_service": "glue", "sigv4_region": "eu west"}, "sigV4 region"),
    ],
)
def test_there_is_one_whole_way_of_authentication_at_most(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        settings(**values)
    assert "hush" not in refusal.value.message
    assert refusal.value.reason is Reason.INVALID_SPEC


def test_letters_of_other_languages_in_a_bundle_are_left_out() -> None:
    assert settings(ca_bundle="# \u017dlu\u0165\n-----BEGIN").ca_bundle == "# lu\n-----BEGIN"
