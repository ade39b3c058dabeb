"""`Component`: a program that may be run, and what it may use. Written by the people who offer it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from componentrun.api.common import ApiModel, Duration, LongDuration, ObjectMeta, Policy, Quantity, SecretKeyRef
from componentrun.api.retry import Retry

__all__ = [
    "Component",
    "ComponentConcurrency",
    "ComponentEvents",
    "ComponentOutput",
    "ComponentSpec",
    "EgressRule",
    "ForwardToken",
    "Gelf",
    "Logging",
    "Network",
    "NetworkMode",
    "Resources",
    "Size",
]

NetworkMode = Literal["none", "no-internet", "bridge"]
Size = Literal["xsmall", "small", "medium", "large"]
Quantities = Annotated[dict[Literal["cpu", "memory", "ephemeral-storage"], Quantity], Field(max_length=3)]


class Resources(ApiModel):
    """CPU and memory of the component's container."""

    limits: Quantities | None = None
    """The most it may use. More memory than this and the kernel kills it."""
    requests: Quantities | None = None
    """What is set aside for it on the node; equal to the limits where not given."""


class EgressRule(ApiModel):
    """One destination outside that the component may reach."""

    cidr: Annotated[str, Field(max_length=49, pattern=r"^[0-9a-fA-F:.]+/[0-9]{1,3}$")]
    """Address block, e.g. `203.0.113.0/24`."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port; every port where not given."""


class Network(ApiModel):
    """What the run's pod may reach besides DNS and the object store. Nothing may ever connect to the pod."""

    mode: NetworkMode = "none"
    """`none`: nothing. `no-internet`: private addresses. `bridge`: every address but the node's metadata service."""
    egress: Annotated[tuple[EgressRule, ...], Field(max_length=20)] = ()
    """Single destinations to open in addition."""


class ForwardToken(ApiModel):
    """A token that the component gets: KBC_TOKEN and KBC_URL in its environment, and in that of no other container."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=512)]
    """Where the token is good for: KBC_URL."""
    token_secret_ref: SecretKeyRef
    """Where the token is: KBC_TOKEN. Nothing that the component prints shows it."""


class ComponentConcurrency(ApiModel):
    """How the component's runs get on with each other."""

    policy: Policy = "Queue"
    """Policy of runs that give none; see the run's `spec.concurrency.policy`."""
    parallelism: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many runs of one concurrency group may run at the same time."""


GelfLevel = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
GelfVisibility = Literal["none", "camouflage", "normal", "verbose"]


class Gelf(ApiModel):
    """A server for GELF beside the component, at KBC_LOGGER_ADDR and KBC_LOGGER_PORT; what it gets becomes events."""

    server: Literal["tcp", "udp", "http"] = "tcp"
    """How the component sends. `udp` can lose messages before they arrive, the others can't."""
    visibility: Annotated[dict[GelfLevel, GelfVisibility], Field(max_length=8)] | None = None
    """How much of a message of each level becomes an event. `none`: nothing. `camouflage`: that there was one.
    `normal`: its short message. `verbose`: all fields, too. Where not given, `debug` is `none`; `critical`, `alert`
    and `emergency` are `camouflage`; the others are `normal`."""


class Logging(ApiModel):
    """How the component logs besides what it prints."""

    gelf: Gelf | None = None
    """Run a GELF server beside it; none where not given."""


class ComponentEvents(ApiModel):
    """What becomes of the events of its runs."""

    keep: LongDuration | None = None
    """How long they are kept behind a run's last one, e.g. `90d`, at least an hour; as the Storage says where not
    given."""


BucketPattern = Annotated[str, Field(pattern=r"^(\*|(in|out)\.([A-Za-z0-9_-]+|[A-Za-z0-9_-]*\*))$", max_length=100)]
"""A bucket (`out.c-main`), or all buckets that begin with a text (`out.c-*`, `in.*`, `*`)."""


class ComponentOutput(ApiModel):
    """What its runs may write."""

    buckets: Annotated[tuple[BucketPattern, ...], Field(max_length=64)] = ()
    """Buckets that its runs may write to, besides those of the run's `output.tables` and `output.defaultBucket`: e.g.
    `out.c-main`, `out.c-*` (all that begin with `out.c-`) or `*` (all). Defaults to none. Set it for a component that
    chooses the tables it writes, by `destination` in manifests."""


class ComponentSpec(ApiModel):
    """What the component is and what it may use."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image without its tag, e.g. `registry.example.com/team/cleaner`; a reference with a digest is taken as it is."""
    tag: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] = "latest"
    """Tag that a run uses unless it names another. `latest` is looked up for every run, any other pulled once by each
    node."""
    command: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)] | None = None
    """Replaces the image's entrypoint; the image's own where not given."""
    args: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)] | None = None
    """Replaces the image's arguments; the image's own where not given."""
    resources: Resources | None = None
    """CPU and memory; one CPU and 256Mi where not given."""
    network: Network | None = None
    """What it may reach; where not given, nothing but DNS and the store. A run may ask for less, never for more."""
    timeout: Duration | None = None
    """Timeout of a run. Defaults to `1h`; maximum `24h`."""
    retry: Retry | None = None
    """When another attempt follows one that failed; a run that has its own `retry` goes by that alone."""
    run_as_user: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Numeric user of the container; 1000 where not given. 0 (root) needs a namespace that does not enforce the
    restricted pod security standard."""
    read_only_root_filesystem: bool = False
    """Mount the container's root read-only; /data and /tmp stay writable."""
    data_size: Quantity | None = None
    """Size limit of the data folder; 10Gi where not given."""
    data_type_support: Literal["none", "hints", "authoritative"] | None = None
    """What it knows of column types; `none` where not given. `none`: manifests in the old form. `hints`: in the new
    one, with `schema`. `authoritative`: likewise, and values that are not of the type it says are an error."""
    concurrency: ComponentConcurrency | None = None
    """How its runs get on with each other; where not given, one run of a configuration at a time."""
    forward_token: ForwardToken | None = None
    """Token to hand to the component; none where not given."""
    logging: Logging | None = None
    """How it logs besides what it prints: nothing else where not given."""
    events: ComponentEvents | None = None
    """What becomes of the events of its runs; as the Storage says where not given."""
    output: ComponentOutput | None = None
    """What its runs may write. Defaults to the buckets that the run names."""


class Component(ApiModel):
    """A program that may be run: an image and what it may use."""

    KIND: ClassVar = "Component"
    PLURAL: ClassVar = "components"

    metadata: ObjectMeta
    spec: ComponentSpec
