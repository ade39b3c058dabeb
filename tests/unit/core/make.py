"""Runs, Components and raw pod JSON for the tests of core. No client is faked: core has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.api.component import Component
from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
from componentrun.api.storage import Storage
from componentrun.core.lifecycle.actions import Plan, WriteStatus
from componentrun.core.lifecycle.observed import Observed
from componentrun.core.limits import Limits
from componentrun.core.pod.metadata import identity_labels
from componentrun.core.pod.steps import Step, steps_text
from componentrun.core.podstatus.facts import PodFacts, pod_facts
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.queue.admission import START, Turn
from componentrun.wire.agents import StageInResult, StageOutResult, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
LIMITS = Limits()
RUN_UID = "0b5f1e0c-run"
STAGED_IN = to_json(StageInResult(ok=True, tables=1, rows=10, size=200, seconds=0.5))
SAVED_OUT = to_json(StageOutResult(ok=True, rows=5, size=100, seconds=0.5, always=1))
STAGED_OUT = to_json(StageOutResult(ok=True, rows=5, size=100, seconds=0.5))


def at(seconds: float) -> datetime:
    """So many seconds after the pod was made."""
    return NOW + timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    """The same as the API server writes it: whole seconds."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_run(name: str = "daily", status: dict[str, Any] | None = None, **spec: Any) -> ComponentRun:
    """A run; `spec` in the wire's camelCase. Without component and image: an image."""
    if "component" not in spec and "image" not in spec:
        spec["image"] = "registry.example.com/team/cleaner:1.2"
    return ComponentRun.model_validate(
        {
            "metadata": {"name": name, "namespace": "team", "uid": RUN_UID, "generation": 1},
            "spec": spec,
            "status": status or {},
        }
    )


def make_component(name: str = "cleaner", **spec: Any) -> Component:
    spec.setdefault("image", "registry.example.com/team/cleaner")
    return Component.model_validate({"metadata": {"name": name, "namespace": "team", "uid": "c-uid"}, "spec": spec})


def make_storage(name: str = "lake", **spec: Any) -> Storage:
    spec.setdefault("bucket", "lake-bucket")
    return Storage.model_validate({"metadata": {"name": name, "namespace": "team", "uid": "s-uid"}, "spec": spec})


def waiting(reason: str = "PodInitializing", message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def running(since: float = 0) -> dict[str, Any]:
    return {"running": {"startedAt": stamp(since)}}


def ended(
    code: int = 0, reason: str = "", message: str = "", start: float = 1, end: float = 2, **more: Any
) -> dict[str, Any]:
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            "message": message,
            "startedAt": stamp(start),
            "finishedAt": stamp(end),
            **more,
        }
    }


def done_in(end: float = 2) -> dict[str, Any]:
    """stage-in that brought everything."""
    return ended(message=STAGED_IN, end=end)


def done_out(end: float = 20) -> dict[str, Any]:
    """stage-out that uploaded everything."""
    return ended(message=STAGED_OUT, end=end)


def saved_out(code: int = 0, end: float = 20) -> dict[str, Any]:
    """stage-out that uploaded a table which is published in any case; with another code, something else was wrong."""
    reason = {"reason": "OutputMissing", "message": "out/tables/bar.csv: not there"} if code else {}
    return ended(code, message=to_json(StageOutResult(ok=not code, rows=5, size=100, always=1, **reason)), end=end)


