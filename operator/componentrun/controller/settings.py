"""Settings of the operator."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from componentrun.api.common import quantity_value
from componentrun.controller.images.resolving import ImageSettings
from componentrun.controller.lease import DEFAULT_SECONDS, LeaseSettings
from componentrun.controller.reconcile.unreadpods import DEFAULT_MOST
from componentrun.core.builds.settings import BuildSettings, RemoteBuilder
from componentrun.core.images.allowed import normal_prefix
from componentrun.core.images.prepull import PrePullSettings
from componentrun.core.lease.holder import HolderPod
from componentrun.core.lease.shard import Shard
from componentrun.core.limits import Limits
from componentrun.core.pod.settings import PodSettings
from componentrun.errors import UserError
from componentrun.process.settings import (
    DNS_LABEL,
    PREFIX,
    Chart,
    Cidr,
    DnsLabel,
    Expected,
    ProcessSettings,
    Seconds,
    Words,
    conflict,
)
from componentrun.registry.settings import RegistrySettings
from componentrun.storage.store.settings import StoreTimeouts
from componentrun.wire import loaderaccess

if TYPE_CHECKING:
    from pydantic import ValidationInfo

__all__ = ["MOST_SHARDS", "OPERATOR_TIMEOUTS", "LoaderSettings", "Settings"]

_DAY: Final = 24 * 3600
MOST_SHARDS: Final = 64
"""Each shard receives the events of all namespaces, so more of them gain nothing (docs/scaling.md)."""
_WHOLE_REQUEST: Final = 6
"""Maximum duration of a whole request, as a multiple of the response timeout: a plan of some MiB arrives in pieces."""
OPERATOR_TIMEOUTS: Final = StoreTimeouts(connect=3.0, response=10.0, request=60.0)
"""The operator reads and writes only small objects. A store that needs longer counts as not responding."""


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """How to connect to the loader."""

    url: str
    """URL without a path: `https://componentrun-loader.componentrun-system.svc:8443`."""
    token_file: str = loaderaccess.TOKEN_FILE
    authority_file: str = loaderaccess.AUTHORITY_FILE
    """File with the certificates of the authority that signs the loader's certificate."""
    load_seconds: float = 1800
    """Timeout of a load in seconds, including the time that it waits for its turn."""
    answer_seconds: float = 120
    """Timeout of all other requests in seconds, including the time that they wait for their turn."""


def _quantity(text: str) -> str:
    quantity_value(text)
    return text


def _registry(text: str) -> str:
    try:
        return normal_prefix(text)
    except UserError as error:
        raise ValueError(error.summary) from error


def _remote_builder(text: str) -> RemoteBuilder:
    namespace, _, client = text.partition("=")
    return RemoteBuilder(namespace, *client.split("@"))


_LIMITS: Final = Limits()
_POD: Final = PodSettings()
_LOADER: Final = LoaderSettings("")
_BUILDS: Final = BuildSettings()
_Limit = Annotated[Seconds, Field(ge=0, le=7 * _DAY)]
_StoreTimeout = Annotated[Seconds, Field(ge=1, le=600)]
_Quantity = Annotated[str, AfterValidator(_quantity), Expected("a number with a unit such as `500m`, `2` or `256Mi`")]
_ImageReference = Annotated[
    str,
    StringConstraints(pattern=r"^\S+$"),
    Expected("an image reference such as `registry.example.com/componentrun/agent:0.1.0`"),
]
_PodPart = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[^_\s]+$")] | None,
    Expected("the name or the uid of the process's own pod"),
]
_NamespacedName = Annotated[str, StringConstraints(pattern=f"^{DNS_LABEL.pattern}/{DNS_LABEL.pattern}$")]
_HttpsUrl = Annotated[
    str, StringConstraints(pattern=r"^https://[^/\s@]+/?$"), AfterValidator(lambda url: url.rstrip("/"))
]


_BUILDER: Final = r"^[a-z0-9-]+=[a-z0-9.-]+@[a-z0-9.-]+:[0-9]+$"


