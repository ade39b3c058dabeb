"""Catalogs that require signed requests: a gateway in front of the catalog verifies each signature like AWS."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import urllib3

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog import client
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.checking import check_catalog
from componentrun.loader.loading.load import load
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.wire.signatures import AccessKeys
from tests.amazon import authorization
from tests.integration.loader.gateway import Answer, Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.storage.store.settings import StoreSettings
    from dev.cluster.stores.catalog import Access
    from tests.integration.loader.gateway import Seen
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

REGION, SERVICE = "eu-west-1", "glue"
TABLE = "out.c-main.a"
SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ")


@dataclass
class Verifier(Gateway):
    """Rejects requests without a valid signature, with the messages of AWS."""

    keys: AccessKeys = field(default_factory=lambda: AccessKeys("", ""))
    token: str = ""
    """Token for the catalog behind the gateway."""

    def __post_init__(self) -> None:
        self.before = self.refuse

    def refuse(self, seen: Seen) -> Answer | None:
        said = seen.headers.get("Authorization", "")
        found = SIGNED.match(said)
        if found is None:
            return refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
        access_key, _, region, service = found.groups()
        if access_key != self.keys.access_key:
            return refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
        if (service, region) != (SERVICE, REGION):
            told = f"Credential should be scoped to a valid region, not '{region}'."
            return refusal("InvalidSignatureException", told)
        sent = datetime.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(sent - datetime.now(UTC)) > timedelta(minutes=5):
            told = f"Signature expired: {sent:%Y%m%dT%H%M%SZ} is now earlier than {datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            return refusal("InvalidSignatureException", told)
        url = f"http://{seen.headers['Host']}{seen.path}"
        if said != authorization(self.keys, (service, region), seen.method, url, seen.body, sent):
            told = (
                "The request signature we calculated does not match the signature you provided. The header was "
                f"'{said}'"
            )
            return refusal("InvalidSignatureException", told)
        return None

    def forwarded(self, seen: Seen) -> dict[str, str]:
        return seen.headers | {"Authorization": f"Bearer {self.token}"}


def refusal(kind: str, message: str) -> Answer:
    return Answer(403, json.dumps({"error": {"code": 403, "type": kind, "message": message}}).encode())


def token_of(access: Access) -> str:
    fields = {"grant_type": "client_credentials", "scope": "catalog"}
    fields |= {"client_id": access.client_id, "client_secret": access.client_secret}
    with urllib3.PoolManager(timeout=10) as pool:
        answer = pool.request("POST", f"{access.uri}/v1/oauth/tokens", fields=fields, encode_multipart=False)
        return str(json.loads(answer.data)["access_token"])


@pytest.fixture
def verifier(bench: Bench) -> Iterator[Verifier]:
    settings = bench.settings
    assert settings.access_key is not None
    assert settings.secret_key is not None
    keys = AccessKeys(settings.access_key, settings.secret_key)
    with Verifier(bench.space.catalog.uri, keys=keys, token=token_of(bench.space.catalog)) as gateway:
        yield gateway


def signing(bench: Bench, verifier: Verifier, region: str = REGION) -> StoreSettings:
    access = bench.space.catalog
    return replace(
        bench.settings,
        catalog=CatalogSettings(
            uri=verifier.url, warehouse=access.warehouse, namespace_prefix=bench.space.namespace_prefix,
            sigv4_service=SERVICE, sigv4_region=region, name="main",
        ),
    )  # fmt: skip


def test_a_catalog_that_verifies_signatures_is_checked_loaded_and_read(bench: Bench, verifier: Verifier) -> None:
    settings = signing(bench, verifier)
    assert [check for check in check_catalog(settings) if not check.ok] == []
    run = bench.new_run()
    request = bench.request(run, bench.table(run, TABLE, ["k", "v"], [["a", "1"]]))
    load(Catalog(settings), request, str(bench.scratch))
    assert bench.rows(TABLE) == [("a", "1")]
    assert {seen.method for seen in verifier.seen} >= {"GET", "POST", "DELETE"}


def refused(settings: StoreSettings) -> str:
    with pytest.raises(PlatformError) as caught:
        Catalog(settings).namespaces()
    assert caught.value.reason == Reason.STORAGE_ACCESS_DENIED
    message = caught.value.message
    assert "Check the keys of the Storage" in message
    assert "the clock of this machine" in message
    return message


def test_a_wrong_secret_key_is_told_and_no_signature_is(bench: Bench, verifier: Verifier) -> None:
    told = refused(replace(signing(bench, verifier), secret_key="another"))
    assert "The request signature we calculated does not match" in told
    assert "Signature=" not in told


def test_an_unknown_access_key_is_told(bench: Bench, verifier: Verifier) -> None:
    assert "The security token included in the request is invalid" in refused(
        replace(signing(bench, verifier), access_key="another")
    )


def test_a_wrong_region_is_told_with_the_one_that_was_signed_for(bench: Bench, verifier: Verifier) -> None:
    told = refused(signing(bench, verifier, "us-east-1"))
    assert "scoped to a valid region" in told
    assert "`glue` in `us-east-1`" in told


def test_a_clock_that_is_wrong_is_told(bench: Bench, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    late = SimpleNamespace(now=lambda zone: datetime.now(zone) - timedelta(minutes=20))
    monkeypatch.setattr(client, "datetime", late)
    assert "Signature expired" in refused(signing(bench, verifier))
