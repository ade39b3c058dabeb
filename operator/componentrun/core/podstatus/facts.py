"""What follows from a pod's status for its attempt: how far it came, how it ended, and when its steps are overdue.

`pod_facts` sorts a pod once for each plan, and every rule of the plan reads its answers here. So "has it started" and
"has it ended" have one answer each, and all times are by one clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.core.podstatus.view import OOM_KILLED

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.componentrun import ComponentRunStatus, Phase
    from componentrun.core.limits import Limits
    from componentrun.core.podstatus.view import ContainerView, PodView

__all__ = ["PodFacts", "pod_facts"]

_NODE_BEHIND: Final = timedelta(seconds=5)
"""How far a node's clock may be behind that of the control plane."""
_NODE_AHEAD: Final = timedelta(seconds=10)
"""How far a node's clock may be ahead of the operator's without a correction (decision 0024)."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod at the time of a plan."""

    view: PodView
    """The pod's status, with the times of its containers by the operator's clock."""
    limits: Limits
    now: datetime
    available_at: datetime
    """Since when the cluster could start the pod: its creation, or the removal of its last scheduling gate."""

    @property
    def stage_in(self) -> ContainerView:
        """The init container that brings the input."""
        return self.view.stage_in

    @property
    def component(self) -> ContainerView:
        """The component's container. In a pod with processors: the step that everything depends on now."""
        return self.view.component

    @property
    def stage_out(self) -> ContainerView:
        """The sidecar that uploads the output."""
        return self.view.stage_out

    @property
    def containers(self) -> tuple[ContainerView, ...]:
        """The reported containers, in the order in which their failures matter: the component first."""
        return tuple(c for c in (self.component, self.stage_in, self.stage_out) if c.is_reported)

    @property
    def waiting(self) -> list[ContainerView]:
        """The containers that wait, in the order in which they start."""
        view = self.view
        return [container for container in (view.stage_out, view.stage_in, view.component) if container.is_waiting]

    # How far it came

    @property
    def phase(self) -> Phase:
        """The run's phase by its containers; the pod's own phase is Running from stage-out's start to its end."""
        if self.component.has_ended:
            return "StagingOut"
        if self.component.is_running or (self.view.steps and self.view.has_started_program):
            return "Running"
        if not self.stage_in.is_waiting:
            return "StagingIn"
        return "Queued" if self.view.gates else "Pending"

    @property
    def has_failed_stage_in(self) -> bool:
        """Whether stage-in ended in such a way that the component must not be started."""
        return self.view.has_failed_stage_in

    @property
    def may_have_run_component(self) -> bool:
        """Whether the component of a pod that has ended may have run, or may still do so.

        The opposite is certain only from the kubelet's last report (it ends a pod that is deleted as Failed before it
        removes it), from a failed init container, and for a pod without a node. That a node is gone is no report of a
        kubelet.
        """
        if self.view.missed or self.view.may_lack_containers or self.view.has_started_program:
            return True
        is_reported_end = self.view.is_terminal and not self.view.is_orphaned
        if is_reported_end or (self.view.gone and not self.view.node):
            return False
        return not self.has_failed_stage_in or self.stage_in.exit_code == 0

    @property
    def programs_began_at(self) -> datetime | None:
        """When the component, or its first processor, was started; None if it was not, or that is not known."""
        return self.view.programs[0].started_at

    @property
    def gap_began_at(self) -> datetime | None:
        """Since when a pod with processors is between two steps; None while a step runs, and before and after all."""
        if self.component.has_ended or (self.component.is_program and self.component.is_running):
            return None
        return max((step.finished_at for step in self.view.programs if step.finished_at is not None), default=None)

    # How it ended

    @property
    def is_complete(self) -> bool:
        """Whether the end of every step that matters was seen: it makes no difference whether the pod still exists."""
        if self.view.is_terminal or self.has_failed_stage_in:
            return True
        return self.component.has_ended and self.stage_out.has_ended

    @property
    def has_finished(self) -> bool:
        """Whether the pod has finished: succeeded, failed, deleted, or lost with its node.

        A failed stage-in is enough: whether and when the kubelet then stops the sidecar differs between releases.
        """
        if self.view.gone or self.is_complete or self.is_given_up:
            return True
        return self.component.has_ended and self.now >= self.step_deadline

    @property
    def is_unfinished(self) -> bool:
        """Whether a step that had to end by itself did not: stage-in, the component, or the upload of its output."""
        if not self.component.has_ended:
            # A stage-in that failed by itself leaves the component waiting for ever; nothing is unfinished then.
            return not (self.has_failed_stage_in and self.view.stage_in_result is not None)
        if self.was_interrupted(self.component):
            return True
        if self.component.has_failed:
            return False
        return not self.stage_out.has_ended or (
            self.view.stage_out_result is None and self.was_interrupted(self.stage_out)
        )

    @property
    def has_complete_output(self) -> bool:
        """Whether the component ended, in whatever way, and stage-out then uploaded everything it found."""
        result = self.view.stage_out_result
        return self.component.has_ended and result is not None and result.ok and not self.stage_out.has_failed

    @property
    def has_write_always_tables(self) -> bool:
        """Whether stage-out uploaded tables that are published even if the run fails.

        Mappings and manifests may say so of a table. An error in another table is no reason to lose it.
        """
        result = self.view.stage_out_result
        return self.view.main.has_ended and result is not None and result.always > 0

    @property
    def decisive_containers(self) -> tuple[ContainerView, ...]:
        """The containers that the reason may rest on: only the component if it failed by itself.

        An earlier step that lost a process for lack of memory may have ended with 0, so that the next one was started.
        """
        now = self.component.name
        starved = tuple(step for step in self.view.steps if step.reason == OOM_KILLED and step.name != now)
        if self.component.has_failed and not self.was_interrupted(self.component):
            return (*starved, self.component)
        return (*starved, *self.containers)

    def was_interrupted(self, container: ContainerView) -> bool:
        """Whether the container ended because (or after) its pod was deleted. Times are whole seconds: a tie counts."""
        asked = self.view.deletion_asked_at
        if asked is None:
            return False
        return not container.has_ended or container.finished_at is None or container.finished_at >= asked

    def was_over_before(self, *times: datetime | None) -> bool:
        """Whether the component had ended by itself well before all these times, with its output if it succeeded.

        False if one of the times is unknown.
        """
        end = self.component.finished_at
        if not self.component.has_ended or self.component.is_lost or end is None:
            return False
        if any(time is None or end + _NODE_BEHIND >= time for time in times):
            return False
        return self.component.has_failed or self.has_complete_output

    # When its steps are overdue

    @property
    def placed_at(self) -> datetime:
        """Since when its node could start it; without a node, since when the cluster could."""
        return max(self.available_at, self.view.scheduled_at or self.available_at)

    @property
    def given_up_at(self) -> datetime | None:
        """When a pod whose deletion was requested counts as lost with its node; None if nobody requested it.

        It has its grace period, which is long, if its kubelet knows of the request. A kubelet that is alive reports
        that within seconds.
        """
        if self.view.deleted_at is None:
            return None
        grace = 0 if self.view.heard else self.view.deletion_grace_seconds or 0
        return self.view.deleted_at - timedelta(seconds=grace) + timedelta(seconds=self.limits.node_lost)

    @property
    def is_given_up(self) -> bool:
        """Whether its deletion was requested and it counts as lost with its node."""
        given_up_at = self.given_up_at
        return given_up_at is not None and self.now >= given_up_at

    @property
    def timeout_at(self) -> datetime | None:
        """When the component (or the processor that runs) reaches its timeout; None while none runs."""
        if not (self.component.is_program and self.component.is_running):
            return None
        seconds = self.view.timeout_seconds or contract.DEFAULT_TIMEOUT_SECONDS
        return (self.component.started_at or self.view.created) + timedelta(seconds=seconds)

    @property
    def start_deadline(self) -> datetime:
        """When the component should have started: time for a node and a kubelet, then for stage-in and the image.

        Between two steps: when the next program should have started; its image may have to be pulled.
        """
        if self.gap_began_at is not None:
            return self.gap_began_at + timedelta(seconds=self.limits.stage_in)
        if self.stage_in.is_waiting:
            return self.placed_at + timedelta(seconds=self.limits.pending)
        return (self.stage_in.started_at or self.view.created) + timedelta(seconds=self.limits.stage_in)

    @property
    def step_deadline(self) -> datetime:
        """When the pod's present step should be over."""
        timeout_at = self.timeout_at
        if timeout_at is not None:
            return timeout_at
        if not self.component.has_ended:
            return self.start_deadline
        ended = self.component.finished_at or self.component.started_at or self.view.created
        return ended + timedelta(seconds=self.view.upload_seconds + self.limits.node_lost)


