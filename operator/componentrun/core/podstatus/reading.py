"""Reads a pod's raw JSON into a view.

Never fails: the API server's next release, a status that the kubelet has not filled in yet, or an object that somebody
wrote by hand must not stop the reconciler. A field that is missing or of an unknown shape is treated as unset.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.core.pod.identity import has_its_labels, identity_of
from componentrun.core.pod.steps import read_steps
from componentrun.core.podstatus.results import SIGNAL_BASE, stage_in_result, stage_out_result, step_result
from componentrun.core.podstatus.view import ContainerView, PodView, decisive_step
from componentrun.wire.chain import POD_TERMINATION_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from componentrun.core.pod.identity import PodIdentity
    from componentrun.core.pod.steps import Step

__all__ = ["read_containers", "read_pod", "with_history"]

_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_UNKNOWN: Final = "ContainerStatusUnknown"
_REFUSED_WITHIN: Final = timedelta(seconds=5)
"""A kubelet refuses a new pod as soon as the pod is bound to its node. To start a component, be restarted and refuse
its pod takes longer."""
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_FAR: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Times and durations beyond these limits are ignored, so that every deadline stays a valid datetime."""
_MOST_SECONDS: Final = 10 * 366 * 24 * 3600


def read_pod(obj: dict[str, Any], identity: PodIdentity | None = None, *, gone: bool = False) -> PodView:
    """The view of a pod. This is the only place where the agents' termination messages are parsed.

    Args:
        obj: the pod as the API server sends it (camelCase JSON).
        identity: the attempt that it belongs to. Defaults to what its labels and owner say.
        gone: whether this came with a DELETED event.
    """
    metadata, status = _dict(obj, "metadata"), _dict(obj, "status")
    annotations = _dict(metadata, "annotations")
    identity = identity or identity_of(obj)
    conditions = {_text(item, "type"): item for item in _dicts(status, "conditions")}
    scheduled = conditions.get("PodScheduled", {})
    disruption = conditions.get("DisruptionTarget", {})
    disruption = disruption if _text(disruption, "status") == "True" else {}
    containers = {view.name: view for view in read_containers(status)}
    stage_in, stage_out, component = (
        containers.get(name) or ContainerView(name, is_reported=False)
        for name in (names.STAGE_IN, names.STAGE_OUT, names.COMPONENT)
    )
    spec = _dict(obj, "spec")
    planned = read_steps(_fixed(spec, names.STEPS_VARIABLE))
    steps = _steps(planned, containers, spec)
    component = decisive_step(steps) if steps else component
    timeouts = {step.name: step.timeout_seconds for step in planned}
    node = _text(spec, "nodeName")
    deleted_at, grace = _time(metadata.get("deletionTimestamp")), _seconds(metadata.get("deletionGracePeriodSeconds"))
    return PodView(
        name=_text(metadata, "name"),
        uid=_text(metadata, "uid"),
        attempt=identity.attempt if identity is not None else 0,
        created=_time(metadata.get("creationTimestamp")) or _EPOCH,
        phase=_text(status, "phase") or "Unknown",
        node=node,
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        scheduled=bool(node) or _text(scheduled, "status") == "True",
        scheduled_at=_time(scheduled.get("lastTransitionTime")) if _text(scheduled, "status") == "True" else None,
        acknowledged_at=_time(status.get("startTime")),
        gates=tuple(_text(gate, "name") for gate in _dicts(spec, "schedulingGates")),
        unschedulable=_unschedulable(scheduled),
        disruption=_text(disruption, "reason"),
        disruption_message=_text(disruption, "message"),
        disrupted_at=_time(disruption.get("lastTransitionTime")),
        deleted_at=deleted_at,
        deletion_grace_seconds=grace,
        deletion_asked_at=None if deleted_at is None else deleted_at - timedelta(seconds=grace or 0),
        heard=_heard(metadata, status),
        gone=gone,
        mislabelled=identity is not None and not has_its_labels(obj, identity),
        group=_fixed(spec, names.GROUP_VARIABLE),
        counted=names.KUEUE_QUEUE_LABEL not in _dict(metadata, "labels"),
        timeout_seconds=timeouts.get(component.name)
        or _seconds(_fixed(spec, names.TIMEOUT_VARIABLE))
        or _seconds(annotations.get(names.TIMEOUT_ANNOTATION))
        or 0,
        upload_seconds=_seconds(spec.get("terminationGracePeriodSeconds"))
        or _seconds(annotations.get(names.UPLOAD_ANNOTATION))
        or 0,
        stage_in=stage_in,
        stage_out=stage_out,
        component=component,
        steps=steps,
        stage_in_result=stage_in_result(stage_in),
        stage_out_result=stage_out_result(stage_out),
        step_result=None if component.is_program else step_result(component),
    )


def with_history(view: PodView, earlier: PodView | None, *, is_next: bool = True) -> PodView:
    """The view of a pod, with facts of an earlier view that its object no longer has.

    Args:
        view: the pod as it is.
        earlier: the view before; None if this is the first one.
        is_next: whether no state between the two was missed.
    """
    if not view.has_started_program and _may_lack_containers(view, earlier, is_next=is_next):
        view = replace(view, may_lack_containers=True)
    return view if earlier is None else _asked_before(view, earlier)


