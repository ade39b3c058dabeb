"""`Storage`: where a namespace's tables, files, state and events are kept. Written by the platform team."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from componentrun.api.channels import PullSecretRef
from componentrun.api.common import (
    ApiModel,
    Condition,
    Duration,
    LocalName,
    LongDuration,
    ObjectMeta,
    Quantity,
    Retention,
)
from componentrun.api.component import Resources

__all__ = [
    "Storage",
    "StorageCatalog",
    "StorageCatalogCredentials",
    "StorageCredentials",
    "StorageEvents",
    "StorageMaintenance",
    "StorageOtlp",
    "StorageSigV4",
    "StorageSpark",
    "StorageSpec",
    "StorageStatus",
    "StorageSts",
    "StorageTables",
    "StorageWebhook",
]


class StorageCredentials(ApiModel):
    """Access keys of the bucket. They never enter a run's pod."""

    secret_name: LocalName
    """Secret of the same namespace with the keys `accessKeyId`, `secretAccessKey` and, optionally, `sessionToken`."""


class StorageSts(ApiModel):
    """Security token service that issues temporary keys with a policy of their own (AssumeRole)."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]+$", max_length=512)]
    """URL of the service. With MinIO, the URL of the store itself."""
    role_arn: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """Role to assume, if the service requires one (Amazon does, MinIO does not)."""


class StorageWebhook(ApiModel):
    """Webhook for life-cycle events of runs. They are sent as signed batches of CloudEvents 1.0, at least once."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$", max_length=2048)]
    """URL of the receiver. The collector must be able to reach it."""
    secret_name: LocalName
    """Secret of the same namespace whose key `secret` holds the signing key: `whsec_` and the base64 of 24 to 64 random
    bytes, or several of these, separated by spaces."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """CA certificates (PEM) that verify the receiver's certificate. Defaults to the public certificate authorities."""


class StorageOtlp(ApiModel):
    """OpenTelemetry receiver for all events of runs: logs over OTLP/HTTP in JSON encoding, sent at least once."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$", max_length=2048)]
    """URL of the OpenTelemetry collector, without `/v1/logs`, e.g. `https://otel.example.com:4318`."""
    headers_secret_name: LocalName | None = None
    """Secret of the same namespace whose keys and values are sent as headers, e.g. `Authorization`. Defaults to no
    headers."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """CA certificates (PEM) that verify the receiver's certificate. Defaults to the public certificate authorities."""


class StorageEvents(ApiModel):
    """Retention and forwarding of the events of runs."""

    keep: Retention = "90d"
    """How long events are kept after a run's last one, e.g. `30d`; minimum `1h`. `forever` keeps them indefinitely.
    Defaults to `90d`. A Component can set another time for its runs."""
    table: bool = True
    """Whether maintenance appends the events of past days to the table `events` in the catalog, which `componentrun
    events --sql` and other engines query. Without `spec.catalog`, there is none. Defaults to true."""
    webhook: StorageWebhook | None = None
    """Webhook that receives life-cycle events. Defaults to none."""
    otlp: StorageOtlp | None = None
    """OpenTelemetry receiver for all events. Defaults to none."""


class StorageCatalogCredentials(ApiModel):
    """Credentials of the operator and the loader for the catalog. They never enter a run's pod."""

    secret_name: LocalName
    """Secret of the same namespace. With the keys `clientId` and `clientSecret`, tokens are requested by OAuth2 client
    credentials. With the key `token` alone, that is sent as a bearer token."""


