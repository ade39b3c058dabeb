"""`Component`: a program that can be run, and the resources it may use. Written by the people who offer it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema

from componentrun.api.channels import MOST_CHANNELS, Channel, ChannelName, PullSecretRef, Verify
from componentrun.api.common import ApiModel, Duration, LocalName, ObjectMeta, Policy, Quantity, Retention, SecretKeyRef
from componentrun.api.componentstatus import ComponentStatus
from componentrun.api.processors import Processors, ProcessorSettings
from componentrun.api.retry import Retry

__all__ = [
    "Allowed",
    "ClusterComponent",
    "Component",
    "ComponentConcurrency",
    "ComponentConfiguration",
    "ComponentEvents",
    "ComponentOutput",
    "ComponentSpec",
    "ComponentType",
    "Deprecation",
    "EgressRule",
    "ForwardToken",
    "Gelf",
    "Logging",
    "Network",
    "NetworkMode",
    "Resources",
    "Size",
    "Validation",
]

NetworkMode = Literal["none", "no-internet", "bridge"]
Size = Literal["xsmall", "small", "medium", "large"]
ComponentType = Literal["extractor", "writer", "application", "transformation", "processor", "service", "other"]
Validation = Literal["Enforce", "Warn", "Off"]
WebAddress = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)]
Document = Annotated[dict[str, Any] | str, WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})]
"""A JSON object, or its text, whose key order and number format Kubernetes keeps."""
Quantities = Annotated[dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity], Field(max_length=3)]


class Resources(ApiModel):
    """CPU and memory of the component's container."""

    limits: Quantities | None = None
    """Maximum that the container may use. The kernel kills a container that exceeds its memory limit."""
    requests: Quantities | None = None
    """Amount that is reserved for the container on its node. Defaults to the limits."""


Tag = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class Allowed(ApiModel):
    """What runs of the component may set themselves. A run that sets more is refused."""

    sizes: Annotated[tuple[Size, ...], Field(min_length=1, max_length=4)] | None = None
    """Values of a run's `size`. Defaults to all."""
    resources: Quantities | None = None
    """Maximum of each limit of a run, whether it sets `resources` or `size`. Defaults to what the largest of `sizes`
    has if `sizes` is set, or else to no maximum. Processors are scaled up to it."""
    timeout: Duration | None = None
    """Maximum of a run's `timeout`. Defaults to `24h`."""
    tags: Annotated[tuple[Tag, ...], Field(max_length=64)] | None = None
    """Values of a run's `tag`, and of the `tag` of a processor, besides the component's own tag. An empty list allows
    no other tag. Defaults to all."""


class EgressRule(ApiModel):
    """One destination that the component may connect to."""

    cidr: Annotated[str, Field(max_length=49, pattern=r"^[0-9a-fA-F:.]+/[0-9]{1,3}$")]
    """Address block, e.g. `203.0.113.0/24`."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port. Defaults to all ports."""


class Network(ApiModel):
    """Network access of the run's pod, besides DNS and the object store. Nothing may connect to the pod."""

    mode: NetworkMode = "none"
    """`none`: no access. `no-internet`: private addresses. `bridge`: all addresses except the node's metadata service.
    Defaults to `none`."""
    egress: Annotated[tuple[EgressRule, ...], Field(max_length=20)] = ()
    """Additional destinations."""


class ForwardToken(ApiModel):
    """A token that only the component's container gets, in the environment variables KBC_TOKEN and KBC_URL."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=512)]
    """URL of the service that accepts the token: KBC_URL."""
    token_secret_ref: SecretKeyRef
    """Secret key that holds the token: KBC_TOKEN. It is redacted in everything that the component prints."""


class ComponentConcurrency(ApiModel):
    """How many runs of the component may run at the same time."""

    policy: Policy = "Queue"
    """Policy of runs that set no `spec.concurrency.policy`. Defaults to `Queue`."""
    parallelism: Annotated[int, Field(ge=1, le=1000)] = 1
    """Maximum number of runs of one concurrency group that run at the same time. Defaults to 1."""


GelfLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
GelfVisibility = Literal["none", "camouflage", "normal", "verbose"]


class Gelf(ApiModel):
    """A GELF server beside the component, at KBC_LOGGER_ADDR and KBC_LOGGER_PORT. Its messages become events."""

    server: Literal["tcp", "udp", "http"] = "tcp"
    """Protocol of the server. `udp` can lose messages before they arrive. Defaults to `tcp`."""
    visibility: Annotated[dict[GelfLevel, GelfVisibility], Field(max_length=8)] | None = None
    """How much of a message becomes an event, by level. `none`: nothing. `camouflage`: only that there was a message.
    `normal`: its short message. `verbose`: also all of its fields. Defaults to `none` for `debug`, to `camouflage` for
    `critical`, `alert` and `emergency`, and to `normal` for the others."""


class Logging(ApiModel):
    """Logging besides the component's standard output and error."""

    gelf: Gelf | None = None
    """GELF server beside the component. Defaults to none."""


