"""What can go wrong, in words shared by all parts.

Tree of the exceptions (each part raises only these across its border):

    ComponentRunError
    ├── UserError         the person who wrote the run, the configuration or the component can mend it
    └── PlatformError     the people who run the platform can mend it
        └── TransientError    trying again later may be enough
            ├── UnknownOutcomeError  a request was sent, and nobody knows whether it was carried out
            └── UnsupportedError  an object holds what this release does not know; another release goes on with it

Every error carries a `Reason` (one CamelCase word that alerts and scripts may match) and a sentence that names the
thing, what was found, what was expected and what to do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AWAY_STATUSES",
    "RETRIED_BEFORE_START",
    "RETRIED_IF_NAMED",
    "ComponentRunError",
    "PlatformError",
    "Reason",
    "TransientError",
    "UnknownOutcomeError",
    "UnsupportedError",
    "UserError",
    "together",
]


class Reason(StrEnum):
    """Why a run is where it is. Do not rename: alerts and scripts match these words.

    The first group names states on the way, the second how a run ended.
    """

    # On the way
    QUEUED = "Queued"
    """The run was accepted and nothing was created for it yet."""
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
    """The node stopped answering, was shut down or taken away while the pod was on it."""
    POD_DELETED = "PodDeleted"
    """Somebody else deleted the pod."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """The component's image can't be pulled: wrong name, no such tag, no permission."""
    REGISTRY_UNAVAILABLE = "RegistryUnavailable"
    """The registry of an image did not answer, or answered with errors for too long."""
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
    COMPONENT_NOT_FOUND = "ComponentNotFound"
    """`spec.component` names no Component of the namespace."""
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
    """The object store refused the Storage's credentials, or they lack a right."""
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


AWAY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
"""HTTP statuses by which a store, or what stands before it, says that it is away or busy for a while; nothing is wrong
with the request. 520 to 524 are a proxy's that could not reach the store behind it, as before Cloudflare R2."""


class ComponentRunError(Exception):
    """The root of all errors that cross a border between parts.

    Attributes:
        reason: one word that scripts match.
        message: a sentence that a person understands.
        unknown: whether what failed may have been carried out all the same.
    """

    unknown: ClassVar[bool] = False
    default_reason: Final = Reason.INTERNAL

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        """Keep the sentence, and the reason where it is more exact than the class's own."""
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason


class UserError(ComponentRunError):
    """The person who wrote the run, the configuration or the component can mend it. Trying again changes nothing."""


MOST_TOLD: Final = 10
"""Errors that one message names: whoever mends something should see all of it, and a status has an end."""


def together(errors: Sequence[UserError]) -> UserError:
    """Several errors, at least one, as one error, with the reason of the first."""
    first, *others = errors
    if not others:
        return first
    told = [_sentence(first.message), *(f"Also: {_sentence(error.message)}" for error in others[: MOST_TOLD - 1])]
    if len(errors) > MOST_TOLD:
        told.append(f"And {len(errors) - MOST_TOLD} more.")
    return UserError(" ".join(told), first.reason)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!", "…")) else f"{text}."


class PlatformError(ComponentRunError):
    """The people who run the platform can mend it."""


class TransientError(PlatformError):
    """Trying again later may be enough (a store that is away, an API server that is busy)."""


class UnknownOutcomeError(TransientError):
    """A request was sent, and nobody knows whether it was carried out. The same request again finds out."""

    unknown = True


class UnsupportedError(TransientError):
    """An object holds what this release does not know, as a newer one wrote it. No verdict follows from that."""

    def __init__(self, message: str) -> None:
        """The sentence names the object and the field."""
        super().__init__(message, Reason.UNSUPPORTED_VALUE)