class StorageSigV4(ApiModel):
    """Signature Version 4 for catalogs of AWS, with the Storage's own keys or cloud identity."""

    service: Literal["glue", "s3tables"]
    """Service that requests are signed for."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$", max_length=63)] | None = (
        None
    )
    """Region that requests are signed for. Defaults to `spec.region`."""


_CATALOG_URI: Final = r"^https?://[^/\s@?#]+(/[^\s?#]*)?$"


class StorageCatalog(ApiModel):
    """An Apache Iceberg REST catalog, which lists tables and commits changes to them."""

    uri: Annotated[str, Field(pattern=_CATALOG_URI, max_length=2048)]
    """URL of the catalog without `/v1` at its end, e.g. `https://catalog.example.com/api/catalog`."""
    warehouse: Annotated[str, Field(pattern=r"^\S(.*\S)?$", max_length=512)]
    """Warehouse in the catalog: a location or a name, e.g. `s3://lake/`, `analytics`, or an ARN."""
    namespace_prefix: Annotated[str, Field(pattern=r"^([a-z][a-z0-9]*_([a-z0-9]+_)*)?$", max_length=32)] = ""
    """Prefix of the namespaces that hold this Storage's tables. With `team_`, bucket `out.c-main` is namespace
    `team_out_c_main`. It ends in `_`, and none of its words is `in` or `out`. Defaults to no prefix. Storages with the
    same warehouse and prefix have the same tables. Tables are not moved if the prefix changes."""
    credentials: StorageCatalogCredentials | None = None
    """Defaults to none: requests are sent without credentials. At most one of `credentials` and `sigV4` may be
    given."""
    oauth2_server_uri: Annotated[str, Field(pattern=_CATALOG_URI, max_length=2048)] | None = None
    """Token endpoint for OAuth2 client credentials. Defaults to `<uri>/v1/oauth/tokens`."""
    scope: Annotated[str, Field(pattern=r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$", max_length=256)] = "catalog"
    """Scope that is requested for OAuth2 client credentials."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """CA certificates (PEM) that verify the catalog's certificate. Defaults to `spec.caBundle`."""
    sig_v4: StorageSigV4 | None = None
    """Sign requests to a catalog of AWS. Defaults to no signature."""


class StorageTables(ApiModel):
    """Retention of earlier states of tables."""

    history: LongDuration = "7d"
    """How long an earlier version of a table is kept once another one has replaced it, e.g. `30d`. Defaults to `7d`;
    the minimum is 24 hours. The last 10 versions are kept in any case. Of increments before the last 25 versions, one
    of each hour is kept for 24 hours and one of each day for the rest of the time."""


class StorageSpark(ApiModel):
    """Maintenance of large tables by Spark: one Job for each table, in the Storage's namespace."""

    table_size_threshold: Quantity = "1Gi"
    """Tables whose files have at least this size are maintained by Spark, all others by ComponentRun itself. Defaults
    to `1Gi`."""
    image: Annotated[str, Field(pattern=r"^\S+$", max_length=512)] | None = None
    """Image of the Job's pod. Defaults to the one that the chart names (`maintenance.spark.image`)."""
    resources: Resources | None = None
    """CPU, memory and ephemeral storage of the pod. Spark's heap is 80 % of the memory limit less 384 MiB. Defaults to
    2 CPU, 4Gi of memory and 20Gi of ephemeral storage."""
    service_account_name: LocalName | None = None
    """ServiceAccount of the pod, for a cloud identity if the Storage names no credentials. Its token is not mounted.
    Defaults to the namespace's default one."""
    timeout: Duration = "6h"
    """Maximum run time of a Job. Defaults to `6h`."""
    spark_conf: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] = Field(
        default_factory=dict
    )
    """Additional Spark settings, such as `spark.sql.shuffle.partitions`. Settings of the catalog `lake`, the master,
    the jars and the driver's memory are ignored, and so are names that do not begin with `spark.`."""


class StorageMaintenance(ApiModel):
    """Engine that maintains the tables of the catalog."""

    engine: Literal["Builtin", "Spark", "None"] = "Builtin"
    """With `Builtin`, ComponentRun rewrites small files, removes old snapshots and deletes files that no snapshot
    needs. With `Spark`, it does so for small tables, and has Spark do it for large ones. With `None`, it leaves the
    tables of the catalog alone, for example because the catalog maintains them. Defaults to `Builtin`."""
    spark: StorageSpark | None = None
    """Settings of Spark. Only with the engine `Spark`."""


