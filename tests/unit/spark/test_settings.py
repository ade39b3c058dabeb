"""What Spark is started with, and what it is told later."""

from __future__ import annotations

from componentrun.spark.settings import catalog_settings, credentials, start_settings
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings

CATALOG = CatalogSettings(uri="https://catalog.example.com", warehouse="lake", client_id="id", client_secret="hidden")
STORE = StoreSettings(
    "bucket", endpoint="https://s3.example.com", access_key="key", secret_key="hidden", catalog=CATALOG
)


def test_no_credential_is_among_the_arguments_that_spark_is_started_with() -> None:
    started = start_settings(4 * 2**30, ["/a.jar"], {}) | catalog_settings(STORE)
    assert "hidden" not in str(started)
    assert credentials(STORE)["spark.sql.catalog.lake.credential"] == "id:hidden"
    assert credentials(STORE)["spark.sql.catalog.lake.s3.secret-access-key"] == "hidden"


def test_what_a_storage_says_changes_neither_the_catalog_nor_memory_nor_jars() -> None:
    more = {
        "spark.sql.shuffle.partitions": "8",
        "spark.driver.memory": "64g",
        "spark.sql.catalog.lake.uri": "https://elsewhere.example.com",
        "spark.jars": "http://elsewhere.example.com/x.jar",
        "other": "x",
    }
    started = start_settings(4 * 2**30, ["/a.jar"], more)
    assert started["spark.sql.shuffle.partitions"] == "8"
    assert (started["spark.driver.memory"], started["spark.jars"]) == ("2892m", "/a.jar")
    assert {"other", "spark.sql.catalog.lake.uri"}.isdisjoint(started)


def test_a_pod_with_little_memory_gets_a_heap_all_the_same() -> None:
    assert start_settings(2**29, [], {})["spark.driver.memory"] == "512m"


def test_a_catalog_of_aws_is_signed_for_with_the_keys_of_the_storage() -> None:
    catalog = CatalogSettings(
        uri="https://glue.example.com/iceberg", warehouse="1", sigv4_service="glue", sigv4_region="r"
    )
    store = StoreSettings("bucket", access_key="key", secret_key="hidden", catalog=catalog)
    assert catalog_settings(store)["spark.sql.catalog.lake.rest.signing-name"] == "glue"
    assert "spark.sql.catalog.lake.s3.endpoint" not in catalog_settings(store)
    assert credentials(store)["spark.sql.catalog.lake.rest.access-key-id"] == "key"
