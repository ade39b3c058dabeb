"""What a pod's state says of what was done in it: facts that the reason of its end rests on (`diagnosis`)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun import contract
from componentrun.core.podstatus.results import LOST, stage_in_result, stage_out_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from componentrun.core.lifecycle.observed import ContainerView, PodView

__all__ = [
    "OOM_KILLED",
    "before_start",
    "containers",
    "decisive_containers",
    "failed_stage_in",
    "interrupted",
    "nothing_ran",
    "output_complete",
    "over_before",
    "saved_always",
    "unfinished",
]

OOM_KILLED: Final = "OOMKilled"
_CLOCKS: Final = timedelta(seconds=5)
"""By which a node's clock may be behind that of the control plane."""


def output_complete(pod: PodView) -> bool:
    """Whether the component ended (how ever) and stage-out then uploaded all it found."""
    if pod.component is None or pod.component.state != "terminated" or pod.stage_out is None:
        return False
    result = stage_out_result(pod.stage_out)
    return result is not None and result.ok and pod.stage_out.exit_code == contract.EXIT_SUCCESS


def saved_always(pod: PodView) -> bool:
    """Whether stage-out uploaded tables that are published also where the run fails.

    Mappings and manifests may say so of a table. What is wrong with another table is no reason to lose it.
    """
    if pod.component is None or pod.component.state != "terminated":
        return False
    result = stage_out_result(pod.stage_out)
    return result is not None and result.always > 0


def failed_stage_in(container: ContainerView) -> bool:
    """Whether stage-in ended and the component can't be right after that."""
    if container.state != "terminated":
        return False
    result = stage_in_result(container)
    return container.exit_code != 0 or container.reason == OOM_KILLED or (result is not None and not result.ok)


def before_start(pod: PodView) -> bool:
    """Whether the component has not started (and may still do so)."""
    return pod.component is None or pod.component.state == "waiting"


def interrupted(pod: PodView, container: ContainerView) -> bool:
    """Whether the container ended because (or after) its pod was deleted. Times are whole seconds: a tie is a yes."""
    asked = pod.deletion_asked_at
    if asked is None:
        return False
    return container.state != "terminated" or container.finished_at is None or container.finished_at >= asked


def over_before(pod: PodView, *times: datetime | None) -> bool:
    """Whether the component had ended by itself well before all these times, and nothing of what follows is missing.

    Not where a time is not known.
    """
    component = pod.component
    if component is None or component.state != "terminated" or component.reason in LOST:
        return False
    end = component.finished_at
    if end is None or any(time is None or end + _CLOCKS >= time for time in times):
        return False
    return component.exit_code != contract.EXIT_SUCCESS or output_complete(pod)


def nothing_ran(pod: PodView) -> bool:
    """Whether no container of the pod was started, as far as its status says."""
    return all(container.state == "waiting" and not container.ran_before for container in containers(pod))


def unfinished(pod: PodView) -> bool:
    """Whether something that had to end by itself did not: stage-in, the component, or a good component's upload."""
    stage_in, component, stage_out = pod.stage_in, pod.component, pod.stage_out
    if component is None or component.state != "terminated":
        # A stage-in that failed by itself leaves the component waiting for ever; then there is nothing unfinished.
        own_failure = stage_in is not None and failed_stage_in(stage_in) and stage_in_result(stage_in) is not None
        return not own_failure
    if interrupted(pod, component):
        return True
    if component.exit_code != contract.EXIT_SUCCESS:
        return False
    return (
        stage_out is None
        or stage_out.state != "terminated"
        or (stage_out_result(stage_out) is None and interrupted(pod, stage_out))
    )


def decisive_containers(pod: PodView) -> Iterator[ContainerView]:
    """The containers; where the component had failed by itself only that: what then became of agents is no reason."""
    component = pod.component
    failed = (
        component is not None
        and component.state == "terminated"
        and component.exit_code != contract.EXIT_SUCCESS
        and not interrupted(pod, component)
    )
    return (container for container in containers(pod) if not failed or container is component)


def containers(pod: PodView) -> Iterator[ContainerView]:
    """In the order in which their failures matter: the component first."""
    for container in (pod.component, pod.stage_in, pod.stage_out):
        if container is not None:
            yield container
