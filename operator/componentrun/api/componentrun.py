"""`ComponentRun`: one run of a component. Orchestrators and people write the spec, the operator the status."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from componentrun import contract
from componentrun.api.channels import ChannelName, ImageResolution
from componentrun.api.common import (
    ApiModel,
    Condition,
    Duration,
    LocalName,
    ObjectMeta,
    Policy,
    StatusModel,
)
from componentrun.api.component import Network, Resources, Size
from componentrun.api.mapping.files import FilesStatus, InputFile, OutputFileMapping
from componentrun.api.mapping.tables import InputTable, OutputTableMapping
from componentrun.api.processors import Processors, StepStatus
from componentrun.api.retry import Retry
from componentrun.api.run.configuration import Configuration
from componentrun.api.run.podtemplate import PodTemplate

__all__ = [
    "Attempt",
    "ComponentRun",
    "ComponentRunSpec",
    "ComponentRunStatus",
    "Concurrency",
    "EventsStatus",
    "Input",
    "Output",
    "Phase",
    "QueueStatus",
    "RunBuild",
    "TableStatus",
    "Termination",
    "WaitingFor",
]

Phase = Literal[
    "Queued", "Suspended", "Building", "Pending", "StagingIn", "Running", "StagingOut", "Publishing",
    "Succeeded", "Failed", "Cancelled",
]  # fmt: skip
WaitingFor = Literal["ConcurrencyGroup", "MaxRunning", "ResourceQuota", "SchedulingGates"]
Argument = Annotated[str, Field(max_length=4096)]
BucketText = Annotated[str, Field(pattern=r"^(in|out)\.[A-Za-z0-9_-]+$", max_length=100)]


class Input(ApiModel):
    """Tables and files to place in the data folder."""

    tables: Annotated[tuple[InputTable, ...], Field(max_length=1000)] = ()
    """Tables to read."""
    files: Annotated[tuple[InputFile, ...], Field(max_length=100)] = ()
    """Files to read. Each is placed in /data/in/files, named `<id>_<name>`."""


class Output(ApiModel):
    """Tables and files to publish from the data folder."""

    tables: Annotated[tuple[OutputTableMapping, ...], Field(max_length=1000)] = ()
    """Tables to publish. A missing source file is an error unless the table is optional."""
    files: Annotated[tuple[OutputFileMapping, ...], Field(max_length=100)] = ()
    """Tags and retention of files to publish. Files that match no entry are published as their manifests say."""
    default_bucket: BucketText | None = None
    """Bucket for tables that have no destination in this mapping or in their manifest, e.g. `out.c-main`. Defaults to
    none: such files are skipped with a warning."""


class Concurrency(ApiModel):
    """Concurrency group of the run, and its policy towards other runs of the group."""

    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_./@-]*[A-Za-z0-9])?$", max_length=253)] | None = None
    """Concurrency group. In a namespace, one run of a group runs at a time, or as many as the Component's `parallelism`
    allows. Defaults to the component with the configuration's id, row and branch; without a configuration id, the run
    belongs to no group."""
    policy: Policy | None = None
    """What to do if other runs of the group exist: `Queue` waits for them, `Forbid` fails at once, `Replace` stops them
    and takes their place, `Allow` ignores them. Defaults to the Component's policy, or `Queue`."""