def pod_facts(view: PodView, status: ComponentRunStatus, limits: Limits, now: datetime) -> PodFacts:
    """Sort a pod's status for a plan.

    Args:
        view: the pod.
        status: of its run; it says when the steps of the last attempt were observed.
        limits: how long the operator waits for what.
        now: the time.
    """
    is_last = bool(status.attempts) and status.attempts[-1].pod_uid == view.uid
    ahead = _clock_ahead(view, status, now) if is_last else timedelta()
    available_at = _available_at(view, status, now) if is_last else view.created
    return PodFacts(_by_our_clock(view, ahead), limits, now, available_at)


def _available_at(view: PodView, status: ComponentRunStatus, now: datetime) -> datetime:
    """When the operator saw that the last scheduling gate was gone; the pod's creation if it had none."""
    if view.gates:
        return view.created
    pending = next((item.start_time for item in reversed(status.phases) if item.phase == "Pending"), None)
    since = now if status.phase == "Queued" else pending
    return view.created if since is None or since <= status.attempts[-1].start_time else since


def _clock_ahead(view: PodView, status: ComponentRunStatus, now: datetime) -> timedelta:
    """By how much the node's clock is ahead, at least: a container can't start after it was seen running."""
    begin, ahead = status.attempts[-1].start_time, timedelta()
    for phase, container in (("StagingIn", view.stage_in), ("Running", view.programs[0])):
        if container.started_at is None:
            continue
        times = (item.start_time for item in reversed(status.phases) if item.phase == phase)
        seen_at = next((time for time in times if time >= begin), now)
        ahead = max(ahead, container.started_at - seen_at)
    return ahead if ahead > _NODE_AHEAD else timedelta()


def _by_our_clock(view: PodView, ahead: timedelta) -> PodView:
    """The view with its containers' times by the operator's clock, and none before the pod's creation."""
    containers = view.stage_in, view.component, view.stage_out, *view.steps
    times = [time for c in containers for time in (c.started_at, c.finished_at) if time is not None]
    if not times or (not ahead and min(times) >= view.created):
        return view
    stage_in, component, stage_out, *steps = (_corrected(container, view.created, ahead) for container in containers)
    return replace(view, stage_in=stage_in, component=component, stage_out=stage_out, steps=tuple(steps))


def _corrected(container: ContainerView, created: datetime, ahead: timedelta) -> ContainerView:
    started, finished = (_shifted(time, created, ahead) for time in (container.started_at, container.finished_at))
    return replace(container, started_at=started, finished_at=finished)


def _shifted(time: datetime | None, created: datetime, ahead: timedelta) -> datetime | None:
    # Subtract the smaller of the two, so that an absurd time still gives a valid datetime.
    return None if time is None else time - min(ahead, time - created)
