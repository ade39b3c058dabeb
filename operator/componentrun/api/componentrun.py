"""`ComponentRun`: one run of a component. Written by orchestrators and people; its status by the operator."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from componentrun import contract
from componentrun.api.common import (
    ApiModel,
    Condition,
    Duration,
    Labels,
    LocalName,
    ObjectMeta,
    Policy,
    SecretKeyRef,
    StatusModel,
)
from componentrun.api.component import Network, Resources, Size
from componentrun.api.files import FilesStatus, InputFile, OutputFileMapping
from componentrun.api.retry import Retry
from componentrun.api.tables import InputTable, OutputTableMapping
from componentrun.wire.secretpaths import PATTERN as SECRET_PATH

__all__ = [
    "Attempt",
    "ComponentRun",
    "ComponentRunSpec",
    "ComponentRunStatus",
    "Concurrency",
    "ConfigMapKeyRef",
    "Configuration",
    "EventsStatus",
    "Input",
    "Output",
    "ParametersFrom",
    "Phase",
    "PodTemplate",
    "QueueStatus",
    "SecretValue",
    "TableStatus",
    "Termination",
    "WaitingFor",
]

Phase = Literal[
    "Queued", "Suspended", "Pending", "StagingIn", "Running", "StagingOut", "Publishing",
    "Succeeded", "Failed", "Cancelled",
]  # fmt: skip
WaitingFor = Literal["ConcurrencyGroup", "MaxRunning", "ResourceQuota", "SchedulingGates"]
Argument = Annotated[str, Field(max_length=4096)]
BucketText = Annotated[str, Field(pattern=r"^(in|out)\.[A-Za-z0-9_-]+$", max_length=100)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$", max_length=63)]


class SecretValue(ApiModel):
    """One secret parameter: put into config.json inside the pod, and nowhere else."""

    path: Annotated[str, Field(pattern=SECRET_PATH, max_length=512)]
    """Where it goes below `parameters`, e.g. `db.#password`; items of lists by their index. In a key, a dot is written
    `\\.`."""
    secret_key_ref: SecretKeyRef
    """Where the value is."""


class ConfigMapKeyRef(ApiModel):
    """One key of a ConfigMap of the same namespace."""

    name: LocalName
    """Name of the ConfigMap."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """Key in `data` or `binaryData`."""


class ParametersFrom(ApiModel):
    """Source of parameters that are not part of the run."""

    config_map_key_ref: ConfigMapKeyRef
    """Key of a ConfigMap. Its value is a JSON object as text; in `binaryData` it may be compressed with gzip."""


class Configuration(ApiModel):
    """What the component is told to do."""

    id: Identifier | None = None
    """Identifier of the configuration in the system that created the run."""
    version: Annotated[str, Field(max_length=63)] | None = None
    """Version of the configuration."""
    row: Identifier | None = None
    """Identifier of the configuration's row."""
    branch: Identifier | None = None
    """Branch of the configuration; `default` where not given."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Any JSON object; the component reads it as `parameters` in config.json. Kubernetes sorts its keys and rewrites
    its numbers; use `parametersText` to keep both. At most one of `parameters`, `parametersText` and `parametersFrom`
    may be given."""
    parameters_text: Annotated[str, Field(min_length=2, max_length=contract.MAX_PARAMETERS_TEXT)] | None = None
    """A JSON object as text. It becomes `parameters` in config.json unchanged: key order, number format and white space
    are kept."""
    parameters_from: ParametersFrom | None = None
    """Source of the text of `parameters`, read when an attempt starts. Use it for parameters that are too large for the
    run."""
    secrets: Annotated[tuple[SecretValue, ...], Field(max_length=64)] = ()
    """Values from Secrets to put among the parameters."""
    image_parameters: dict[str, Any] = Field(default_factory=dict)
    """Any JSON object; the component finds it as `image_parameters` in config.json."""


class Input(ApiModel):
    """What is put into the data folder."""

    tables: Annotated[tuple[InputTable, ...], Field(max_length=1000)] = ()
    """Tables to read."""
    files: Annotated[tuple[InputFile, ...], Field(max_length=100)] = ()
    """Files to read; each is put into /data/in/files under its id and its name."""


class Output(ApiModel):
    """What is taken from the data folder."""

    tables: Annotated[tuple[OutputTableMapping, ...], Field(max_length=1000)] = ()
    """Tables to publish. A file that is named here and missing is an error, unless it is optional."""
    files: Annotated[tuple[OutputFileMapping, ...], Field(max_length=100)] = ()
    """Tags and permanence of files to publish. Files that are not named here are published, too."""
    default_bucket: BucketText | None = None
    """Bucket for files that neither this mapping nor their manifest places, e.g. `out.c-main`."""