class ComponentRunSpec(ApiModel):
    """What to run, its input, output and limits. Immutable except `suspend`, `cancel` and the times to live."""

    component: LocalName | None = None
    """Component to run. Exactly one of `component` and `image` must be set."""
    image: Annotated[str, Field(min_length=1, max_length=640)] | None = None
    """Image to run, with tag or digest. Exactly one of `component` and `image` must be set."""
    tag: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = None
    """Tag of the image. Defaults to the Component's `tag`. If the Component has channels, the tag must be that of a
    channel, or a version in the range of one."""
    channel: ChannelName | None = None
    """Channel of the Component. Defaults to the Component's `defaultChannel`. At most one of `channel` and `tag` may be
    set."""
    command: Annotated[tuple[Argument, ...], Field(max_length=64)] | None = None
    """Entrypoint of the container, if `image` is set. Defaults to the image's own."""
    args: Annotated[tuple[Argument, ...], Field(max_length=64)] | None = None
    """Arguments of the entrypoint, if `image` is set. Defaults to the image's own."""
    action: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=63)] = contract.DEFAULT_ACTION
    """Action that the component should perform. It reads the name from config.json."""
    configuration: Configuration = Field(default_factory=Configuration)
    """Parameters, secrets and identity of the configuration."""
    storage: LocalName | None = None
    """Storage to use. Defaults to the namespace's default Storage."""
    input: Input = Field(default_factory=Input)
    """Tables and files that the component reads."""
    output: Output = Field(default_factory=Output)
    """Tables and files that are published."""
    processors: Processors | None = None
    """Processors that run before and after the component, if the action is `run`. Replaces the Component's `processors`
    as a whole; `{}` means none."""
    size: Size | None = None
    """Named size: 1, 2, 4 or 14 CPUs, and 0.5, 1, 2 or 7.1 times the Component's memory."""
    resources: Resources | None = None
    """CPU, memory and ephemeral storage. Defaults to the Component's. At most one of `size` and `resources` may be
    set."""
    timeout: Duration | None = None
    """Maximum run time of the component, e.g. `15m`. Defaults to the Component's; maximum `24h`."""
    retry: Retry | None = None
    """When a failed attempt is followed by another one. Defaults to the Component's."""
    network: Network | None = None
    """Network access of the pod. Defaults to the Component's, and must not exceed it."""
    concurrency: Concurrency | None = None
    """Concurrency group and policy. By default, a run waits for other runs of the same configuration."""
    priority_class_name: LocalName | None = None
    """PriorityClass of the pod."""
    suspend: bool = False
    """Whether the run is held back. It starts when this is set to false. Can't be set once the run has started."""
    cancel: bool = False
    """Stops the run; its tables are not published. Can't be unset."""
    ttl_after_finished: Duration | None = None
    """How long after its end the run is deleted, with its remaining pods, e.g. `24h`. Defaults to never."""
    pod_ttl_after_finished: Duration | None = None
    """How long the last attempt's pod is kept after the run's end, for debugging, e.g. `1h`. By default, it is deleted
    as soon as its events are delivered. A pod that is still running is always deleted at once."""
    pod_template: PodTemplate | None = None
    """Labels, annotations and scheduling of the run's pod."""


class Attempt(StatusModel):
    """One attempt: a pod that was created for the run."""

    number: int
    """Number of the attempt, starting at 1."""
    pod: str
    """Name of the pod."""
    pod_uid: str | None = Field(None, alias="podUID")
    """UID of the pod. Not set until the pod was created."""
    node: str | None = None
    """Node that the pod was bound to."""
    start_time: datetime
    """When the attempt started."""
    completion_time: datetime | None = None
    """When the attempt ended."""
    reason: str | None = None
    """Why the attempt ended, as one word."""
    message: str | None = None
    """How it ended and what to do about it; at most 500 characters."""
    advice: str | None = None
    """What to do about it: the end of the message. Not set if there is nothing to do."""
    exit_code: int | None = None
    """Exit code of the component."""


class Termination(StatusModel):
    """The decision to stop the attempt. It is recorded before the pod is deleted."""

    reason: str
    """`Timeout`, `Cancelled`, `Replaced`, or the reason why the pod can't start."""
    message: str
    """Why the attempt is stopped, and what to do about it."""
    advice: str | None = None
    """What to do about it: the end of the message. Not set if there is nothing to do."""
    time: datetime
    """When the decision was made."""


class TableStatus(StatusModel):
    """One table that was read or published."""

    table: str
    """Id of the table, or key of the object."""
    rows: int | None = None
    """Number of rows, if known."""
    bytes: int | None = None
    """Size in bytes, without the header line."""


class PhaseTime(StatusModel):
    """Start time of a phase."""

    phase: Phase
    """Name of the phase."""
    start_time: datetime
    """When the phase began. Phases of the pod begin at the time that its kubelet reported, in whole seconds."""


class QueueStatus(StatusModel):
    """What a run in phase Queued waits for."""

    waiting_for: WaitingFor
    """`ConcurrencyGroup`: other runs of its group. `MaxRunning`: the namespace's limit. `ResourceQuota`: capacity of a
    quota. `SchedulingGates`: a controller that set gates on its pod, such as Kueue."""
    position: int | None = None
    """Position in the queue when it was last updated; 1 is the next run. The first four positions are updated within 10
    s, others less often."""
    group: str | None = None
    """Concurrency group of the run."""
    number: int | None = None
    """Orders runs that were created within the same second."""
    updated: datetime
    """When this was last updated."""