class ComponentEvents(ApiModel):
    """Retention of the events of its runs."""

    keep: Retention | None = None
    """How long events are kept after a run's last one, e.g. `30d`; minimum `1h`. `forever` keeps them indefinitely.
    Defaults to `spec.events.keep` of the Storage."""


BucketPattern = Annotated[str, Field(pattern=r"^(\*|(in|out)\.([A-Za-z0-9_-]+|[A-Za-z0-9_-]*\*))$", max_length=100)]
"""A bucket (`out.c-main`), or all buckets with a prefix (`out.c-*`, `in.*`, `*`)."""


class ComponentOutput(ApiModel):
    """Buckets that its runs may write to."""

    buckets: Annotated[tuple[BucketPattern, ...], Field(max_length=64)] = ()
    """Buckets that its runs may write to, besides those of the run's `output.tables` and `output.defaultBucket`: e.g.
    `out.c-main`, `out.c-*` (all that begin with `out.c-`) or `*` (all). Defaults to none. Set it for a component that
    chooses the tables it writes, by `destination` in manifests."""


class ComponentConfiguration(ApiModel):
    """Parameters that the component accepts, and what a new configuration starts with."""

    schema_: Document | None = Field(None, alias="schema")
    """JSON Schema of `parameters`: an object, or its text, which keeps the order of keys and the format of numbers.
    Without `$schema`, it is read as draft 7. `format` and unknown keywords such as `options` and `propertyOrder` are
    hints for forms and are not checked. At most 256 KiB. A schema can't refer to other documents."""
    row_schema: Document | None = None
    """JSON Schema that the parameters of a run with a configuration row must match in addition to `schema`."""
    default: dict[str, Any] | None = None
    """Parameters of a new configuration, for whoever creates one. Runs do not use them."""
    validation: Validation = "Enforce"
    """What happens to a run whose parameters do not match. `Enforce`: it fails with the reason `InvalidConfiguration`
    before anything is created for it. `Warn`: it has warnings. `Off`: parameters are not checked. Defaults to
    `Enforce`."""


class Deprecation(ApiModel):
    """Announcement that the component will be withdrawn. Its runs have a warning."""

    since: date | None = None
    """Day on which it was deprecated, e.g. `2026-07-01`."""
    message: Annotated[str, Field(max_length=1024)] | None = None
    """Why it was deprecated, and how to migrate."""
    replaced_by: LocalName | None = None
    """Name of the component to use instead, which warnings and refusals name."""
    end_of_life: date | None = None
    """Last day on which runs can be created, in UTC. Later ones end with the reason `ComponentWithdrawn`. Defaults to
    no end."""


ImageParameterSecrets = Annotated[dict[str, SecretKeyRef], Field(max_length=64)]


