"""From a Storage's `spec.catalog` and its Secret to settings."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from componentrun.api.common import ObjectMeta
from componentrun.api.storage import Storage, StorageSpec
from componentrun.errors import Reason, UserError
from componentrun.storage.store.resource import catalog_settings_of, settings_of

PAIR = {"clientId": "id", "clientSecret": "hush"}


def storage(catalog: dict[str, Any] | None = None, **spec: Any) -> Storage:
    given = None if catalog is None else {"uri": "https://c.test/api", "warehouse": "s3://lake/", **catalog}
    return Storage(
        metadata=ObjectMeta(name="main", namespace="team"),
        spec=StorageSpec.model_validate({"bucket": "tables", "catalog": given, **spec}),
    )


def secret(**values: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def test_a_storage_without_one_is_as_before() -> None:
    assert catalog_settings_of(storage(), None) is None
    assert settings_of(storage(), None).catalog is None
    assert not storage().spec.allow_non_atomic


def test_the_defaults() -> None:
    found = catalog_settings_of(storage({}, caBundle="PEM"), None)
    assert found is not None
    assert (found.uri, found.warehouse, found.namespace_prefix, found.name) == (
        "https://c.test/api", "s3://lake/", "", "main",
    )  # fmt: skip
    assert (found.client_id, found.client_secret, found.token, found.sigv4_service) == (None, None, None, None)
    assert (found.scope, found.oauth2_server_uri) == ("catalog", "https://c.test/api/v1/oauth/tokens")
    assert found.ca_bundle == "PEM", "the Storage's own"


def test_client_credentials_are_read_with_where_they_are_good_for() -> None:
    catalog = {
        "namespacePrefix": "team_", "oauth2ServerUri": "https://login.test/t", "scope": "all", "caBundle": "OTHER",
        "credentials": {"secretName": "lake"},
    }  # fmt: skip
    found = catalog_settings_of(storage(catalog, caBundle="PEM"), secret(clientId="id\n", clientSecret="hush"))
    assert found is not None
    assert (found.client_id, found.client_secret, found.token) == ("id", "hush", None)
    assert (found.namespace_prefix, found.oauth2_server_uri, found.scope, found.ca_bundle) == (
        "team_", "https://login.test/t", "all", "OTHER",
    )  # fmt: skip


def test_a_bearer_token_is_read() -> None:
    found = catalog_settings_of(storage({"credentials": {"secretName": "lake"}}), secret(token="hush"))
    assert found is not None
    assert (found.client_id, found.client_secret, found.token) == (None, None, "hush")


@pytest.mark.parametrize(("given", "region"), [({}, "eu-west-1"), ({"region": "us-west-2"}, "us-west-2")])
def test_requests_are_signed_for_the_storages_region_unless_another_one_is_given(
    given: dict[str, str], region: str
) -> None:
    found = catalog_settings_of(storage({"sigV4": {"service": "glue", **given}}, region="eu-west-1"), None)
    assert found is not None
    assert (found.sigv4_service, found.sigv4_region) == ("glue", region)


WHICH = r"`lake` of the catalog of Storage `main` in namespace `team`"
CREATE = r"Create it with the keys `clientId` and `clientSecret` \(OAuth2\), or with the key `token` \(bearer token\)"


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (None, Reason.SECRET_NOT_FOUND, rf"{WHICH} does not exist\. {CREATE}"),
        ({}, Reason.SECRET_NOT_FOUND, rf"{WHICH} has none of the required keys \(it has: none\)\. {CREATE}"),
        (secret(accessKeyId="a", secretAccessKey="b"), Reason.SECRET_NOT_FOUND, r"it has: `accessKeyId`, `secretAcc"),
        (secret(clientId="a"), Reason.SECRET_NOT_FOUND, rf"{WHICH} lacks the key `clientSecret` \(it has: `cli"),
        (secret(clientSecret="a"), Reason.SECRET_NOT_FOUND, "lacks the key `clientId`"),
        (secret(clientId="a", clientSecret=" "), Reason.SECRET_NOT_FOUND, "lacks the key `clientSecret`"),
        (secret(**PAIR, token="hush"), Reason.INVALID_SPEC, rf"has both `clientId` and `token`\. {CREATE}"),
        ({"data": {"token": "%"}}, Reason.SECRET_NOT_FOUND, f"{WHICH}: the value of `token` is not base64 of text"),
    ],
)  # fmt: skip
def test_a_secret_that_will_not_do_is_named_with_the_keys_that_are_expected(
    given: dict[str, Any] | None, reason: Reason, message: str
) -> None:
    with pytest.raises(UserError, match=message) as refused:
        catalog_settings_of(storage({"credentials": {"secretName": "lake"}}), given)
    assert refused.value.reason is reason
    assert "hush" not in refused.value.message
