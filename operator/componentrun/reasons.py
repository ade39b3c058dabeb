"""The reasons of runs: what each one means, who acts, and what to do about it.

To add a reason, add a member to `Reason` with its meaning and a line to `GUIDANCE`, and return it where it is
recognised: `core/podstatus/diagnosis.py` for the end of a pod. `make generate` updates docs/reference/reasons.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["GUIDANCE", "RETRIED_BEFORE_START", "RETRIED_IF_NAMED", "Guidance", "Reason"]


class Reason(StrEnum):
    """Why a run is where it is. Do not rename: alerts and scripts match these words.

    The first group names states on the way, the second how a run ended.
    """

    # On the way
    QUEUED = "Queued"
    """The run was accepted and nothing was created for it yet."""
    BUILDING = "Building"
    """The image of the run is being built from a git repository."""
    SUSPENDED = "Suspended"
    """`spec.suspend` holds the run back before its start."""
    RETRYING = "Retrying"
    """An attempt has ended, and another one begins at `status.nextAttemptTime`."""
    PENDING = "Pending"
    """The pod exists and waits for a node, a volume or an image."""
    STAGING_IN = "StagingIn"
    """Input is being brought into the data folder."""
    RUNNING = "Running"
    """The component runs."""
    STAGING_OUT = "StagingOut"
    """The component has ended; its output is being uploaded."""
    PUBLISHING = "Publishing"
    """The output is complete in Storage; its tables are being switched over. A cancel comes too late now."""
    TERMINATING = "Terminating"
    """It was decided to stop the component (timeout or cancel); it may still end by itself within its grace."""
    UNSUPPORTED_VALUE = "UnsupportedValue"
    """The run, its Component or its Storage holds a value or a field that this release of the operator does not know.
    The operator leaves the run unchanged until a release that knows the value is installed."""

    # The end
    SUCCEEDED = "Succeeded"
    """The component ended with exit code 0 and its tables are published."""
    CANCELLED = "Cancelled"
    """`spec.cancel` was set, or the run was deleted while it ran."""
    REPLACED = "Replaced"
    """A newer run of the same concurrency group, with the policy Replace, took this one's place."""
    CONCURRENCY_FORBIDDEN = "ConcurrencyForbidden"
    """The run's policy is Forbid, and another run of its concurrency group was there before it."""
    USER_ERROR = "UserError"
    """The component ended with exit code 1: its own message says what its user should change."""
    APPLICATION_ERROR = "ApplicationError"
    """The component ended with exit code 2 or above, or by a signal: its developer should look."""
    OUT_OF_MEMORY = "OutOfMemory"
    """The kernel killed the component, or a child of it, for using more memory than its limit."""
    TIMEOUT = "Timeout"
    """The component ran longer than `spec.timeout`."""
    DISK_FULL = "DiskFull"
    """The data folder, or the container's own disk, grew beyond its size limit."""
    EVICTED = "Evicted"
    """The node ran short of something, was drained, or a pod of higher priority needed the room."""
    NODE_LOST = "NodeLost"
    """The node stopped responding, was shut down or taken away while the pod was on it."""
    POD_DELETED = "PodDeleted"
    """Somebody else deleted the pod."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """The component's image can't be pulled: wrong name, no such tag, no permission."""
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    """The component's image comes from a registry that the platform does not allow."""
    IMAGE_UNVERIFIED = "ImageUnverified"
    """The component's image has no signature that matches `spec.verify` of its Component."""
    REGISTRY_UNAVAILABLE = "RegistryUnavailable"
    """The registry of an image did not answer, or answered with errors for too long."""
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    """The git repository of the component can't be read: no such branch or folder, a refused login, a host that does
    not respond or has an unknown key."""
    PARENT_UNAVAILABLE = "ParentUnavailable"
    """The parent image of a build can't be read, or can't be a parent."""
    BUILD_FAILED = "BuildFailed"
    """The component's image can't be built from this commit: a command failed, or the repository has something that
    can't be in an image."""
    BUILD_TIMEOUT = "BuildTimeout"
    """The build of the component's image took longer than its timeout."""
    BUILD_OUT_OF_MEMORY = "BuildOutOfMemory"
    """The build of the component's image used more memory than its limit."""
    BUILD_DISK_FULL = "BuildDiskFull"
    """The build of the component's image wrote more than its limit."""
    BUILD_CANCELLED = "BuildCancelled"
    """The build of the component's image was cancelled."""
    BUILDER_UNAVAILABLE = "BuilderUnavailable"
    """The BuildKit that builds the Dockerfiles of the namespace did not respond, or ended during the build."""
    PUSH_REFUSED = "PushRefused"
    """The registry refused the image that was built."""
    START_FAILED = "StartFailed"
    """The container could not be started: no such entrypoint, a program for another kind of processor, a root user
    where none is allowed, a broken mount."""
    UNSCHEDULABLE = "Unschedulable"
    """No node could take the pod for longer than the operator's pending limit."""
    NODE_REFUSED = "NodeRefused"
    """The node that the scheduler had chosen did not take the pod: something else was faster."""
    POD_REJECTED = "PodRejected"
    """The API server refused to create the pod (pod security, quota, admission)."""
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    """The run's namespace is being deleted: nothing can be created in it any more."""
    INVALID_SPEC = "InvalidSpec"
    """The run, or something it names, says things that can't be done together."""
    INVALID_CONFIGURATION = "InvalidConfiguration"
    """The parameters of the run do not match the JSON Schema of its Component, or that schema can't be used."""
    COMPONENT_NOT_FOUND = "ComponentNotFound"
    """`spec.component` names no Component of the namespace and no ClusterComponent."""
    COMPONENT_WITHDRAWN = "ComponentWithdrawn"
    """The run was created after the last day of its Component (`deprecated.endOfLife`)."""
    STORAGE_NOT_FOUND = "StorageNotFound"
    """`spec.storage` names no Storage of the namespace, or the namespace has no default one."""
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a word, not a password
    """A Secret that the run or its Storage names, or a key of it, is not there."""
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    """A ConfigMap that the run names, or a key of it, is not there."""
    INPUT_NOT_FOUND = "InputNotFound"
    """An input table or object is not in Storage."""
    INPUT_INVALID = "InputInvalid"
    """An input can't be delivered as its mapping asks."""
    STORAGE_BUCKET_NOT_FOUND = "StorageBucketNotFound"
    """The bucket that the Storage names does not exist."""
    STORAGE_ACCESS_DENIED = "StorageAccessDenied"
    """The object store refused the Storage's credentials, or they lack a permission."""
    STORAGE_UNSCOPED = "StorageUnscoped"
    """The object store does not keep a run's grant within the run's own prefix, and the Storage does not allow that."""
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    """The object store did not answer, or answered with errors for too long."""
    LOADER_UNAVAILABLE = "LoaderUnavailable"
    """The loader, which reads and writes the tables of a catalog, did not answer, or is not installed."""
    CATALOG_UNFIT = "CatalogUnfit"
    """The catalog of the Storage can't do what publishing needs: two runs could mix in it."""
    STAGE_IN_FAILED = "StageInFailed"
    """Bringing the input into the pod failed."""
    STAGE_OUT_FAILED = "StageOutFailed"
    """Uploading the output failed."""
    OUTPUT_MISSING = "OutputMissing"
    """The output mapping names a file that the component did not write."""
    OUTPUT_INVALID = "OutputInvalid"
    """A file that the component wrote can't become a table: malformed CSV, wrong manifest, a link, a pipe."""
    PUBLISH_FAILED = "PublishFailed"
    """The output was uploaded, but the tables could not be switched over."""
    INTERNAL = "Internal"
    """A defect of ComponentRun itself."""