class Toleration(ApiModel):
    """Toleration: a taint that the pod tolerates."""

    key: Annotated[str, Field(max_length=316)] | None = None
    """Taint key. Defaults to every key."""
    operator: Literal["Exists", "Equal"] | None = None
    """How to compare; Equal where not given."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Taint value to match."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect to match. Defaults to every effect."""
    toleration_seconds: int | None = None
    """How long, in seconds, a NoExecute taint is tolerated. Defaults to no limit."""


class LocalObjectReference(ApiModel):
    """Names an object of the same namespace."""

    name: LocalName
    """Its name."""


class PodTemplate(ApiModel):
    """What the run's pod carries besides what ComponentRun puts there. Security settings can't be changed here."""

    labels: Labels | None = None
    """Labels of the pod; those of ComponentRun win."""
    annotations: Labels | None = None
    """Annotations of the pod."""
    node_selector: Labels | None = None
    """Labels that the node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] | None = None
    """Taints that the pod accepts."""
    affinity: dict[str, Any] | None = None
    """Affinity of the pod, as in a pod's spec."""
    runtime_class_name: LocalName | None = None
    """Runtime class, e.g. for a sandboxed runtime."""
    image_pull_secrets: Annotated[tuple[LocalObjectReference, ...], Field(max_length=8)] | None = None
    """Secrets to log in at the component's registry with."""


class Concurrency(ApiModel):
    """Which other runs a run minds, and what it does about them."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_./@-]*[A-Za-z0-9])?$", max_length=253)] | None = None
    """Of one group in a namespace, one run runs at a time (or as many as the Component's `parallelism` says). Where not
    given: the component with the configuration's id, row and branch; without an id, the run is in no group."""
    policy: Policy | None = None
    """What to do when others of the group are there: `Queue` waits for them, `Forbid` ends at once, `Replace` ends them
    and runs instead, `Allow` is in no group. The Component's where not given, else `Queue`."""


class ComponentRunSpec(ApiModel):
    """What to run, on what, within which limits. Fixed once created but for `suspend`, `cancel` and times to live."""

    component: LocalName | None = None
    """Component to run. Either this or `image`."""
    image: Annotated[str, Field(min_length=1, max_length=640)] | None = None
    """Image to run, with tag or digest. Either this or `component`."""
    tag: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = None
    """Tag of the component's image; the Component's own where not given."""
    command: Annotated[tuple[Argument, ...], Field(max_length=64)] | None = None
    """Replaces the entrypoint of `image`."""
    args: Annotated[tuple[Argument, ...], Field(max_length=64)] | None = None
    """Replaces the arguments of `image`."""
    action: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=63)] = contract.DEFAULT_ACTION
    """What the component is asked to do; it finds the word in config.json."""
    configuration: Configuration = Field(default_factory=Configuration)
    """What the component is told."""
    storage: LocalName | None = None
    """Storage to use; the namespace's default one where not given."""
    input: Input = Field(default_factory=Input)
    """What goes in."""
    output: Output = Field(default_factory=Output)
    """What comes out."""
    size: Size | None = None
    """Named size: 1, 2, 4 or 14 CPUs, and 0.5, 1, 2 or 7.1 times the Component's memory."""
    resources: Resources | None = None
    """CPU and memory; the Component's where not given. Not together with `size`."""
    timeout: Duration | None = None
    """How long the component may run; the Component's where not given."""
    retry: Retry | None = None
    """When another attempt follows one that failed; the Component's where not given."""
    network: Network | None = None
    """What the pod may reach; the Component's where not given, and never more than the Component allows."""
    concurrency: Concurrency | None = None
    """Which other runs it minds; where not given, those of the same configuration, which it waits for."""
    priority_class_name: LocalName | None = None
    """Priority class of the pod."""
    suspend: bool = False
    """Hold the run back; it starts when this is taken away. Refused once the run has started."""
    cancel: bool = False
    """Stop the run. Its tables are not published. Can't be taken back."""
    ttl_after_finished: Duration | None = None
    """Delete the run, and what is left of its pods, this long after its end; kept where not given."""
    pod_ttl_after_finished: Duration | None = None
    """Keep the last attempt's pod this long after the run's end, to look at it; where not given, it goes as soon as its
    events are delivered. A pod that had not ended goes at once in any case."""
    pod_template: PodTemplate | None = None
    """What the run's pod carries besides."""