def make_pod(
    *,
    stage_in: dict[str, Any] | None = None,
    component: dict[str, Any] | None = None,
    stage_out: dict[str, Any] | None = None,
    phase: str = "Running",
    node: str = "node-a",
    deleted: tuple[float, int] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    uid: str = "pod-uid",
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """Raw JSON of a pod. `deleted` is when it was asked to go, and the grace period that it got."""
    metadata: dict[str, Any] = {
        "name": "daily-1",
        "namespace": "team",
        "uid": uid,
        "creationTimestamp": stamp(0),
        "labels": identity_labels("daily", RUN_UID, 1),
        "ownerReferences": [{"apiVersion": API_VERSION, "kind": "ComponentRun", "name": "daily", "uid": RUN_UID}],
        "annotations": {names.TIMEOUT_ANNOTATION: "3600", names.UPLOAD_ANNOTATION: "600"},
    }
    if deleted is not None:
        metadata["deletionTimestamp"] = stamp(deleted[0] + deleted[1])
        metadata["deletionGracePeriodSeconds"] = deleted[1]
    init = [(names.STAGE_OUT, stage_out), (names.STAGE_IN, stage_in)]
    return {
        "metadata": metadata,
        "spec": {**({"nodeName": node} if node else {}), **(spec or {})},
        "status": {
            "phase": phase,
            "conditions": conditions or [],
            "initContainerStatuses": [{"name": name, "state": state} for name, state in init if state is not None],
            "containerStatuses": [
                {"name": names.COMPONENT, "state": component, "imageID": "registry.example.com/x@sha256:abc"}
            ]
            if component is not None
            else [],
            **status,
        },
    }


CHAIN = (Step("before-1", "unzip", 300), Step("component", "cleaner", 3600), Step("after-1", "zip", 600))
CHAIN_NAMES = ("before-1", "to-component", "component", "to-after-1", "after-1")


def make_chain(
    states: Mapping[str, dict[str, Any]],
    *,
    steps: tuple[Step, ...] = CHAIN,
    stage_in: dict[str, Any] | None = None,
    stage_out: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Raw JSON of a pod with processors, by default one before and one after the component.

    A kubelet reports all containers from the beginning; those without a state here wait.
    """
    order = [name for step in steps for name in (names.agent_before(step.name), step.name)][1:]
    found = [
        {"name": name, "state": states.get(name, waiting()), "imageID": f"registry.example.com/{name}@sha256:abc"}
        if name in states
        else {"name": name, "state": waiting()}
        for name in order
    ]
    agents = [
        {"name": names.STAGE_OUT, "state": stage_out or running()},
        {"name": names.STAGE_IN, "state": stage_in or done_in()},
    ]
    env = [
        {"name": names.TIMEOUT_VARIABLE, "value": "3600"},
        {"name": names.STEPS_VARIABLE, "value": steps_text(steps)},
    ]
    spec = {
        "initContainers": [
            {"name": names.STAGE_OUT, "env": env},
            {"name": names.STAGE_IN},
            *({"name": name} for name in order[:-1]),
        ],
        "containers": [{"name": order[-1]}],
    }
    return make_pod(spec=spec, initContainerStatuses=[*agents, *found[:-1]], containerStatuses=found[-1:], **more)


def started_status(**more: Any) -> dict[str, Any]:
    """Status of a run whose pod was made at `NOW`."""
    return {
        "phase": "Pending",
        "attempts": [{"number": 1, "pod": "daily-1", "podUID": "pod-uid", "startTime": stamp(0)}],
        "phases": [{"phase": "Pending", "startTime": stamp(0)}],
        "startTime": stamp(0),
        **more,
    }


def observe(
    run: ComponentRun,
    pod: dict[str, Any] | None = None,
    *,
    seconds: float = 10,
    gone: bool = False,
    turn: Turn = START,
    pod_was_read: bool = True,
    **limits: Any,
) -> Observed:
    """Without `pod_was_read`, what is missing, or late, may be what a watch does not tell."""
    view = read_pod(pod, gone=gone) if pod is not None else None
    return Observed(run=run, pod=view, now=at(seconds), limits=Limits(**limits), turn=turn, pod_was_read=pod_was_read)


def facts(
    pod: dict[str, Any], status: dict[str, Any] | None = None, *, seconds: float = 10, gone: bool = False
) -> PodFacts:
    """A pod as the rules of a plan see it; without a status, of a run of which nothing is recorded."""
    run_status = ComponentRunStatus.model_validate(status or {})
    return pod_facts(read_pod(pod, gone=gone), run_status, LIMITS, at(seconds))


def written(found: Plan) -> ComponentRunStatus:
    """The status that the plan writes; it writes one, and first."""
    assert isinstance(found.actions[0], WriteStatus)
    return found.actions[0].status


def condition(status: ComponentRunStatus, kind: str) -> tuple[str, str]:
    found = next(c for c in status.conditions if c.type == kind)
    return found.status, found.reason