RETRIED_BEFORE_START: Final = frozenset({
    Reason.EVICTED, Reason.LOADER_UNAVAILABLE, Reason.NODE_LOST, Reason.NODE_REFUSED, Reason.POD_DELETED,
    Reason.REGISTRY_UNAVAILABLE, Reason.STAGE_IN_FAILED, Reason.STORAGE_UNAVAILABLE,
})  # fmt: skip
"""What happened to an attempt, and not because of the run: tried again as long as the component has not started."""

RETRIED_IF_NAMED: Final = frozenset({
    Reason.APPLICATION_ERROR, Reason.DISK_FULL, Reason.EVICTED, Reason.NODE_LOST, Reason.OUT_OF_MEMORY,
    Reason.POD_DELETED, Reason.STAGE_OUT_FAILED, Reason.STORAGE_UNAVAILABLE, Reason.TIMEOUT,
})  # fmt: skip
"""What `retry.afterStart` may name: tried again although the component has started, which only its developer can
know to be harmless."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """What follows from a reason for people."""

    who: str
    """Who acts."""
    advice: str = ""
    """What to do, in whole sentences. A run's status says something more precise if more is known."""


_NOBODY: Final = "nobody"
_AUTHOR: Final = "the run's author"
_DEVELOPER: Final = "the component's developer"
_PLATFORM: Final = "the platform team"

