"""Complete runs on stores other than the cluster's: versitygw with TLS, and MinIO as a store without signed forms.

These stores have no catalog, so the runs have files and no tables.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster.host import address
from dev.cluster.stores import minio as local_store
from e2e import tenant as tenants
from e2e.tenant.formless import formless
from tests.integration.storage.second_store import second_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.storage.store.settings import StoreSettings
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

CONTENT = bytes(range(256)) * 1000
COPY = """
import pathlib, shutil
(given,) = pathlib.Path("/data/in/files").glob("*_words.bin")
shutil.copy(given, "/data/out/files/copy.bin")
"""


@pytest.fixture(scope="module")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreSettings]:
    """A versitygw at an address that pods can reach."""
    with second_store(tmp_path_factory.mktemp("versitygw"), address.node()) as settings:
        yield settings


def scoped(tenant: Tenant, ready: str) -> str:
    """Reason of the condition `Scoped`, after the store was checked and `Ready` has this status."""
    # The Secret is created after its Storage. Until then, `Ready` is False for another reason.
    tenant.kubectl("wait", "--for=jsonpath={.status.checked}", "storage/main", "--timeout=120s")
    tenant.kubectl("wait", f"--for=condition=Ready={ready}", "storage/main", "--timeout=120s")
    path = '{.status.conditions[?(@.type=="Scoped")].reason}'
    return tenant.kubectl("get", "storage", "main", "-o", f"jsonpath={path}").stdout


def copied(tenant: Tenant, components: str, folder: Path) -> dict[str, Any]:
    """Let a run copy a file of this machine, check the copy, and return the run's status."""
    source, target = folder / "words.bin", folder / "copy.bin"
    source.write_bytes(CONTENT)
    upload = tenant.cli("file", "put", str(source))
    assert upload.returncode == 0, upload.stderr
    name = tenant.run(components, command=["python3", "-c", COPY], input={"files": [{"name": "words.bin"}]})
    run = tenant.wait(name, lambda run: bool(run.get("status", {}).get("events", {}).get("delivered")))
    status: dict[str, Any] = run["status"]
    if status["phase"] == "Succeeded":
        download = tenant.cli("file", "get", "copy.bin", "-o", str(target))
        assert download.returncode == 0, download.stderr
        assert target.read_bytes() == CONTENT
    return status


def test_a_store_whose_forms_leak_is_refused(connection: Connection, versitygw: StoreSettings, components: str) -> None:
    tenant = tenants.create(connection, "other", elsewhere=versitygw)
    try:
        assert scoped(tenant, "False") == "NotEnforced"
        status = tenant.wait(tenant.run(components, "true"))["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "StorageUnscoped"), status
        assert "by way of `..`" in status["message"]
        assert "`allowUnscoped: true`" in status["message"]
    finally:
        tenant.delete()


def test_where_that_is_allowed_a_run_goes_through_with_a_warning(
    connection: Connection, versitygw: StoreSettings, components: str, tmp_path: Path
) -> None:
    tenant = tenants.create(connection, "other", elsewhere=versitygw, allowUnscoped=True)
    try:
        assert scoped(tenant, "True") == "NotEnforced"
        status = copied(tenant, components, tmp_path)
        assert (status["phase"], status["result"]) == ("Succeeded", "Warning"), status
        assert any("`allowUnscoped: true`" in warning for warning in status["warnings"])
    finally:
        tenant.delete()


def test_a_store_without_forms_is_used_by_temporary_keys(
    connection: Connection, components: str, tmp_path: Path
) -> None:
    minio = local_store.up()
    with formless(minio.endpoint, address.node()) as endpoint:
        store = replace(minio.settings, endpoint=endpoint)
        tenant = tenants.create(connection, "sts", elsewhere=store, sts={"endpoint": minio.endpoint})
        try:
            assert scoped(tenant, "True") == "SessionPolicies"
            status = copied(tenant, components, tmp_path)
            assert (status["phase"], status["result"]) == ("Succeeded", "Success"), status
        finally:
            tenant.delete()