class ComponentSpec(ApiModel):
    """Image of the component, and the resources it may use."""

    type: ComponentType | None = None
    """What the component does. `extractor`: reads from another system. `writer`: writes to another system.
    `application` and `transformation`: work on tables. `processor`: a step before or after another component.
    `service`: runs for a long time. Defaults to `other`."""
    title: Annotated[str, Field(max_length=253)] | None = None
    """Name for people."""
    summary: Annotated[str, Field(max_length=1024)] | None = None
    """One sentence about what it does."""
    description: Annotated[str, Field(max_length=65_536)] | None = None
    """Description in Markdown."""
    icon: Annotated[str, Field(pattern=r"^(https?://|data:image/)[^\s]+$", max_length=65_536)] | None = None
    """URL of an icon, or the icon itself as a `data:` URL."""
    categories: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=63)], ...], Field(max_length=20)] = ()
    """Categories in a catalogue."""
    vendor: Annotated[str, Field(max_length=253)] | None = None
    """Person or organization that maintains it."""
    license: Annotated[str, Field(max_length=253)] | None = None
    """License: an SPDX expression, e.g. `Apache-2.0`, or a URL."""
    documentation_url: WebAddress | None = None
    """URL of its documentation."""
    source_url: WebAddress | None = None
    """URL of its source code."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image without a tag, e.g. `registry.example.com/team/cleaner`. A reference with a digest is used unchanged."""
    tag: Tag = "latest"
    """Tag that runs use unless they set their own. `latest` is looked up for every run; any other tag is pulled once by
    each node. Ignored if there are `channels`. Defaults to `latest`."""
    command: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)] | None = None
    """Entrypoint of the container. Defaults to the image's own."""
    args: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)] | None = None
    """Arguments of the entrypoint. Defaults to the image's own."""
    resources: Resources | None = None
    """CPU and memory of the component's container. Defaults to 1 CPU and 256Mi."""
    network: Network | None = None
    """Network access of its runs. Defaults to DNS and the object store. A run may request less, but not more."""
    timeout: Duration | None = None
    """Timeout of a run. Defaults to `1h`; maximum `24h`."""
    allowed: Allowed | None = None
    """What runs may set themselves. Defaults to any `size`, `resources`, `timeout` and `tag`."""
    retry: Retry | None = None
    """When a failed attempt is followed by another one. The `retry` of a run replaces this one as a whole."""
    run_as_user: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Numeric user id of the container. Defaults to 1000. 0 (root) requires a namespace that does not enforce the
    `restricted` pod security standard."""
    read_only_root_filesystem: bool = False
    """Whether the container's root file system is read-only. /data and /tmp stay writable. Defaults to false."""
    data_size: Quantity | None = None
    """Size limit of the data folder. Defaults to 10Gi."""
    data_type_support: Literal["none", "hints", "authoritative"] | None = None
    """Support for column types. `none`: manifests without types, in the old form. `hints`: manifests with `schema`,
    whose types are not checked. `authoritative`: the same, and values that do not match their types are an error.
    Defaults to `none`."""
    concurrency: ComponentConcurrency | None = None
    """Concurrency of its runs. Defaults to one run of a configuration at a time."""
    forward_token: ForwardToken | None = None
    """Token to pass to the component. Defaults to none."""
    logging: Logging | None = None
    """Logging besides standard output and error. Defaults to none."""
    events: ComponentEvents | None = None
    """Retention of the events of its runs. Defaults to the Storage's settings."""
    output: ComponentOutput | None = None
    """Buckets that its runs may write to. Defaults to the buckets that the run names."""
    channels: Annotated[
        tuple[Channel, ...],
        Field(
            max_length=MOST_CHANNELS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Channels that runs choose from. With channels, the operator resolves the image to a digest before it creates a
    pod, and `tag` is ignored. Defaults to none: the node resolves `tag`."""
    default_channel: ChannelName | None = None
    """Channel of runs that name neither a channel nor a tag. Defaults to `release`, or else to the first channel."""
    image_pull_secrets: Annotated[tuple[PullSecretRef, ...], Field(max_length=8)] | None = None
    """Secrets with credentials for the image's registry. They are read from the namespace of the run, also for a
    ClusterComponent. Only `prePull` of a ClusterComponent uses Secrets in the operator's own namespace.
    `podTemplate.imagePullSecrets` of the run are tried before them, and those of its Storage after them."""
    verify: Verify | None = None
    """Signature that the image must have, made by cosign 2 or 3 with a key. Requires channels. The operator verifies
    each digest once, before a run uses it for the first time, and again if the key changes. Runs of other images end as
    `ImageUnverified`. Transparency logs and certificates are not checked. Defaults to none: signatures are ignored."""
    processor: ProcessorSettings | None = None
    """Settings of a Component of type `processor`."""
    processors: Processors | None = None
    """Processors of runs that set no `processors`. Defaults to none."""
    default_bucket: Annotated[str, Field(pattern=r"^(in|out)(\.[A-Za-z0-9_-]+)?$", max_length=100)] | None = None
    """Bucket for tables without a destination, for runs that set no `output.defaultBucket`. `in` or `out` alone stands
    for a bucket of each configuration: `in.c-<component>-<configuration id>`. Defaults to none."""
    image_parameters: dict[str, Any] | None = None
    """A JSON object, which the component reads as `image_parameters` in config.json. Runs can't change it. Defaults to
    `configuration.imageParameters` of the run."""
    image_parameter_secrets: ImageParameterSecrets | None = None
    """Secrets to insert into `imageParameters`, by path, e.g. `#key` or `db.#password`. The Secrets are in the run's
    namespace. The values are redacted, and a run must not contain them."""
    configuration: ComponentConfiguration | None = None
    """Parameters that it accepts. Defaults to any."""
    actions: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=63)], ...], Field(max_length=64)
    ] = ()
    """Actions that it supports besides `run`. A run with another `action` is refused. Defaults to any."""
    deprecated: Deprecation | None = None
    """Announcement that it will be withdrawn. Defaults to none."""


class Component(ApiModel):
    """A program that can be run: an image, and the resources it may use."""

    KIND: ClassVar = "Component"
    PLURAL: ClassVar = "components"

    metadata: ObjectMeta
    spec: ComponentSpec
    status: ComponentStatus = Field(default_factory=ComponentStatus)


class ClusterComponent(Component):
    """A program that runs of all namespaces can name.

    A Component of the same name in the run's namespace takes precedence. An operator that is restricted to a list of
    namespaces does not use ClusterComponents.
    """

    KIND: ClassVar = "ClusterComponent"
    PLURAL: ClassVar = "clustercomponents"