class Attempt(StatusModel):
    """One pod that was made for the run."""

    number: int
    """1 for the first."""
    pod: str
    """Name of the pod."""
    pod_uid: str | None = Field(None, alias="podUID")
    """Its uid; not set until it was created."""
    node: str | None = None
    """Node it ran on."""
    start_time: datetime
    """When the attempt began."""
    completion_time: datetime | None = None
    """When it ended."""
    reason: str | None = None
    """How it ended."""
    message: str | None = None
    """How it ended, for people."""
    exit_code: int | None = None
    """Exit code of the component."""


class Termination(StatusModel):
    """The decision to stop the attempt, written down before anything is done about it."""

    reason: str
    """`Timeout`, `Cancelled`, `Replaced`, or why there is no point in waiting for the start any longer."""
    message: str
    """Why, for people."""
    time: datetime
    """When it was decided."""


class TableStatus(StatusModel):
    """One table that went in or came out."""

    table: str
    """Table id or object key."""
    rows: int | None = None
    """Rows, where known."""
    bytes: int | None = None
    """Bytes, without the header line."""


class PhaseTime(StatusModel):
    """When a phase began."""

    phase: Phase
    """Phase."""
    start_time: datetime
    """Its begin, with microseconds."""


class QueueStatus(StatusModel):
    """What a run in phase Queued waits for."""

    waiting_for: WaitingFor
    """`ConcurrencyGroup`: others of its group. `MaxRunning`: the namespace's limit. `ResourceQuota`: room in a quota.
    `SchedulingGates`: whoever set gates on its pod, such as Kueue."""
    position: int | None = None
    """Its place in line, 1 for the next one; as it was told last. The first four are told within some seconds."""
    group: str | None = None
    """Its concurrency group."""
    number: int | None = None
    """Tells the order of runs that were created within the same second."""
    updated: datetime
    """When this was written."""


class EventsStatus(StatusModel):
    """What the collector has delivered; written by the collector alone."""

    count: int = 0
    """Events written to Storage so far."""
    attempts: int = 0
    """Attempts, counted from the first, of which every line is in Storage while the run goes on."""
    delivered: bool = False
    """Whether every line of every container of every attempt is in Storage."""
    message: str = ""
    """Set where something could not be delivered."""
    last_words: str | None = None
    """The end of what the component of the last attempt printed, if its node kept none of it or less than this."""


class ComponentRunStatus(StatusModel):
    """What became of the run."""

    phase: Phase | None = None
    """Where the run is, for people; scripts should read the conditions."""
    result: Literal["Success", "Warning", "Error"] | None = None
    """How it ended; Warning where it succeeded with something that a person should see."""
    reason: str | None = None
    """Reason of the condition Succeeded, for the printer column."""
    message: str | None = None
    """Message of the condition Succeeded."""
    observed_generation: int | None = None
    """The metadata.generation that the status is about."""
    conditions: tuple[Condition, ...] = ()
    """Succeeded, StagedIn, Published, EventsDelivered."""
    attempts: tuple[Attempt, ...] = ()
    """Pods that were made for the run."""
    next_attempt_time: datetime | None = None
    """When the next attempt begins; set while the run waits for that."""
    retry: Retry | None = None
    """What decides about another attempt, where the run or its Component says so."""
    start_time: datetime | None = None
    """When the first attempt began."""
    completion_time: datetime | None = None
    """When the run ended."""
    exit_code: int | None = None
    """Exit code of the component."""
    last_words: str | None = None
    """The end of what the component printed, if it failed: at most 4,000 characters."""
    result_message: str | None = None
    """What the component said in out/result.json."""
    image: str | None = None
    """Image that ran."""
    image_digest: str | None = Field(None, alias="imageID")
    """Digest of the image that ran."""
    storage: str | None = None
    """Storage in use."""
    queue: QueueStatus | None = None
    """What it waits for; only in phase Queued."""
    termination: Termination | None = None
    """Set where the last attempt was stopped."""
    input_tables: tuple[TableStatus, ...] | None = None
    """Tables that went in."""
    output_tables: tuple[TableStatus, ...] | None = None
    """Tables that were published."""
    input_files: FilesStatus | None = None
    """Files that went in."""
    output_files: FilesStatus | None = None
    """Files that were published."""
    warnings: tuple[str, ...] | None = None
    """What a person should see though the run succeeded."""
    phases: tuple[PhaseTime, ...] = ()
    """When each phase began. Another operator that goes on with the publishing adds the phase Publishing again."""
    events: EventsStatus | None = None
    """What the collector has delivered."""


class ComponentRun(ApiModel):
    """One run of a component: tables in, a container, tables out."""

    KIND: ClassVar = "ComponentRun"
    PLURAL: ClassVar = "componentruns"

    metadata: ObjectMeta
    spec: ComponentRunSpec
    status: ComponentRunStatus = Field(default_factory=ComponentRunStatus)