def _may_lack_containers(view: PodView, earlier: PodView | None, *, is_next: bool) -> bool:
    """Whether a pod of which no container is reported may have had some (decision 0092)."""
    if earlier is not None and (earlier.has_started_program or earlier.may_lack_containers):
        return True
    if view.phase != "Failed" or view.is_admitted:
        return False
    if earlier is None or earlier.is_admitted:
        return True
    if earlier.is_terminal:
        return False  # its refusal was certain then
    if not is_next or earlier.scheduled_at is None or view.acknowledged_at is None:
        return True
    return abs(view.acknowledged_at - earlier.scheduled_at) > _REFUSED_WITHIN


def _asked_before(view: PodView, earlier: PodView) -> PodView:
    """The view with the time at which its deletion was first requested, from an earlier view.

    The kubelet deletes a pod once more when its containers have ended, and the object then has the time of that
    request. From the last event of a pod alone, a container that was stopped would seem to have ended by itself.
    """
    first = earlier.deletion_asked_at
    if first is None or (view.deletion_asked_at is not None and view.deletion_asked_at <= first):
        return view
    return replace(view, deletion_asked_at=first)


def _fixed(spec: dict[str, Any], variable: str) -> str:
    """A variable of stage-out's environment, which can't be edited. Pods of earlier releases only have annotations."""
    for container in _dicts(spec, "initContainers"):
        if container.get("name") == names.STAGE_OUT:
            return next((_text(item, "value") for item in _dicts(container, "env") if item.get("name") == variable), "")
    return ""


def _heard(metadata: dict[str, Any], status: dict[str, Any]) -> bool:
    """Whether the kubelet's status is about the current generation; a deletion creates a new one."""
    observed, generation = _number(status.get("observedGeneration")), _number(metadata.get("generation"))
    return not observed or not generation or observed >= generation


def _unschedulable(condition: dict[str, Any]) -> str:
    """The scheduler's message while the pod has no node."""
    if _text(condition, "status") != "False":
        return ""
    return _text(condition, "message") or _text(condition, "reason") or "the scheduler gave no reason"


def read_containers(status: dict[str, Any]) -> Iterator[ContainerView]:
    """The containers that the status of a pod reports."""
    for field in ("initContainerStatuses", "containerStatuses"):
        for item in _dicts(status, field):
            yield _container(item)


def _container(item: dict[str, Any]) -> ContainerView:
    state = _dict(item, "state")
    terminated, running, waiting = (_dict(state, key) for key in ("terminated", "running", "waiting"))
    view = ContainerView(
        name=_text(item, "name"),
        image_id=_text(item, "imageID"),
        restarts=_number(item.get("restartCount")) or 0,
        ran_before=bool(item.get("lastState")),
    )
    if "terminated" in state and _never_was(item, terminated):
        return replace(view, reason=_text(terminated, "reason"), message=_text(terminated, "message"))
    if "terminated" in state:
        code, signal = _number(terminated.get("exitCode")), _number(terminated.get("signal")) or None
        return replace(
            view,
            state="terminated",
            reason=_text(terminated, "reason"),
            message=_text(terminated, "message"),
            # A process that a signal ended has failed, whatever its exit code.
            exit_code=code if code or signal is None else SIGNAL_BASE + signal,
            signal=signal,
            started_at=_time(terminated.get("startedAt")),
            finished_at=_time(terminated.get("finishedAt")),
        )
    if "running" in state:
        return replace(view, state="running", started_at=_time(running.get("startedAt")))
    return replace(view, reason=_text(waiting, "reason"), message=_text(waiting, "message"), image=_text(item, "image"))


def _steps(
    planned: Sequence[Step], containers: Mapping[str, ContainerView], spec: dict[str, Any]
) -> tuple[ContainerView, ...]:
    """The steps of a pod with processors, with the agents between them; empty without processors."""
    if not planned:
        return ()
    share = POD_TERMINATION_BYTES // max(1, sum(len(_dicts(spec, field)) for field in _CONTAINERS))
    found = []
    for number, step in enumerate(planned):
        for name in (names.agent_before(step.name), step.name) if number else (step.name,):
            view = containers.get(name) or ContainerView(name, is_reported=False)
            processor = step.component if step.is_processor and name == step.name else ""
            is_cut = len(view.message.encode()) >= share
            found.append(replace(view, processor=processor, is_cut=is_cut))
    return tuple(found)


def _never_was(item: dict[str, Any], terminated: dict[str, Any]) -> bool:
    """Whether the status reports the termination of a container that was never created.

    A kubelet that ends a pod does so for all containers whose turn had come, e.g. while their image was being pulled.
    A container that ran and was lost has an image, a last state or a restart.
    """
    return (
        _text(terminated, "reason") == _UNKNOWN
        and _time(terminated.get("startedAt")) is None
        and not any(item.get(field) for field in ("imageID", "containerID", "restartCount", "lastState"))
    )


def _dict(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _dicts(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = parent.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(parent: dict[str, Any], key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _seconds(value: Any) -> int | None:
    """A duration; None if it is negative or longer than ten years."""
    number = _number(value)
    return number if number is not None and 0 <= number <= _MOST_SECONDS else None


def _time(value: Any) -> datetime | None:
    """A time of the API; None for the epoch and earlier (`0001-01-01T00:00:00Z` is Go's zero)."""
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time if _EPOCH < time < _FAR else None
