"""The few fields of runs and pods that the collector reads, so that nothing else is kept in memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.componentrun import ComponentRunStatus
from componentrun.core.builds.exchange import STEPS
from componentrun.core.lifecycle.ending import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ContainerFacts", "PodFacts", "RunFacts", "build_pod_facts", "has_waited_for", "pod_facts", "run_facts"]

_NOT_STARTED: Final = frozenset(
    {"StartError", "ContainerCannotRun", "CreateContainerError", "CreateContainerConfigError"}
)
_POD_ENDED: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run."""

    namespace: str
    name: str
    uid: str
    component: str
    """Name of the Component; the image if the run names none."""
    configuration: str
    storage: str | None
    """The Storage in use, or else in the spec; None: the namespace's default."""
    status: ComponentRunStatus
    version: str = ""
    """Its resource version."""
    generation: int = 0
    created: datetime | None = None
    """When its object was created, to the second; None if not known."""

    @property
    def ended(self) -> bool:
        """Whether the operator has decided how the run ended."""
        return is_terminal(self.status)

    @property
    def delivered(self) -> bool:
        """Whether all of its events are reported as delivered."""
        return self.status.events is not None and self.status.events.delivered


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """One container of a run's pod."""

    name: str
    started: bool
    """It is running or has run, so it has a log."""
    ended: bool
    """It has terminated and is not restarted."""
    never_ran: bool
    """It could not be started."""
    restarts: int
    started_at: datetime | None
    """When it was started last; None if not known."""
    finished_at: datetime | None = None
    """When it terminated; None if it runs, or that is not known."""
    image_id: str = ""
    """Digest of its image, once it runs."""
    sidecar: bool = False
    """It runs until its pod is terminated."""
    failed: bool = False
    """It has terminated with an error, so later containers are not started."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of a run, or of a build that runs wait for."""

    namespace: str
    name: str
    uid: str
    run: str
    """Name of the run."""
    run_uid: str
    attempt: int | None
    """Number of its attempt, from 1."""
    ended: bool
    """All of its containers have ended, or will not be started."""
    deleting: bool
    """Its deletion was requested."""
    node: str = ""
    """Its node; empty until it is scheduled."""
    containers: tuple[ContainerFacts, ...] = field(default=())
    build: tuple[str, str] | None = None
    """Namespace and name of its ComponentBuild; None: it is the pod of a run."""
    created: datetime | None = None
    """When it was created, to the second; None if not known."""

    @property
    def may_start(self) -> bool:
        """Whether its component, or the last of its processors, has not been started, and may still be."""
        steps = [item for item in self.containers if names.is_step(item.name)]
        done = bool(steps) and (steps[-1].started or steps[-1].ended)
        return not (self.ended or done or any(item.failed and not item.sidecar for item in self.containers))


def run_facts(raw: Mapping[str, Any]) -> RunFacts:
    """Read a ComponentRun as the API server sends it.

    Raises:
        ValueError: this release does not understand its status.
    """
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    status = ComponentRunStatus.model_validate(raw.get("status") or {})
    configuration = spec.get("configuration") or {}
    return RunFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        component=spec.get("component") or spec.get("image") or "",
        configuration=configuration.get("id") or "",
        storage=status.storage or spec.get("storage"),
        status=status,
        version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        created=_moment(metadata.get("creationTimestamp")),
    )


def pod_facts(raw: Mapping[str, Any]) -> PodFacts:
    """Read the Pod of a run as the API server sends it."""
    return _pod(raw, None)


def build_pod_facts(raw: Mapping[str, Any]) -> PodFacts:
    """Read the Pod of a build as the API server sends it."""
    labels = raw["metadata"]["labels"]
    return _pod(raw, (labels[names.BUILD_NAMESPACE_LABEL], labels[names.BUILD_LABEL]))


def has_waited_for(run: RunFacts, pod: PodFacts) -> bool:
    """Whether a run waits, or has waited, for the build of this pod.

    A ComponentBuild may be created again with the same name, so the pod has to be from the time in which the run
    waited. The kubelet and the API server tell times to the second, rounded down.
    """
    build, phases = run.status.build, run.status.phases
    waits = [number for number, item in enumerate(phases) if item.phase == "Building"]
    if build is None or pod.build != (run.namespace, build.name) or not waits:
        return False
    since, later = phases[waits[0]].start_time.replace(microsecond=0), phases[waits[-1] + 1 :]
    if later and pod.created is not None and pod.created > later[0].start_time:
        return False
    ends = [item.finished_at for item in pod.containers if item.finished_at is not None]
    return not (pod.ended and ends) or max(ends) >= since


def _pod(raw: Mapping[str, Any], build: tuple[str, str] | None) -> PodFacts:
    metadata, status = raw["metadata"], raw.get("status") or {}
    labels = metadata.get("labels") or {}
    ended = status.get("phase") in _POD_ENDED
    found = {
        item["name"]: item for kind in ("initContainerStatuses", "containerStatuses") for item in status.get(kind) or ()
    }
    sidecars = {
        item["name"]
        for item in (raw.get("spec") or {}).get("initContainers") or ()
        if item.get("restartPolicy") == "Always"
    }
    return PodFacts(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        run=labels.get(names.RUN_LABEL, ""),
        run_uid=labels.get(names.RUN_UID_LABEL, ""),
        attempt=int(attempt) if (attempt := labels.get(names.ATTEMPT_LABEL, "")).isdecimal() else None,
        ended=ended,
        deleting="deletionTimestamp" in metadata,
        node=(raw.get("spec") or {}).get("nodeName") or "",
        containers=tuple(
            _container(found[name], ended, name in sidecars)
            for name in (_in_order(found) if build is None else [step for step in STEPS if step in found])
        ),
        build=build,
        created=_moment(metadata.get("creationTimestamp")),
    )


def _in_order(found: Iterable[str]) -> list[str]:
    """The names of a run's containers in the order in which their work begins. The kubelet reports steps in order."""
    order = {name: number for number, name in enumerate(names.CONTAINERS)}
    there = [name for name in found if names.is_of_a_run(name)]
    return sorted(there, key=lambda name: order.get(name, order[names.COMPONENT]))


def _container(raw: Mapping[str, Any], pod_ended: bool, sidecar: bool) -> ContainerFacts:  # noqa: FBT001 - private
    state = raw.get("state") or {}
    terminated = state.get("terminated")
    restarts = int(raw.get("restartCount") or 0)
    return ContainerFacts(
        name=raw["name"],
        started=bool(raw.get("containerID")),
        # A sidecar that terminates while the pod goes on is started again.
        ended=pod_ended or (terminated is not None and not sidecar),
        never_ran=not restarts and (terminated or {}).get("reason") in _NOT_STARTED,
        restarts=restarts,
        started_at=_moment((state.get("running") or terminated or {}).get("startedAt")),
        finished_at=_moment((terminated or {}).get("finishedAt")),
        image_id=raw.get("imageID") or "",
        sidecar=sidecar,
        failed=terminated is not None and terminated.get("exitCode", 0) != 0,
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
