"""The pod of a run in five shapes: the one that the operator creates, and others with the same agents. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.api.componentrun import ComponentRun
from componentrun.core.pod.build import PodSettings, build_pod
from componentrun.core.request.resolve import resolve
from componentrun.wire import agents, grants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SHAPES", "TODAY", "Images", "Shape", "shaped_pod"]

Spec: TypeAlias = dict[str, Any]
"""Spec of a pod."""
_NO_STORAGE: Final = "none"
"""Name of a Storage. The pod does not contain it, because the agents get their grants from a Secret."""
_UPLOAD_SECONDS: Final = 60
_COMPONENT: Final = "date +%s.%N > /dev/termination-log && exec copy"
"""Script of the component: its start becomes its termination message, then it copies its input."""
_STAGE_IN: Final = " ".join(agents.STAGE_IN_COMMAND)
_STAGE_OUT: Final = agents.STAGE_OUT_COMMAND[-1]
_SECOND_GRANT: Final = f"{grants.GRANT_MOUNT}-in"
"""Mount of stage-in's grant in a container that also has that of stage-out."""
_READY: Final = "/tmp/ready"  # noqa: S108 - a path in the container, which has a /tmp of its own
_RELEASED: Final = "/tmp/released"  # noqa: S108 - likewise
_ONE_AGENT: Final = f"set -e; {_STAGE_IN} --grant {_SECOND_GRANT}; touch {_READY}; {_STAGE_OUT}"
_HELD: Final = (
    f"{_STAGE_IN}; code=$?; echo $code > {_READY}; until [ -e {_RELEASED} ]; do sleep 0.1; done; sleep 0.3; exit $code"
)
"""The container must not end before its hook has ended, or the kubelet takes the hook for failed."""
_HOLD: Final = f"until [ -s {_READY} ]; do sleep 0.05; done; touch {_RELEASED}; exit $(cat {_READY})"
_PROBE_FAILURES: Final = 60


@dataclass(frozen=True, slots=True)
class Images:
    """Images of the pod's containers."""

    agents: str
    component: str


@dataclass(frozen=True, slots=True)
class Shape:
    """An arrangement of the containers of a run's pod."""

    title: str
    """Part of the figures' names."""
    arrange: Callable[[Spec], Spec]
    """Returns the pod's spec, given that of the operator's pod."""
    ends: bool = True
    """Whether the pod ends without being deleted."""


def shaped_pod(shape: Shape, run: str, images: Images, resources: Mapping[str, Any]) -> dict[str, Any]:
    """Build a bare pod: that of the operator for a run, in another shape, without owner and labels.

    Without them, neither the operator nor the collector treats it as the pod of a run.

    Args:
        shape: the shape.
        run: name of the run.
        images: images of the containers.
        resources: resources of the component.
    """
    metadata = {"name": run, "namespace": "any", "uid": run, "generation": 1, "resourceVersion": "1"}
    spec = {"image": images.component, "command": ["/bin/sh", "-c", _COMPONENT], "resources": dict(resources)}
    body = {"apiVersion": API_VERSION, "kind": ComponentRun.KIND, "metadata": metadata, "spec": spec}
    model = ComponentRun.model_validate(body)
    settings = PodSettings(upload_seconds=_UPLOAD_SECONDS)
    pod = build_pod(resolve(model, None, _NO_STORAGE), model, 1, images.agents, settings)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod["metadata"]["name"]},
        "spec": shape.arrange(pod["spec"]),
    }


def _today(spec: Spec) -> Spec:
    """stage-out as a native sidecar, stage-in, the component."""
    return spec


def _sidecar_last(spec: Spec) -> Spec:
    """stage-in, stage-out as a native sidecar, the component."""
    stage_out, stage_in = _agents(spec)
    return spec | {"initContainers": [stage_in, stage_out]}


def _one_agent(spec: Spec) -> Spec:
    """One native sidecar, which brings the input and then waits. The component starts when its startup probe succeeds.

    The container has both grants.
    """
    stage_out, stage_in = _agents(spec)
    grant_in = next(item for item in stage_in["volumeMounts"] if item["name"] == names.GRANT_IN_VOLUME)
    agent = stage_out | {
        "command": ["/bin/sh", "-c", _ONE_AGENT],
        "volumeMounts": [*stage_out["volumeMounts"], grant_in | {"mountPath": _SECOND_GRANT}],
        "startupProbe": {
            "exec": {"command": ["test", "-e", _READY]},
            "periodSeconds": 1,
            "failureThreshold": _PROBE_FAILURES,
        },
    }
    return spec | {"initContainers": [agent]}


def _held_by_a_hook(spec: Spec) -> Spec:
    """stage-out as a native sidecar, then stage-in and the component as ordinary containers.

    The kubelet starts ordinary containers one after another, and waits for the postStart hook of each. That of stage-in
    ends when the input is there.
    """
    stage_out, stage_in = _agents(spec)
    held = stage_in | {
        "command": ["/bin/sh", "-c", _HELD],
        "lifecycle": {"postStart": {"exec": {"command": ["/bin/sh", "-c", _HOLD]}}},
    }
    return spec | {"initContainers": [stage_out], "containers": [held, *spec["containers"]]}


def _side_by_side(spec: Spec) -> Spec:
    """stage-in, then stage-out and the component as ordinary containers. Nothing tells stage-out to upload."""
    stage_out, stage_in = _agents(spec)
    ordinary = {key: value for key, value in stage_out.items() if key != "restartPolicy"}
    return spec | {"initContainers": [stage_in], "containers": [ordinary, *spec["containers"]]}


def _agents(spec: Spec) -> tuple[dict[str, Any], dict[str, Any]]:
    """The containers stage-out and stage-in of the operator's pod."""
    found = {container["name"]: container for container in spec["initContainers"]}
    return found[names.STAGE_OUT], found[names.STAGE_IN]


TODAY: Final = Shape("today", _today)
SHAPES: Final = (
    TODAY,
    Shape("sidecar-last", _sidecar_last),
    Shape("one-agent", _one_agent),
    Shape("hook", _held_by_a_hook),
    Shape("side-by-side", _side_by_side, ends=False),
)
"""All shapes, in the order in which they are measured."""
