"""`Storage`: where a namespace's tables, files, state and events live. Written by the people who run the platform."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from componentrun.api.common import ApiModel, Condition, Duration, LocalName, LongDuration, ObjectMeta, Quantity
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
    """The keys that the operator signs with. They never enter a run's pod."""

    secret_name: LocalName
    """Secret of the same namespace with the keys `accessKeyId` and `secretAccessKey`, optionally `sessionToken`."""


class StorageSts(ApiModel):
    """Where temporary keys with a policy of their own come from (AssumeRole)."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]+$", max_length=512)]
    """URL of the security token service; with MinIO that of the store itself."""
    role_arn: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """Role to assume, where the service wants one (Amazon does, MinIO does not)."""


class StorageWebhook(ApiModel):
    """Where life-cycle events of runs are sent: as CloudEvents 1.0 in batches, signed, at least once."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$", max_length=2048)]
    """Where to; the collector must be able to reach it."""
    secret_name: LocalName
    """Secret of the same namespace whose key `secret` is what requests are signed with: `whsec_` and base64 of 24 to 64
    random bytes, or several of these with spaces between."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """PEM of the authorities that sign the receiver's certificate; the usual public ones where not given."""


class StorageOtlp(ApiModel):
    """Where all events of runs are sent as logs: over OTLP/HTTP in its JSON encoding, at least once."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$", max_length=2048)]
    """URL of the collector of OpenTelemetry, to which `/v1/logs` is added, e.g. `https://otel.example.com:4318`."""
    headers_secret_name: LocalName | None = None
    """Secret of the same namespace whose keys and values are sent as headers, e.g. `Authorization`; none where not
    given."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """PEM of the authorities that sign the receiver's certificate; the usual public ones where not given."""


class StorageEvents(ApiModel):
    """What becomes of the events of its runs."""

    keep: LongDuration | None = None
    """How long they are kept behind a run's last one, e.g. `30d`, at least an hour; for good where not given. A
    Component may say another time for its runs."""
    webhook: StorageWebhook | None = None
    """Send life-cycle events there, too; nowhere where not given."""
    otlp: StorageOtlp | None = None
    """Send all events there, too; nowhere where not given."""


class StorageCatalogCredentials(ApiModel):
    """What the operator and the loader identify themselves to the catalog with. It never enters a run's pod."""

    secret_name: LocalName
    """Secret of the same namespace. With the keys `clientId` and `clientSecret`, tokens are requested by OAuth2 client
    credentials. With the key `token` alone, that is sent as a bearer token."""


class StorageSigV4(ApiModel):
    """Requests to a catalog of AWS are signed (Signature Version 4) with the Storage's own keys or cloud identity."""

    service: Literal["glue", "s3tables"]
    """Service that requests are signed for."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$", max_length=63)] | None = (
        None
    )
    """Region that requests are signed for. Defaults to `spec.region`."""


_CATALOG_URI: Final = r"^https?://[^/\s@?#]+(/[^\s?#]*)?$"


class StorageCatalog(ApiModel):
    """An Apache Iceberg REST catalog: it says which tables there are, and commits changes to them."""

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
    """PEM of the authorities that sign the catalog's certificate. Defaults to `spec.caBundle`."""
    sig_v4: StorageSigV4 | None = None
    """Sign requests to a catalog of AWS. Defaults to no signature."""


class StorageTables(ApiModel):
    """How tables of the catalog are kept."""

    history: LongDuration = "7d"
    """How long an earlier state of a table is kept once another one has replaced it, e.g. `30d`. Defaults to `7d`; the
    minimum is 24 hours, and the last 10 states are kept in any case."""


class StorageSpark(ApiModel):
    """How Spark maintains large tables: in a Job of the Storage's namespace, one for each table."""

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
    """How long a Job may take. Defaults to `6h`."""
    spark_conf: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)] = Field(
        default_factory=dict
    )
    """Further settings of Spark, such as `spark.sql.shuffle.partitions`. Ignored are settings of the catalog `lake`,
    the master, of the jars and of the driver's memory, and names that do not begin with `spark.`."""