class RunBuild(StatusModel):
    """The build of an image that a run waits for, or has waited for."""

    name: str
    """Name of the ComponentBuild."""
    component: str
    """Component whose image it builds: that of the run, or of a processor."""
    channel: str | None = None
    """Channel of the Component."""
    build_hash: str | None = None
    """Hash of the channel's `build`. If it has changed meanwhile, the run does not use the image."""


class EventsStatus(StatusModel):
    """Delivery of the run's events. Only the collector writes it."""

    count: int = 0
    """Number of events written to Storage so far."""
    attempts: int = 0
    """Number of attempts, from the first, whose lines are all in Storage. Updated while the run goes on."""
    builds: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    """Names of the ComponentBuilds that the run has waited for and whose lines are all in Storage."""
    delivered: bool = False
    """Whether every line of every container of every attempt is in Storage."""
    message: str = ""
    """Why events could not be delivered. Empty if all were."""
    last_words: str | None = None
    """The end of what the component of the last attempt printed, if its node kept none of it or less than this."""


class ComponentRunStatus(StatusModel):
    """Observed state of the run."""

    phase: Phase | None = None
    """Phase of the run, for people. Scripts should read the conditions. Short phases may be skipped; `phases` has all
    of them."""
    result: Literal["Success", "Warning", "Error"] | None = None
    """Result of the run. `Warning`: it succeeded, and `warnings` has something that a person should read."""
    reason: str | None = None
    """Reason of the condition `Succeeded`: one word from docs/reference/reasons.md."""
    message: str | None = None
    """Message of the condition `Succeeded`: what happened and what to do about it."""
    advice: str | None = None
    """What to do about it: the end of the message. Not set if there is nothing to do."""
    observed_generation: int | None = None
    """The `metadata.generation` that this status describes."""
    conditions: tuple[Condition, ...] = ()
    """Conditions: `Succeeded`, `StagedIn`, `Published`, `EventsDelivered`; and `Accepted`, if an operator did not
    understand the run."""
    attempts: tuple[Attempt, ...] = ()
    """Attempts so far, each with its pod."""
    next_attempt_time: datetime | None = None
    """When the next attempt starts. Set only while the run waits for it."""
    retry: Retry | None = None
    """Retry policy in effect. Not set if neither the run nor its Component has one."""
    start_time: datetime | None = None
    """When the first attempt started."""
    completion_time: datetime | None = None
    """When the run ended."""
    exit_code: int | None = None
    """Exit code of the component."""
    last_words: str | None = None
    """The end of what the component printed, if it failed: at most 4,000 characters."""
    result_message: str | None = None
    """Message that the component wrote to out/result.json."""
    image: str | None = None
    """Image of the component."""
    image_digest: str | None = Field(None, alias="imageID")
    """Digest of the image that the node ran."""
    image_resolution: ImageResolution | None = None
    """How the digest in `image` was found. Set only if the Component has channels."""
    steps: tuple[StepStatus, ...] | None = None
    """Steps of the last attempt, in order: the component and its processors. Not set if the run has no processors."""
    storage: str | None = None
    """Storage that the run uses."""
    queue: QueueStatus | None = None
    """What the run waits for. Set only in phase Queued."""
    build: RunBuild | None = None
    """The build that the run waits for, or has waited for. Not set if its image was there."""
    termination: Termination | None = None
    """Decision to stop the last attempt. Not set if it was not stopped."""
    input_tables: tuple[TableStatus, ...] | None = None
    """Tables that were read."""
    output_tables: tuple[TableStatus, ...] | None = None
    """Tables that were published."""
    input_files: FilesStatus | None = None
    """Files that were read."""
    output_files: FilesStatus | None = None
    """Files that were published."""
    warnings: tuple[str, ...] | None = None
    """Problems that did not fail the run but that a person should read."""
    phases: tuple[PhaseTime, ...] = ()
    """Start time of each phase. If another operator takes over publishing, the phase Publishing appears again."""
    events: EventsStatus | None = None
    """Delivery of the run's events."""


class ComponentRun(ApiModel):
    """One run of a component: tables in, a container, tables out."""

    KIND: ClassVar = "ComponentRun"
    PLURAL: ClassVar = "componentruns"

    metadata: ObjectMeta
    spec: ComponentRunSpec
    status: ComponentRunStatus = Field(default_factory=ComponentRunStatus)