class StorageSpec(ApiModel):
    """An S3-compatible bucket, an optional catalog, and how to reach both."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]+$", max_length=512)] | None = None
    """URL of the store, as pods reach it, e.g. `https://minio.example.com:9000`. Defaults to Amazon S3."""
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", max_length=63)]
    """Name of the bucket. It must exist."""
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.=-]+/)*[A-Za-z0-9_.=-]*$", max_length=256)] = ""
    """Key prefix of all objects of this Storage. Defaults to the whole bucket."""
    region: Annotated[str, Field(min_length=1, max_length=64)] = "us-east-1"
    """Region that requests are signed for. Defaults to `us-east-1`."""
    credentials: StorageCredentials | None = None
    """Access keys. Defaults to the operator's cloud identity."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """CA certificates (PEM) that verify the store's certificate. Defaults to the public certificate authorities."""
    egress: Annotated[tuple[dict[str, Any], ...], Field(max_length=8)] = ()
    """NetworkPolicy egress rules that allow pods to reach the store. Defaults to the addresses that the endpoint's name
    resolves to. Set them if the store is a Service of the cluster, or if its addresses change."""
    sts: StorageSts | None = None
    """Security token service. Used only if the store does not enforce the conditions of signed forms: each attempt then
    gets keys that can only store objects below its own prefix."""
    allow_unscoped: bool = False
    """Whether runs may use this Storage although the store does not restrict a run's grant to its own prefix. Defaults
    to false."""
    catalog: StorageCatalog | None = None
    """Apache Iceberg REST catalog that holds the tables of this Storage. The bucket holds everything else: staged
    output, files, state and events. Defaults to none: the Storage keeps no tables, and runs that read or write tables
    are refused."""
    allow_non_atomic: bool = False
    """Whether a run may publish several tables although the catalog can't commit them in one transaction. If the commit
    of one table then fails, the tables before it stay changed. Defaults to false."""
    tables: StorageTables | None = None
    """Retention of earlier states of tables."""
    maintenance: StorageMaintenance | None = None
    """Maintenance of the tables of the catalog."""
    compression: Literal["none", "gzip", "zstd"] = "zstd"
    """Compression of output until it is loaded into tables. Components see no difference. Defaults to `zstd`."""
    events: StorageEvents | None = None
    """Retention and forwarding of events. By default, events are kept for 90 days and not forwarded."""
    max_running: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Maximum number of runs of the namespace that have a pod at the same time. Defaults to the operator's limit. Only
    the value of the default Storage applies. Runs that Kueue manages are not counted."""
    image_pull_secrets: Annotated[tuple[PullSecretRef, ...], Field(max_length=8)] = ()
    """Secrets of the same namespace with credentials for registries of images: the namespace's default for all runs
    that use this Storage. They are tried after those of the run and its Component. Pods of Spark use them as well.
    Defaults to none."""
    default: bool = False
    """Whether runs that name no Storage use this one. Set it for at most one Storage of a namespace. Defaults to
    false."""


class StorageStatus(ApiModel):
    """Observed state of the store and the catalog."""

    observed_generation: int | None = None
    """The `metadata.generation` that this status describes."""
    checked: datetime | None = None
    """When the store was last checked."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """`Ready`: runs can use the Storage. `Scoped`: a run's grant is restricted to the run's own prefix. `Versioned`:
    the bucket keeps versions of objects, so that published files can't be overwritten. `Catalog`: the catalog responds,
    and supports what publishing needs. A Storage without a catalog has the reason `NoCatalog`, and can be `Ready`."""


class Storage(ApiModel):
    """Where a namespace's data is kept: a bucket of an S3-compatible store, and a catalog for tables."""

    KIND: ClassVar = "Storage"
    PLURAL: ClassVar = "storages"

    metadata: ObjectMeta
    spec: StorageSpec
    status: StorageStatus = Field(default_factory=StorageStatus)
