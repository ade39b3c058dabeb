"""Which run and attempt a pod belongs to.

The owner reference identifies the run by its uid, and the pod's immutable name identifies the attempt. Labels are only
used for selection, so that editing one does not change the identity. If there is no owner reference, as after
`kubectl delete --cascade=orphan`, the labels are used.

These functions never raise: fields that are missing or malformed count as absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from componentrun.api import names
from componentrun.api.common import GROUP
from componentrun.api.componentrun import ComponentRun
from componentrun.core.pod.metadata import identity_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PodIdentity", "has_its_labels", "identity_of"]


class PodIdentity(NamedTuple):
    """Name and uid of a pod's run, and the number of its attempt."""

    run: str
    run_uid: str
    attempt: int

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the pod."""
        return identity_labels(*self)


def identity_of(pod: Mapping[str, Any]) -> PodIdentity | None:
    """The run and attempt of a pod; None if it belongs to no run, such as a debugging copy."""
    metadata = _dict(pod, "metadata")
    name = str(metadata.get("name", ""))
    owner = _owner(metadata)
    if owner is not None:
        attempt = _attempt(name, str(owner.get("name", "")))
        return None if attempt is None else PodIdentity(str(owner.get("name")), str(owner.get("uid", "")), attempt)
    labels = _dict(metadata, "labels")
    run = str(labels.get(names.RUN_LABEL, ""))
    attempt = _attempt(name, run)
    if attempt is None or labels.get(names.ATTEMPT_LABEL) != str(attempt):
        return None
    return PodIdentity(run, str(labels.get(names.RUN_UID_LABEL, "")), attempt)


def has_its_labels(pod: Mapping[str, Any], identity: PodIdentity) -> bool:
    """Whether the pod has all labels of its identity."""
    return identity.labels.items() <= _dict(_dict(pod, "metadata"), "labels").items()


def _owner(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The owner reference to a run."""
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        is_ours = isinstance(owner, dict) and owner.get("kind") == ComponentRun.KIND
        if is_ours and str(owner.get("apiVersion", "")).startswith(f"{GROUP}/"):
            return dict(owner)
    return None


def _attempt(pod: str, run: str) -> int | None:
    """The attempt in the name of a run's pod; None for any other name."""
    number = pod.removeprefix(f"{run}-")
    is_number = bool(run) and number != pod and number.isascii() and number.isdigit()
    return int(number) if is_number and pod == names.pod_name(run, int(number)) else None


def _dict(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}
