"""The status updates that a kubelet writes for a pod, as KWOK stages.

A kubelet checks its containers once a second, and updates a pod's status each time one of them has started or ended.
These are the updates that were seen on a real kubelet (1.35) for a pod with the containers of a run: the sidecar
`stage-out`, `stage-in` and the component.

    accepted        all containers wait
    sidecar-starts  `stage-out` runs
    init-starts     `stage-in` runs; left out by a kubelet if it ends within a second
    init-ends
    main-starts     the component runs; phase Running
    main-ends       the component has ended, the sidecar has not
    sidecar-ends    all containers have ended; still phase Running
    pod-ends        phase Succeeded

A pod of Argo Workflows has no such sidecar, but a container `wait` that ends after the main one, so it skips
`sidecar-starts`. Bare pods and Jobs have the same pod spec as runs. A kubelet's Kubernetes Events are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STAGE_OUT", "STEPS", "Step", "pod_stages"]

State: TypeAlias = Literal["waiting", "running", "terminated"]

_SIDECAR: Final = '(eq (or .restartPolicy "") "Always")'
_WAIT: Final = '(eq .name "wait")'
_STAGE_IN: Final = '{"ok": true, "tables": 1, "rows": 3, "size": 60}'
STAGE_OUT: Final = '{"ok": true, "rows": 3, "size": 60}'
"""Termination messages of the agents. That of stage-out does not say `empty`, so runs have the phase Publishing."""


@dataclass(frozen=True, slots=True)
class Step:
    """One status update of the kubelet.

    Attributes:
        name: name of the step.
        milliseconds: time since the previous step.
        selectors: KWOK's selectors for pods that are at the previous step.
        phase: phase of the pod.
        sidecar, init, main, wait: states of the containers.
        conditions: conditions that change.
    """

    name: str
    milliseconds: int
    selectors: tuple[dict[str, Any], ...]
    phase: str
    sidecar: State
    init: State
    main: State
    wait: State
    conditions: Mapping[str, bool] = field(default_factory=dict)


def pod_stages() -> list[dict[str, Any]]:
    """Return the KWOK stages of pods."""
    return [*map(_stage, (None, *STEPS[:-1]), STEPS), _DELETED]


def _selector(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def _states(condition: str) -> str:
    """Return a jq expression for the states of containers."""
    containers = ".status.initContainerStatuses[]?, .status.containerStatuses[]?"
    return f"({containers}) | select({condition}) | .state | keys | .[]"


_NOT_DELETED: Final = _selector(".metadata.deletionTimestamp", "DoesNotExist")
_SIDECAR_STATE: Final = _states('.name == "stage-out"')
_INIT_STATE: Final = _states('.name == "stage-in" or .name == "init"')
_MAIN_STATE: Final = _states('.name == "component" or .name == "main"')
_LAST_STATE: Final = _states('.name == "stage-out" or .name == "wait"')
_LOOK: Final = 1000
"""Milliseconds between two checks of the kubelet, and how long each container runs."""

STEPS: Final = (
    Step(
        "accepted",
        0,
        (
            _selector(".spec.nodeName", "Exists"),
            _selector(".status.phase", "In", "Pending"),
            _selector(".status.startTime", "DoesNotExist"),
        ),
        *("Pending", "waiting", "waiting", "waiting", "waiting"),
        conditions={"PodReadyToStartContainers": False, "Initialized": False, "Ready": False, "ContainersReady": False},
    ),
    Step(
        "sidecar-starts",
        _LOOK,
        (_selector(_SIDECAR_STATE, "In", "waiting"),),
        *("Pending", "running", "waiting", "waiting", "waiting"),
        conditions={"PodReadyToStartContainers": True},
    ),
    Step(
        "init-starts",
        _LOOK,
        (_selector(_INIT_STATE, "In", "waiting"), _selector(_SIDECAR_STATE, "NotIn", "waiting")),
        *("Pending", "running", "running", "waiting", "waiting"),
        conditions={"PodReadyToStartContainers": True},
    ),
    Step(
        "init-ends",
        _LOOK,
        (_selector(_INIT_STATE, "In", "running"),),
        *("Pending", "running", "terminated", "waiting", "waiting"),
        conditions={"Initialized": True},
    ),
    Step(
        "main-starts",
        _LOOK,
        (_selector(_INIT_STATE, "In", "terminated"), _selector(_MAIN_STATE, "In", "waiting")),
        *("Running", "running", "terminated", "running", "running"),
        conditions={"Ready": True, "ContainersReady": True},
    ),
    Step(
        "main-ends",
        _LOOK,
        (_selector(_MAIN_STATE, "In", "running"),),
        *("Running", "running", "terminated", "terminated", "running"),
        conditions={"Ready": False, "ContainersReady": False},
    ),
    Step(
        "sidecar-ends",
        _LOOK,
        (_selector(_MAIN_STATE, "In", "terminated"), _selector(_LAST_STATE, "In", "running")),
        *("Running", "terminated", "terminated", "terminated", "terminated"),
        conditions={"PodReadyToStartContainers": False},
    ),
    Step(
        "pod-ends",
        _LOOK,
        (_selector(_LAST_STATE, "In", "terminated"), _selector(".status.phase", "In", "Running")),
        *("Succeeded", "terminated", "terminated", "terminated", "terminated"),
    ),
)

_DELETED: Final[dict[str, Any]] = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "Stage",
    "metadata": {"name": "pod-is-deleted"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {
            "matchExpressions": [
                _selector(".metadata.deletionTimestamp", "Exists"),
                # The API server itself deletes pods that have ended.
                _selector(".status.phase", "NotIn", "Succeeded", "Failed"),
            ]
        },
        "next": {"delete": True},
    },
}


def _stage(before: Step | None, step: Step) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"pod-{step.name}"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [_NOT_DELETED, *step.selectors]},
            "delay": {"durationMilliseconds": step.milliseconds},
            "next": {"statusTemplate": _status(before, step)},
        },
    }


def _status(before: Step | None, step: Step) -> str:
    """Return the template of the status. KWOK sends it as a strategic merge patch, which merges conditions by type."""
    was = before or step
    lines = ["{{ $now := Now }}", f"phase: {step.phase}"]
    if before is None:
        lines.append("startTime: {{ $now | Quote }}")
    if step.conditions:
        lines.append("conditions:")
    lines += [
        f'- {{lastTransitionTime: {{{{ $now | Quote }}}}, status: "{holds}", type: {kind}}}'
        for kind, holds in step.conditions.items()
    ]
    sidecar = _container(was.sidecar, step.sidecar, ready="running", message=STAGE_OUT)
    init = _container(was.init, step.init, ready="terminated", message=_STAGE_IN)
    lines += _containers("initContainers", "initContainerStatuses", _SIDECAR, sidecar, init)
    wait, main = (_container(*states, ready="running") for states in ((was.wait, step.wait), (was.main, step.main)))
    lines += _containers("containers", "containerStatuses", _WAIT, wait, main)
    return "\n".join(lines) + "\n"


def _containers(spec: str, status: str, condition: str, if_true: list[str], otherwise: list[str]) -> list[str]:
    """Return the statuses of one list of containers: of those for which a condition holds, and of the others."""
    return [
        f"{status}:",
        f"{{{{ range $index, $container := .spec.{spec} }}}}",
        f"{{{{ $was := dict }}}}{{{{ with $.status.{status} }}}}{{{{ $was = (index . $index).state }}}}{{{{ end }}}}",
        "- name: {{ .name | Quote }}",
        "  image: {{ .image | Quote }}",
        '  imageID: "sha256:0123456789abcdef"',
        "  restartCount: 0",
        f"  {{{{ if {condition} }}}}",
        *if_true,
        "  {{ else }}",
        *otherwise,
        "  {{ end }}",
        "{{ end }}",
    ]


def _container(was: State, state: State, *, ready: State, message: str = "") -> list[str]:
    """Return the status of a container without its names.

    Args:
        was: its state at the previous step.
        state: its state.
        ready: the state in which it is ready.
        message: its termination message.
    """
    return [
        f"  ready: {str(state == ready).lower()}",
        f"  started: {str(state == 'running').lower()}",
        f"  state: {_state(was, state, message)}",
    ]


def _state(was: State, state: State, message: str) -> str:
    if state == "waiting":
        return "{waiting: {reason: PodInitializing}}"
    if state == was:
        return "{{ toJson $was }}"
    if state == "running":
        return "{running: {startedAt: {{ $now | Quote }}}}"
    told = f", message: '{message}'" if message else ""
    times = "finishedAt: {{ $now | Quote }}, startedAt: {{ $was.running.startedAt | Quote }}"
    return f"{{terminated: {{exitCode: 0, reason: Completed, {times}{told}}}}}"
