"""A pod's status as named fields: what its object says, whoever asks and whenever. No decision looks at raw JSON.

`reading.read_pod` makes a view for each state of a pod, and the controller's cache keeps it. What follows from a view
for an attempt at a given time is in `facts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from componentrun.api import names

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.wire.agents import StageInResult, StageOutResult
    from componentrun.wire.chain import StepResult

__all__ = ["LOST", "OOM_KILLED", "START_ERRORS", "ContainerView", "PodView", "decisive_step", "program_title"]

OOM_KILLED: Final = "OOMKilled"
"""Reason of a container of which a process was killed for memory; its exit code may be 0."""
LOST: Final = frozenset({"ContainerStatusUnknown", "Unknown"})
"""Reasons of a container that the kubelet no longer found, for instance after a reboot: its exit code is made up."""
START_ERRORS: Final = frozenset({"StartError", "ContainerCannotRun", "RunContainerError"})
"""Reasons of a container that ended before its program began."""
_TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container's status. A container that the kubelet has not reported yet is waiting."""

    name: str
    state: Literal["waiting", "running", "terminated"] = "waiting"
    is_reported: bool = True
    """Whether the pod's status mentions it."""
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    signal: int | None = None
    started_at: datetime | None = None
    """By its node's clock; `facts` corrects it."""
    finished_at: datetime | None = None
    """By its node's clock; `facts` corrects it."""
    image_id: str = ""
    restarts: int = 0
    ran_before: bool = False
    """Whether it has a last state: a kubelet that lost sight of a container that ran reports `waiting` (seen)."""
    processor: str = ""
    """Name of its Component, if it is a processor."""
    image: str = ""
    """The image to pull, while it waits; empty: unknown."""
    is_cut: bool = False
    """Whether the end of its message may be missing: a kubelet keeps an equal share of 12 KiB for each container."""

    @property
    def is_program(self) -> bool:
        """Whether it is the component or a processor, and not an agent."""
        return names.is_program(self.name)

    @property
    def title(self) -> str:
        """What it is, for messages: `the component`, ``processor `unzip` (after-1)``, `` `stage-in` ``."""
        return program_title(self.name, self.processor) if self.is_program else f"`{self.name}`"

    @property
    def is_waiting(self) -> bool:
        """Whether it does not run now, and may still be started."""
        return self.state == "waiting"

    @property
    def is_running(self) -> bool:
        """Whether it runs now."""
        return self.state == "running"

    @property
    def has_started(self) -> bool:
        """Whether it was ever started, as far as the kubelet knows."""
        return self.state != "waiting" or self.restarts > 0 or self.ran_before

    @property
    def has_ended(self) -> bool:
        """Whether it has terminated."""
        return self.state == "terminated"

    @property
    def has_failed(self) -> bool:
        """Whether it has terminated with another exit code than 0."""
        return self.state == "terminated" and self.exit_code != 0

    @property
    def is_lost(self) -> bool:
        """Whether the kubelet no longer found it, so that its exit code is made up."""
        return self.state == "terminated" and self.reason in LOST


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod's status."""

    name: str
    uid: str
    attempt: int
    created: datetime
    phase: str
    """The pod's own phase; it ignores a sidecar's exit code, so decisions read the containers."""
    node: str = ""
    reason: str = ""
    message: str = ""
    scheduled: bool = False
    gates: tuple[str, ...] = ()
    """Scheduling gates: no scheduler considers the pod until the last of them is removed."""
    scheduled_at: datetime | None = None
    """When it was bound to its node, which may have been added for it; None if none, or unknown."""
    acknowledged_at: datetime | None = None
    """When its kubelet reported it first (`status.startTime`), by its node's clock."""
    unschedulable: str = ""
    """The scheduler's message while no node fits."""
    disruption: str = ""
    """Reason of the condition DisruptionTarget: EvictionByEvictionAPI, PreemptionByScheduler, ..."""
    disruption_message: str = ""
    disrupted_at: datetime | None = None
    """When the condition was set. The kubelet's own disruption does not start the timer: it sets this time
    anew when all containers have ended (Kubernetes, status_manager.go, mergePodStatus)."""
    deleted_at: datetime | None = None
    """metadata.deletionTimestamp: when the grace period ends."""
    deletion_grace_seconds: int | None = None
    deletion_asked_at: datetime | None = None
    """When its deletion was first requested; the kubelet's own, last request gives `deleted_at` another meaning."""
    heard: bool = True
    """Whether the kubelet knows of the deletion. Always true for a kubelet that reports no generation (before 1.34)."""
    gone: bool = False
    """Whether it disappeared from watch and listing; this is its last known state. It may still exist: a watch with a
    label selector reports DELETED when a pod loses a label."""
    confirmed: bool = False
    """Whether a request by name has confirmed that it does not exist."""
    mislabelled: bool = False
    """Whether one of the labels that select it is missing or changed, so that watches may not report its changes."""
    missed: bool = False
    """Whether nobody saw its end: it may have come further than this."""
    may_lack_containers: bool = False
    """Whether its kubelet may have dropped the statuses of containers that ran, as one that was restarted does with a
    pod that it refuses. It is certain that it did not only if its refusal was seen to be the first thing that a kubelet
    did with the pod (`reading.with_history`)."""
    group: str = ""
    """The concurrency group of its run, as fixed when the pod was created; empty: none."""
    counted: bool = True
    """Whether it counts towards the namespace's limit."""
    timeout_seconds: int = 0
    """Timeout of its component (or of the step that `component` is), fixed when the pod was created."""
    upload_seconds: int = 0
    """Timeout of stage-out, fixed when the pod was created."""
    stage_in: ContainerView = ContainerView(names.STAGE_IN, is_reported=False)
    stage_out: ContainerView = ContainerView(names.STAGE_OUT, is_reported=False)
    component: ContainerView = ContainerView(names.COMPONENT, is_reported=False)
    """The component. In a pod with processors: the step that everything depends on now, see `decisive_step`."""
    steps: tuple[ContainerView, ...] = ()
    """The component, its processors, and the agents between them, in order; empty without processors."""
    stage_in_result: StageInResult | None = None
    """The termination message of stage-in; None if it has not ended or left nothing that can be read."""
    stage_out_result: StageOutResult | None = None
    """The termination message of stage-out; None if it has not ended or left nothing that can be read."""
    step_result: StepResult | None = None
    """The termination message of the agent that `component` is; None if it is no agent, has not ended or left nothing
    that can be read."""

    @property
    def main(self) -> ContainerView:
        """The component itself, whichever step runs."""
        return next((step for step in self.steps if step.name == names.COMPONENT), self.component)

    @property
    def programs(self) -> tuple[ContainerView, ...]:
        """The component and its processors, in order."""
        return tuple(step for step in self.steps if step.is_program) or (self.component,)

    @property
    def has_started_program(self) -> bool:
        """Whether the component or a processor was ever started."""
        return any(program.has_started for program in self.programs)

    @property
    def is_terminal(self) -> bool:
        """Whether the kubelet has reported that all its containers ended and none is restarted."""
        return self.phase in _TERMINAL_PHASES

    @property
    def is_admitted(self) -> bool:
        """Whether a kubelet has reported any of its containers: then it had not refused the pod."""
        return self.stage_out.is_reported or self.stage_in.is_reported or self.component.is_reported

    @property
    def is_orphaned(self) -> bool:
        """Whether the control plane ended it, because its node is gone: its kubelet did not report its end.

        The pod's last status may be older than what its containers did.
        """
        return self.disruption == "DeletionByPodGC" and bool(self.node)

    @property
    def has_started(self) -> bool:
        """Whether any of its containers was started: then its volumes, and its Secret, were there."""
        return self.stage_out.has_started or self.stage_in.has_started or self.has_started_program

    @property
    def has_failed_stage_in(self) -> bool:
        """Whether stage-in ended in such a way that the component must not be started."""
        ended, result = self.stage_in, self.stage_in_result
        if not ended.has_ended:
            return False
        return ended.exit_code != 0 or ended.reason == OOM_KILLED or (result is not None and not result.ok)

    @property
    def can_run_component(self) -> bool:
        """Whether its component still runs or may be started. A pod that only left the watch counts as existing."""
        if self.is_terminal or (self.gone and self.confirmed):
            return False
        return not self.has_failed_stage_in and not self.component.has_ended

    def is_being_deleted_within(self, grace_seconds: int) -> bool:
        """Whether its deletion was requested, with at most this grace period."""
        return self.deleted_at is not None and (self.deletion_grace_seconds or 0) <= grace_seconds


def program_title(container: str, component: str) -> str:
    """A program as messages name it.

    Args:
        container: name of its container.
        component: name of its Component.
    """
    return "the component" if container == names.COMPONENT else f"processor `{component}` ({container})"


def decisive_step(steps: tuple[ContainerView, ...]) -> ContainerView:
    """The step of a pod with processors that everything depends on: how far the pod came, and how it ends.

    That is the first one that failed, because none is started after it; else the first one that has not ended; else the
    last one.
    """
    failed = next((step for step in steps if step.has_failed), None)
    return failed or next((step for step in steps if not step.has_ended), steps[-1])