GUIDANCE: Final[dict[Reason, Guidance]] = {
    Reason.QUEUED: Guidance(_NOBODY),
    Reason.BUILDING: Guidance(_NOBODY),
    Reason.SUSPENDED: Guidance(_AUTHOR, "Set `spec.suspend` to `false` when the run may start."),
    Reason.RETRYING: Guidance(_NOBODY),
    Reason.PENDING: Guidance(_NOBODY),
    Reason.STAGING_IN: Guidance(_NOBODY),
    Reason.RUNNING: Guidance(_NOBODY),
    Reason.STAGING_OUT: Guidance(_NOBODY),
    Reason.PUBLISHING: Guidance(_NOBODY),
    Reason.TERMINATING: Guidance(_NOBODY),
    Reason.UNSUPPORTED_VALUE: Guidance(_PLATFORM, "Install the release that knows the value again, or delete the run."),
    Reason.SUCCEEDED: Guidance(f"{_NOBODY}; if the result is `Warning`, {_AUTHOR} reads `status.warnings`"),
    Reason.CANCELLED: Guidance(_NOBODY),
    Reason.REPLACED: Guidance(_NOBODY),
    Reason.CONCURRENCY_FORBIDDEN: Guidance(
        _AUTHOR, "Create it again when the other one has ended, or choose another policy."
    ),
    Reason.USER_ERROR: Guidance(_AUTHOR, "The component's own message says what to change."),
    Reason.APPLICATION_ERROR: Guidance(
        _DEVELOPER,
        "Its developer should look: its last words are in `status.lastWords`, all of them among the run's events.",
    ),
    Reason.OUT_OF_MEMORY: Guidance(
        f"{_AUTHOR}; {_PLATFORM} if the message names an agent",
        "Give the run a larger `size` or more memory in `resources`, or have the component use less.",
    ),
    Reason.TIMEOUT: Guidance(
        f"{_AUTHOR}; {_DEVELOPER} if the component hangs", "Raise `spec.timeout`, or have it do less."
    ),
    Reason.DISK_FULL: Guidance(
        f"{_AUTHOR}; {_PLATFORM} for a larger `dataSize`",
        "Write less, give the run more `ephemeral-storage` in `resources`, or have the Component's `dataSize` raised.",
    ),
    Reason.EVICTED: Guidance(f"{_AUTHOR}; {_PLATFORM} if it happens often", "Run it again, or request more."),
    Reason.NODE_LOST: Guidance(f"{_AUTHOR}; {_PLATFORM} looks at the node", "Run it again."),
    Reason.POD_DELETED: Guidance(_AUTHOR, "Run it again. To stop a run, set `spec.cancel`."),
    Reason.IMAGE_PULL_FAILED: Guidance(
        _AUTHOR,
        "Check the name, the tag and the right to pull it (`imagePullSecrets` of the run's `podTemplate`, of its "
        "Component or of its Storage).",
    ),
    Reason.IMAGE_NOT_ALLOWED: Guidance(
        f"{_AUTHOR}, or {_PLATFORM}",
        "Use an image from an allowed registry, or have the chart's `operator.allowedRegistries` extended.",
    ),
    Reason.IMAGE_UNVERIFIED: Guidance(
        _DEVELOPER,
        "Sign the digest that the message names with the key of the Component's `spec.verify`, or correct that key.",
    ),
    Reason.REGISTRY_UNAVAILABLE: Guidance(_PLATFORM, "Check whether the nodes can reach the registry."),
    Reason.SOURCE_UNAVAILABLE: Guidance(
        _DEVELOPER, "Correct `build.source.git` of the channel, or what the message names in the repository."
    ),
    Reason.PARENT_UNAVAILABLE: Guidance(_DEVELOPER, "Correct `image` and `tag` of the Component."),
    Reason.BUILD_FAILED: Guidance(
        _DEVELOPER, "Correct what the message names in the repository, or the channel's `build`."
    ),
    Reason.BUILD_TIMEOUT: Guidance(_DEVELOPER, "Raise `build.timeout` of the channel, or have its commands do less."),
    Reason.BUILD_OUT_OF_MEMORY: Guidance(
        f"{_DEVELOPER}; {_PLATFORM} for a larger limit",
        "Have the commands use less memory, or have the chart's `builds.resources` raised.",
    ),
    Reason.BUILD_DISK_FULL: Guidance(
        f"{_DEVELOPER}; {_PLATFORM} for a larger limit",
        "Have the commands write less, or have the chart's `builds.resources` raised.",
    ),
    Reason.BUILD_CANCELLED: Guidance(_AUTHOR, "Create the run again: this starts another build."),
    Reason.BUILDER_UNAVAILABLE: Guidance(
        _PLATFORM,
        "Check the Deployment of the namespace's builder (the chart's `builds.dockerfile.builders`): whether its pod "
        "runs, or was killed for using too much memory or disk.",
    ),
    Reason.PUSH_REFUSED: Guidance(_PLATFORM, "Check the chart's `builds.repository` and `builds.pushSecret`."),
    Reason.START_FAILED: Guidance(
        f"{_DEVELOPER}; {_PLATFORM} for broken mounts",
        "Check the command, the image's entrypoint and the user it needs.",
    ),
    Reason.UNSCHEDULABLE: Guidance(
        f"{_PLATFORM}, or {_AUTHOR}",
        "Ask for less, correct `podTemplate` (nodeSelector, affinity, tolerations), or have nodes added.",
    ),
    Reason.NODE_REFUSED: Guidance(f"{_AUTHOR}; {_PLATFORM} if it happens often", "Run it again."),
    Reason.POD_REJECTED: Guidance(
        _PLATFORM, "Check the namespace's quotas, its pod security level and admission webhooks."
    ),
    Reason.NAMESPACE_TERMINATING: Guidance(f"{_NOBODY}: the run is deleted with its namespace"),
    Reason.INVALID_SPEC: Guidance(_AUTHOR, "Correct the field that the message names."),
    Reason.INVALID_CONFIGURATION: Guidance(
        f"{_AUTHOR}; {_DEVELOPER} if the message says that the parameters can't be checked",
        "Correct the parameters that the message names.",
    ),
    Reason.COMPONENT_NOT_FOUND: Guidance(_AUTHOR, "Name another Component, or have it created."),
    Reason.COMPONENT_WITHDRAWN: Guidance(_AUTHOR, "Use the component that the message names."),
    Reason.STORAGE_NOT_FOUND: Guidance(_PLATFORM, "Create the Storage, or mark one of the namespace `default: true`."),
    Reason.SECRET_NOT_FOUND: Guidance(
        f"{_AUTHOR} for a secret of the configuration, {_PLATFORM} for that of the Storage",
        "Create the Secret or the key, or correct the name.",
    ),
    Reason.CONFIG_MAP_NOT_FOUND: Guidance(_AUTHOR, "Create the ConfigMap, or correct `configuration.parametersFrom`."),
    Reason.INPUT_NOT_FOUND: Guidance(_AUTHOR, "Correct the mapping, or first run what creates the table."),
    Reason.INPUT_INVALID: Guidance(_AUTHOR, "Correct the mapping."),
    Reason.STORAGE_BUCKET_NOT_FOUND: Guidance(_PLATFORM, "Create the bucket, or correct the Storage."),
    Reason.STORAGE_ACCESS_DENIED: Guidance(_PLATFORM, "Check the Storage's credentials and their rights."),
    Reason.STORAGE_UNSCOPED: Guidance(
        _PLATFORM, "Use another store, configure `sts`, or set `allowUnscoped: true` (docs/security.md)."
    ),
    Reason.STORAGE_UNAVAILABLE: Guidance(_PLATFORM, "Check the object store."),
    Reason.LOADER_UNAVAILABLE: Guidance(
        _PLATFORM, "Check the pods of the Deployment `loader`, and `loader.enabled` of the chart."
    ),
    Reason.CATALOG_UNFIT: Guidance(
        _PLATFORM, "See the condition `Catalog` of the Storage, and run `componentrun doctor`."
    ),
    Reason.STAGE_IN_FAILED: Guidance(_PLATFORM, "Look at the log of `stage-in`."),
    Reason.STAGE_OUT_FAILED: Guidance(_PLATFORM, "Look at the log of `stage-out`."),
    Reason.OUTPUT_MISSING: Guidance(
        f"{_DEVELOPER}; {_AUTHOR} if the mapping is wrong", "Have the component write the file, or correct the mapping."
    ),
    Reason.OUTPUT_INVALID: Guidance(_DEVELOPER, "Correct what the message names: file, line and what was expected."),
    Reason.PUBLISH_FAILED: Guidance(_PLATFORM, "Look at the object store and the operator's log."),
    Reason.INTERNAL: Guidance("the developers of ComponentRun", "Please report this with the run's YAML."),
}
"""For each reason; a test checks that none is missing."""
