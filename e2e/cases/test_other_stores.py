"""Whole runs on stores that are not MinIO with signed forms: versitygw behind TLS, and a store that takes no forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e import tenant as tenants
from e2e.cluster import address
from e2e.tenant.formless import formless
from tests.integration.storage.second_store import second_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.storage.settings import StoreSettings
    from e2e.cluster.connection import Connection
    from e2e.tenant import Tenant

WORDS = 'id,text\n1,plain\n2,"a ""quoted"" value"\n3,"two\nlines"\n'
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words"}]},
}


@pytest.fixture(scope="module")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSettings]:
    """Where pods reach it."""
    with second_store(tmp_path_factory.mktemp("versitygw"), address.node()) as settings:
        yield settings


def on(connection: Connection, store: StoreSettings, **storage: Any) -> Tenant:
    """A tenant whose Storage is there."""
    told: dict[str, Any] = {
        "endpoint": store.endpoint,
        "bucket": store.bucket,
        "region": store.region,
        "caBundle": store.ca_bundle,
    }
    tenant = tenants.create(connection, "other", **told, credentials={"secretName": "other-keys"}, **storage)
    tenant.secret("other-keys", {"accessKeyId": store.access_key or "", "secretAccessKey": store.secret_key or ""})
    return tenant


def scoped(tenant: Tenant, wanted: str) -> str:
    """Reason of the condition `Scoped`, once the store was asked and `Ready` has this status."""
    # The Secret comes behind its Storage: before that `Ready` is False for another reason.
    tenant.kubectl("wait", "--for=jsonpath={.status.checked}", "storage/main", "--timeout=120s")
    tenant.kubectl("wait", f"--for=condition=Ready={wanted}", "storage/main", "--timeout=120s")
    told = '{.status.conditions[?(@.type=="Scoped")].reason}'
    return tenant.kubectl("get", "storage", "main", "-o", f"jsonpath={told}").stdout


def ended(tenant: Tenant, components: str) -> dict[str, Any]:
    name = tenant.run(components, "copy", **COPY)
    run = tenant.wait(name, lambda run: bool(run.get("status", {}).get("events", {}).get("delivered")))
    status: dict[str, Any] = run["status"]
    return status


def test_a_store_whose_forms_leak_is_refused(connection: Connection, versitygw: StoreSettings, components: str) -> None:
    tenant = on(connection, versitygw)
    try:
        assert scoped(tenant, "False") == "NotEnforced"
        status = tenant.wait(tenant.run(components, "true"))["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "StorageUnscoped"), status
        assert "by way of `..`" in status["message"]
        assert "`allowUnscoped: true`" in status["message"]
    finally:
        tenant.delete()


def test_where_that_is_allowed_a_run_goes_through_with_a_warning(
    connection: Connection, versitygw: StoreSettings, components: str
) -> None:
    tenant = on(connection, versitygw, allowUnscoped=True)
    try:
        assert scoped(tenant, "True") == "NotEnforced"
        tenant.put_table("in.c-main.words", WORDS)
        status = ended(tenant, components)
        assert (status["phase"], status["result"]) == ("Succeeded", "Warning"), status
        assert any("`allowUnscoped: true`" in warning for warning in status["warnings"])
        assert tenant.table("out.c-main.words") == WORDS
    finally:
        tenant.delete()


def test_a_store_without_forms_is_used_by_temporary_keys(connection: Connection, components: str) -> None:
    with formless(connection.store_endpoint, address.node()) as endpoint:
        tenant = tenants.create(connection, "sts", endpoint=endpoint, sts={"endpoint": connection.store_endpoint})
        try:
            assert scoped(tenant, "True") == "SessionPolicies"
            tenant.put_table("in.c-main.words", WORDS)
            status = ended(tenant, components)
            assert (status["phase"], status["result"]) == ("Succeeded", "Success"), status
            assert tenant.table("out.c-main.words") == WORDS
        finally:
            tenant.delete()