class StorageMaintenance(ApiModel):
    """Who maintains the tables of the catalog."""

    engine: Literal["Builtin", "Spark", "None"] = "Builtin"
    """With `Builtin`, ComponentRun rewrites small files, removes old snapshots and deletes files that no snapshot
    needs. With `Spark`, it does so for small tables, and has Spark do it for large ones. With `None`, it leaves the
    tables of the catalog alone, for example because the catalog maintains them. Defaults to `Builtin`."""
    spark: StorageSpark | None = None
    """How Spark maintains large tables; only with the engine `Spark`. Defaults to the defaults of its fields."""


class StorageSpec(ApiModel):
    """An S3-compatible bucket and how to reach it."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s]+$", max_length=512)] | None = None
    """URL of the store as pods reach it, e.g. `https://minio.example.com:9000`; Amazon S3 where not given."""
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", max_length=63)]
    """Name of the bucket. It must exist."""
    prefix: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.=-]+/)*[A-Za-z0-9_.=-]*$", max_length=256)] = ""
    """Key prefix below which everything of this Storage lives; the whole bucket where not given."""
    region: Annotated[str, Field(min_length=1, max_length=64)] = "us-east-1"
    """Region that requests are signed for."""
    credentials: StorageCredentials | None = None
    """Keys to sign with; the operator's own cloud identity where not given."""
    ca_bundle: Annotated[str, Field(max_length=65536)] | None = None
    """PEM of the authorities that sign the store's certificate; the usual public ones where not given."""
    egress: Annotated[tuple[dict[str, Any], ...], Field(max_length=8)] = ()
    """NetworkPolicy egress rules that open the way from pods to the store. Where not given, the addresses that the
    endpoint's name resolves to are opened. Give them where the store is a Service of the cluster, or changes its
    addresses."""
    sts: StorageSts | None = None
    """Used only where the store does not hold to the conditions of signed forms: then each attempt gets keys that may
    store objects below its own prefix and do nothing else."""
    allow_unscoped: bool = False
    """Whether runs may use this Storage though nothing keeps their grants within their own prefixes."""
    catalog: StorageCatalog | None = None
    """Apache Iceberg REST catalog that holds the tables of this Storage. The bucket holds everything else: staged
    output, files, state and events. Defaults to none: the Storage keeps no tables, and runs that read or write tables
    are refused."""
    allow_non_atomic: bool = False
    """Whether a run may publish several tables though the catalog can't commit them at once. If the commit of one table
    then fails, the tables before it stay changed."""
    tables: StorageTables | None = None
    """How tables of the catalog are kept. Defaults to the defaults of its fields."""
    maintenance: StorageMaintenance | None = None
    """Who maintains the tables of the catalog. Defaults to the defaults of its fields."""
    compression: Literal["none", "gzip", "zstd"] = "zstd"
    """How output is stored until it is loaded into tables. Components see no difference."""
    events: StorageEvents | None = None
    """What becomes of the events of its runs; they are kept for good where not given."""
    max_running: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """How many runs of the namespace may have a pod at the same time; the operator's own limit where not given. Only
    the default Storage's number counts. Runs that Kueue manages are not counted."""
    default: bool = False
    """Whether runs that name no Storage use this one. At most one Storage of a namespace should say so."""


class StorageStatus(ApiModel):
    """What was found out about the store."""

    observed_generation: int | None = None
    """The metadata.generation that the status is about."""
    checked: datetime | None = None
    """When the store was tried last."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """`Ready`: runs can use it. `Scoped`: a run's grant is good for the run's own prefix only. `Versioned`: the bucket
    keeps versions, so that published files stay what they are. `Catalog`: the catalog responds, and can do what
    publishing needs. A Storage without a catalog has the reason `NoCatalog`, and is `Ready` all the same."""


class Storage(ApiModel):
    """Where a namespace's data lives: a bucket of an S3-compatible store, and a catalog for tables."""

    KIND: ClassVar = "Storage"
    PLURAL: ClassVar = "storages"

    metadata: ObjectMeta
    spec: StorageSpec
    status: StorageStatus = Field(default_factory=StorageStatus)