class Settings(ProcessSettings):
    """All settings of the operator."""

    owner: ClassVar[str] = "the operator"
    section: ClassVar[str] = "operator"

    agent_image: Annotated[_ImageReference, Chart("image")]
    """Image of stage-in and stage-out, with tag or digest."""
    agent_cpu_request: Annotated[_Quantity, Chart("agents.resources.requests.cpu")] = _POD.agent_cpu_request
    agent_memory_request: Annotated[_Quantity, Chart("agents.resources.requests.memory")] = _POD.agent_memory_request
    agent_memory_limit: Annotated[_Quantity, Chart("agents.resources.limits.memory")] = _POD.agent_memory_limit
    agent_pull_secrets: Annotated[tuple[str, ...], *Words, Chart("imagePullSecrets")] = _POD.agent_pull_secrets
    stack_id: Annotated[str, StringConstraints(pattern=r"^\S+$"), Expected("a word"), Chart("stackId")] = _POD.stack_id
    operator_name: Annotated[
        DnsLabel | None,
        Expected("a label value of lower case letters, digits and `-`, such as `canary`"),
        Chart("operatorName"),
    ] = None
    """Value of the label `componentrun.dev/operator` on this operator's runs; None: runs without the label."""
    workers: Annotated[int, Field(ge=1, le=512), Chart("operator.workers")] = 64
    """Runs that are reconciled concurrently, most of which wait for the API server; one namespace gets at most half.
    In addition, each Storage has half as many slots for operations on its store."""
    max_running: Annotated[int, Field(ge=0, le=100_000), Chart("operator.maxRunning")] = 0
    """Maximum number of runs of a namespace that have a pod, unless its Storage sets one; 0: no limit."""
    unread_pods: Annotated[int, Field(ge=0, le=100_000), Chart("operator.limits.unreadPods")] = DEFAULT_MOST
    """Maximum number of finished pods on a node that are kept until the collector has read their last lines. All shards
    together, each of which keeps its share."""
    resync_seconds: Annotated[Seconds, Field(ge=1, le=7 * _DAY), Chart("operator.resync")] = 300
    """Full resync interval, to recover from missed watch events."""
    dns_cidrs: Annotated[
        tuple[Cidr, ...],
        *Words,
        Expected("address blocks such as `169.254.20.10/32` separated by commas"),
        Chart("operator.dnsCidrs"),
    ] = ()
    """CIDRs that pods may send DNS queries to, besides the cluster's own DNS pods (node-local caches)."""

    operator_shards: Annotated[int, Field(ge=1, le=MOST_SHARDS), Chart("operator.shards")] = 1
    """Number of operators that divide the namespaces among themselves."""
    operator_shard: Annotated[int, Field(ge=0, le=MOST_SHARDS - 1)] = 0
    """Number of this operator among them, from 0."""
    lease: Annotated[_NamespacedName | None, Expected("the Lease as `namespace/name`")] = None
    """The Lease for leader election, in the namespace of this process's pod; None: there is only one operator. With
    several shards, the name is what the names of their Leases begin with."""
    lease_seconds: Annotated[Seconds, Field(ge=6, le=600)] = DEFAULT_SECONDS
    """Seconds that candidates wait after the last renewal."""
    pod_name: _PodPart = None
    pod_uid: _PodPart = None

    store_connect_seconds: Annotated[_StoreTimeout, Chart("operator.store.connectTimeout")] = OPERATOR_TIMEOUTS.connect
    store_response_seconds: Annotated[_StoreTimeout, Chart("operator.store.responseTimeout")] = (
        OPERATOR_TIMEOUTS.response
    )

    upload_seconds: Annotated[Seconds, Field(ge=2, le=_DAY), Chart("operator.uploadTimeout")] = _POD.upload_seconds
    """Timeout of stage-out: the pod's termination grace period."""

    allowed_registries: Annotated[
        tuple[Annotated[str, AfterValidator(_registry)], ...],
        *Words,
        Expected("registries such as `registry.example.com` or `registry.example.com/team`, separated by commas"),
        Chart("operator.allowedRegistries"),
    ] = ()
    """Registries that images of components may come from, each with the first parts of a path; empty: all."""
    registry_plain_http: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[^\s/]+$", to_lower=True)], ...],
        *Words,
        Expected("hosts such as `registry.example.com:5000`, separated by commas"),
        Chart("operator.registries.plainHttp"),
    ] = ()
    """Registries that the operator reaches over HTTP without TLS."""
    registry_ca_bundle: Annotated[str | None, Chart("operator.registries.caBundle")] = None
    """Certificate authorities, as PEM text, that it trusts for registries in addition to those of its image."""
    registry_architectures: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")], ...],
        *Words,
        Expected("architectures such as `amd64` or `arm64`, separated by commas"),
        Chart("operator.registries.architectures"),
    ] = ()
    """Architectures of the cluster's nodes. An image must exist for at least one of them; empty: not checked."""
    registry_tag_check_seconds: Annotated[
        Seconds, Field(ge=0, le=7 * _DAY), Chart("operator.registries.tagCheckInterval")
    ] = 3600
    """How often each tag of a pinned channel is looked up, to report if it has moved; 0: never."""

    pre_pull: Annotated[bool, Chart("operator.prePull.enabled")] = False
    """Whether images of channels with `prePull` are brought to nodes, by DaemonSets."""
    pre_pull_namespace: DnsLabel | None = None
    """Namespace for the DaemonSets of ClusterComponents."""

    builds_namespace: Annotated[DnsLabel | None, Chart("builds.namespace")] = None
    """Namespace of the pods that build images. No tenant may have rights in it."""
    builds_repository: Annotated[
        Annotated[str, AfterValidator(_registry), StringConstraints(pattern="/")] | None,
        Expected("a registry with the first parts of a path, such as `registry.example.com/builds`"),
        Chart("builds.repository"),
    ] = None
    """What the names of the repositories of built images begin with; followed by namespace and Component."""
    builds: Annotated[bool, Chart("builds.enabled")] = _BUILDS.is_enabled
    """Whether images of channels with `build` are built."""
    builds_push_secret: Annotated[str | None, Chart("builds.pushSecret")] = _BUILDS.push_secret
    """Secret in the builds' namespace with the login that may push images; None: none is needed."""
    builds_builder_image: _ImageReference | None = None
    """Image of the steps before and after the commands of a build; None: that of the agents."""
    builds_dockerfile_image: _ImageReference | None = None
    """Image with BuildKit for Dockerfiles; None: they are not built."""
    builds_dockerfile_seccomp: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*$")],
        Expected("`Unconfined`, or the path of a profile such as `componentrun/buildkit.json`"),
        Chart("builds.dockerfile.seccompProfile"),
    ] = _BUILDS.seccomp_profile
    """Profile of seccomp of the container of BuildKit."""
    builds_dockerfile_builders: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=_BUILDER)], ...],
        *Words,
        Expected("builders such as `<namespace>=<secret>@<host>:<port>`, separated by commas"),
        Chart("builds.dockerfile.builders"),
    ] = ()
    """BuildKits that stay, each for the Dockerfiles of a namespace, with the Secret of its clients' certificate."""
    builds_git_hosts: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^[^\s/@]+$", to_lower=True)], ...],
        *Words,
        Expected("hosts such as `git.example.com` or `git.example.com:8443`, separated by commas"),
        Chart("builds.gitHosts"),
    ] = _BUILDS.git_hosts
    """Hosts that repositories may be on; empty: all."""
    builds_platform: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z0-9]+/[a-z0-9]+$"),
        Expected("an operating system and an architecture such as `linux/amd64`"),
        Chart("builds.platform"),
    ] = _BUILDS.platform
    """Platform of built images."""
    builds_cpu: Annotated[_Quantity, Chart("builds.resources.cpu")] = _BUILDS.cpu_limit
    builds_memory: Annotated[_Quantity, Chart("builds.resources.memory")] = _BUILDS.memory_limit
    builds_disk: Annotated[_Quantity, Chart("builds.resources.disk")] = _BUILDS.disk_limit

    # See `Limits` for the meaning of each: <field>_seconds.
    pending_seconds: Annotated[_Limit, Chart("operator.limits.pending")] = _LIMITS.pending
    image_pull_seconds: Annotated[_Limit, Chart("operator.limits.imagePull")] = _LIMITS.image_pull
    stop_grace_seconds: Annotated[_Limit, Chart("operator.limits.stopGrace")] = _LIMITS.stop_grace
    stop_upload_seconds: Annotated[_Limit, Chart("operator.limits.stopUpload")] = _LIMITS.stop_upload
    events_wait_seconds: Annotated[_Limit, Chart("operator.limits.eventsWait")] = _LIMITS.events_wait
    start_retry_seconds: Annotated[_Limit, Chart("operator.limits.startRetry")] = _LIMITS.start_retry
    stage_in_seconds: Annotated[Seconds, Field(ge=1, le=7 * _DAY), Chart("operator.limits.stageIn")] = _LIMITS.stage_in
    pod_missing_seconds: _Limit = _LIMITS.pod_missing
    node_lost_seconds: Annotated[_Limit, Chart("operator.limits.nodeLost")] = _LIMITS.node_lost
    publish_retry_seconds: Annotated[_Limit, Chart("operator.limits.publishRetry")] = _LIMITS.publish_retry

    loader_url: Annotated[
        _HttpsUrl | None,
        Expected("a URL without a path such as `https://componentrun-loader.componentrun-system.svc:8443`"),
    ] = None
    """The loader, which reads and writes the tables of catalogs; None: it is not installed."""
    loader_token_file: str = _LOADER.token_file
    loader_ca_file: str = _LOADER.authority_file
    loader_load_seconds: Annotated[Seconds, Field(ge=1, le=_DAY), Chart("loader.loadTimeout")] = _LOADER.load_seconds
    loader_answer_seconds: Annotated[_StoreTimeout, Chart("loader.answerTimeout")] = _LOADER.answer_seconds

    @property
    def limits(self) -> Limits:
        """Time limits of a run."""
        return Limits(**{field.name: getattr(self, f"{field.name}_seconds") for field in fields(Limits)})

    @property
    def pod(self) -> PodSettings:
        """Settings for every pod of a run."""
        return PodSettings(
            upload_seconds=int(self.upload_seconds),
            stage_in_seconds=int(self.stage_in_seconds),
            agent_cpu_request=self.agent_cpu_request,
            agent_memory_request=self.agent_memory_request,
            agent_memory_limit=self.agent_memory_limit,
            stack_id=self.stack_id,
            agent_pull_secrets=self.agent_pull_secrets,
        )

    @property
    def images(self) -> ImageSettings:
        """Settings for images of Components with channels."""
        architectures = frozenset(self.registry_architectures)
        return ImageSettings(self.allowed_registries, architectures)

    @property
    def pre_pulls(self) -> PrePullSettings:
        """How images are brought to nodes."""
        return PrePullSettings(self.pre_pull, self.pre_pull_namespace, self.agent_image, self.agent_pull_secrets)

    @property
    def image_builds(self) -> BuildSettings:
        """Where images are built and pushed to, and what a build may use."""
        return BuildSettings(
            is_enabled=self.builds,
            namespace=self.builds_namespace or "",
            repository=self.builds_repository or "",
            push_secret=self.builds_push_secret,
            builder_image=self.builds_builder_image or self.agent_image,
            builder_pull_secrets=self.agent_pull_secrets,
            git_hosts=self.builds_git_hosts,
            dockerfile_image=self.builds_dockerfile_image or "",
            seccomp_profile=self.builds_dockerfile_seccomp,
            remote_builders=tuple(map(_remote_builder, self.builds_dockerfile_builders)),
            platform=self.builds_platform,
            cpu_limit=self.builds_cpu,
            memory_limit=self.builds_memory,
            disk_limit=self.builds_disk,
            plain_http=self.registry_plain_http,
            ca_bundle=self.registry_ca_bundle,
        )

    @property
    def registries(self) -> RegistrySettings:
        """How to reach registries."""
        return RegistrySettings(frozenset(self.registry_plain_http), self.registry_ca_bundle)

    @property
    def shard(self) -> Shard:
        """The namespaces that this operator owns."""
        return Shard(self.operator_shard, self.operator_shards)

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """Namespaces to list and watch; empty: all of them.

        The API server can't select namespaces by their hash. So a shard watches all namespaces and drops what it does
        not own, unless the namespaces are listed. If none of these is its own, it watches all of them as well.
        """
        return tuple(filter(self.shard.owns, self.namespaces)) or self.namespaces

    @property
    def leader_election(self) -> LeaseSettings | None:
        """Settings of leader election; None: this is the only operator."""
        if self.lease is None:
            return None
        namespace, _, name = self.lease.partition("/")
        pod = HolderPod(self.pod_name, self.pod_uid) if self.pod_name and self.pod_uid else None
        return LeaseSettings(namespace, name, self.lease_seconds, pod, self.shard)

    @property
    def store_timeouts(self) -> StoreTimeouts:
        """Timeouts of requests to an object store."""
        response = self.store_response_seconds
        return StoreTimeouts(self.store_connect_seconds, response, _WHOLE_REQUEST * response)

    @property
    def loader(self) -> LoaderSettings | None:
        """How to connect to the loader; None: it is not installed."""
        if self.loader_url is None:
            return None
        return LoaderSettings(
            self.loader_url,
            self.loader_token_file,
            self.loader_ca_file,
            self.loader_load_seconds,
            self.loader_answer_seconds,
        )

    @field_validator("operator_shard")
    @classmethod
    def _is_one_of_the_shards(cls, shard: int, info: ValidationInfo) -> int:
        shards = info.data.get("operator_shards")
        if shards is not None and shard >= shards:
            raise conflict(f"less than COMPONENTRUN_OPERATOR_SHARDS ({shards})")
        return shard

    @field_validator("builds")
    @classmethod
    def _has_a_place(cls, builds: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic passes it so
        wanted = ("builds_namespace", "builds_repository")
        # One that is invalid is not in the data, and reported by itself.
        missing = [f"{PREFIX}{name.upper()}" for name in wanted if info.data.get(name, "") is None]
        if builds and missing:
            raise conflict(f"`false`, because {' and '.join(missing)} must be set if images are built")
        return builds

    @field_validator("lease")
    @classmethod
    def _is_required_by_several_shards(cls, lease: str | None, info: ValidationInfo) -> str | None:
        if lease is None and info.data.get("operator_shards", 1) > 1:
            raise conflict("the Lease as `namespace/name`, as COMPONENTRUN_OPERATOR_SHARDS is more than 1")
        return lease
