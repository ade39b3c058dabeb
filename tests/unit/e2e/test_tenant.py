"""The Storage that a tenant of the end-to-end cases gets."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from componentrun.storage.store.settings import StoreSettings
from dev.cluster.connection import Connection, reaching
from dev.cluster.stores.seaweedfs import Lake
from e2e.tenant import Tenant

LAKE = Lake(
    endpoint="http://192.0.2.2:9010",
    access_key="lake-key",
    secret_key="lake-secret",
    bucket="staging",
    region="us-east-1",
    catalog_uri="http://192.0.2.2:9011",
    catalog_warehouse="s3://lake/",
    catalog_client_id="client",
    catalog_client_secret="client-secret",
)
CLUSTER = Connection(
    kubeconfig=Path("kubeconfig"),
    registry=None,
    image_load_command=None,
    bin_dir=Path("bin"),
    logs=Path("logs"),
    own=True,
    node_name="node1",
    **reaching(LAKE),
)
TENANT = Tenant(CLUSTER, "t-0123abcd", "e2e/t-0123abcd")


ELSEWHERE = StoreSettings(
    bucket="other", endpoint="https://192.0.2.3", access_key="key", secret_key="secret", ca_bundle="PEM"
)


def test_on_another_store_there_is_no_catalog() -> None:
    tenant = replace(TENANT, elsewhere=ELSEWHERE)
    assert tenant.storage_spec == {
        "endpoint": "https://192.0.2.3",
        "bucket": "other",
        "prefix": "e2e/t-0123abcd",
        "region": "us-east-1",
        "credentials": {"secretName": "store-keys"},
        "caBundle": "PEM",
        "default": True,
    }
    assert tenant.secrets == {"store-keys": {"accessKeyId": "key", "secretAccessKey": "secret"}}


def test_the_tables_are_in_namespaces_of_the_tenant() -> None:
    spec = TENANT.storage_spec
    assert (spec["endpoint"], spec["bucket"], spec["prefix"]) == (LAKE.endpoint, "staging", "e2e/t-0123abcd")
    assert spec["catalog"] == {
        "uri": "http://192.0.2.2:9011",
        "warehouse": "s3://lake/",
        "namespacePrefix": "t_0123abcd_",
        "credentials": {"secretName": "catalog-client"},
    }
    assert TENANT.secrets == {
        "store-keys": {"accessKeyId": "lake-key", "secretAccessKey": "lake-secret"},
        "catalog-client": {"clientId": "client", "clientSecret": "client-secret"},
    }
    assert (TENANT.settings.endpoint, TENANT.settings.access_key) == (LAKE.endpoint, "lake-key")


@pytest.mark.parametrize("namespace", ["t-0123abcd", "steady-0123abcd", "examples-0123abcd"])
def test_the_prefix_of_namespaces_is_one_that_a_storage_may_have(namespace: str) -> None:
    prefix = Tenant(CLUSTER, namespace).namespace_prefix
    assert re.fullmatch(r"[a-z][a-z0-9]*_([a-z0-9]+_)*", prefix)
    assert len(prefix) <= 32
