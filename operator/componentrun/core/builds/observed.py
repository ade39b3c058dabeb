"""What the pod of a build says about the build. Pure.

`_RULES` is the order of precedence: the first rule that recognises an end decides. A step that failed by itself keeps
its own reason, also if the pod was deleted afterwards. What happened to the pod, and not because of the build, is
`is_gone`: another pod may succeed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.build.componentbuild import BuildDependencies, BuildStep, BuildStepName, PushedLayers
from componentrun.core.builds.exchange import COMMANDS, FETCH, PUSH, STEPS, read_report
from componentrun.core.builds.failures.commands import command_failure
from componentrun.core.builds.failures.starts import next_look, start_failure, wait_failure
from componentrun.core.builds.failures.verdict import BuildFailure, build_failure
from componentrun.core.podstatus.diagnosis import OWN_DISK, SHUT_DOWN
from componentrun.core.podstatus.reading import read_containers, read_pod
from componentrun.core.podstatus.results import (
    SIGNAL_BASE,
    agent_reason,
    capitalized,
    ending,
    excerpt,
    last_words,
)
from componentrun.core.podstatus.stuck import IMAGE_REASONS, START_REASONS
from componentrun.core.podstatus.view import OOM_KILLED, ContainerView, PodView
from componentrun.reasons import GUIDANCE, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.api.build.componentbuild import ComponentBuildSpec
    from componentrun.core.builds.exchange import StepReport

__all__ = ["BuildFailure", "BuildPodState", "has_stopped", "read_build_pod"]

PodPhase = Literal["Pending", "Fetching", "Building", "Pushing", "Succeeded", "Failed"]

_STEP_NAMES: Final[dict[str, BuildStepName]] = {FETCH: "fetch", COMMANDS: "commands", PUSH: "push"}
PENDING_SECONDS: Final = 600
"""How long a pod may wait for a node and a kubelet. As `core.limits.Limits.pending`."""
_LOST_NODE: Final = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_ENDLESS_STEP: Final = "A step of a Dockerfile ends when all processes that it has started have ended."
_EVICTED: Final = frozenset({"EvictionByEvictionAPI", "PreemptionByScheduler", "TerminationByKubelet"})


@dataclass(frozen=True, slots=True)
class BuildPodState:
    """What the pod of a build says about the build."""

    phase: PodPhase
    """`Failed` also if the pod still waits for what will not happen, such as an image that does not exist. It is to be
    deleted then."""
    steps: tuple[BuildStep, ...] = ()
    """Steps that have begun, in order."""
    digest: str | None = None
    """Digest of the image, if `Succeeded`."""
    pushed: PushedLayers | None = None
    """What pushing has sent, if `Succeeded`."""
    dependencies: BuildDependencies | None = None
    """The layer of the dependencies, if `Succeeded` and later builds can use it."""
    failure: BuildFailure | None = None
    """Set if and only if the phase is `Failed`."""
    is_gone: bool = False
    """Whether the pod was deleted, evicted or lost with its node before the build was decided: another pod may succeed.
    `failure` says what happened, for the case that there were too many."""
    look_again_at: datetime | None = None
    """When the state changes without a change of the pod, because waiting has no point any more; None: never."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """A pod at the time of a look."""

    view: PodView
    fetch: ContainerView
    commands: ContainerView
    push: ContainerView
    spec: ComponentBuildSpec
    now: datetime

    @property
    def containers(self) -> tuple[ContainerView, ...]:
        return self.fetch, self.commands, self.push

    @property
    def current(self) -> ContainerView:
        """The step that has failed, runs, or is the next to start; the last one if all have ended."""
        return next((step for step in self.containers if step.has_failed or not step.has_ended), self.push)

    @property
    def is_interrupted(self) -> bool:
        """Whether something has ended the pod, or is about to, that the build is not the cause of."""
        view = self.view
        return bool(view.deleted_at or view.disruption or view.reason)

    @property
    def is_pending(self) -> bool:
        """Whether nothing has started yet, and no image and no container's creation has failed."""
        return not any(c.has_started or c.reason in IMAGE_REASONS | START_REASONS for c in self.containers)

    def is_own_end(self, container: ContainerView) -> bool:
        """Whether a container has ended by itself, and not because its pod was stopped."""
        if not container.has_ended or container.is_lost:
            return False
        asked, end = self.view.deletion_asked_at, container.finished_at
        was_before = asked is not None and end is not None and end < asked
        # The shell of the commands ignores SIGTERM, so whoever stops the pod ends it with SIGKILL.
        was_killed = (container.exit_code or 0) > SIGNAL_BASE
        return not self.is_interrupted or was_before or not was_killed


def read_build_pod(pod: dict[str, Any] | None, spec: ComponentBuildSpec, now: datetime) -> BuildPodState:
    """What a pod says about its build.

    Args:
        pod: the pod as the API server sends it, also with its last state after it was deleted; None: it does not exist
            any more, and nobody has seen its end.
        spec: the build.
        now: the time.
    """
    if pod is None:
        missing = build_failure(Reason.POD_DELETED, "The build's pod does not exist any more.", is_transient=True)
        return BuildPodState("Failed", failure=missing, is_gone=True)
    status = pod.get("status")
    found = {view.name: view for view in read_containers(status if isinstance(status, dict) else {})}
    fetch, commands, push = (found.get(name) or ContainerView(name, is_reported=False) for name in STEPS)
    facts = _Facts(read_pod(pod), fetch, commands, push, spec, now)
    steps = tuple(_step(container) for container in facts.containers if container.started_at is not None)
    done = _succeeded(facts, steps)
    if done is not None:
        return done
    for rule in _RULES:
        failure = rule(facts)
        if failure is not None:
            return BuildPodState("Failed", steps, failure=failure, is_gone=rule in _GONE)
    return BuildPodState(_phase(facts), steps, look_again_at=_look_again_at(facts))


def has_stopped(pod: dict[str, Any]) -> bool:
    """Whether nothing of a pod runs, or will be started. A pod with a step that has failed starts no further one."""
    status = pod.get("status")
    views = read_containers(status if isinstance(status, dict) else {})
    steps = [view for view in views if view.name in STEPS]
    is_over = any(step.has_failed or (step.name == PUSH and step.has_ended) for step in steps)
    return read_pod(pod).is_terminal or (is_over and not any(step.is_running for step in steps))


def _step(container: ContainerView) -> BuildStep:
    return BuildStep(
        name=_STEP_NAMES[container.name],
        start_time=container.started_at,
        completion_time=container.finished_at,
        exit_code=container.exit_code if not container.is_lost else None,
    )


def _phase(facts: _Facts) -> PodPhase:
    if facts.commands.has_ended:
        return "Pushing"
    if facts.fetch.has_ended:
        return "Building"
    return "Pending" if facts.fetch.is_waiting else "Fetching"


def _succeeded(facts: _Facts, steps: tuple[BuildStep, ...]) -> BuildPodState | None:
    """The image is there: whatever happens to the pod afterwards does not matter."""
    report = _report(facts.push)
    if report is None or not report.ok or facts.push.exit_code != 0 or not report.digest:
        return None
    pushed = PushedLayers(
        sent_bytes=report.sent_bytes,
        mounted_layers=report.mounted_layers,
        known_layers=report.known_layers,
        copied_layers=report.copied_layers,
    )
    return BuildPodState("Succeeded", steps, report.digest, pushed, _dependencies(report))


def _dependencies(report: StepReport) -> BuildDependencies | None:
    layer = report.dependencies
    if layer is None:
        return None
    return BuildDependencies(
        state="Reused" if report.were_reused else "Installed",
        key=layer.key,
        digest=layer.digest,
        size=layer.size,
        diff_id=layer.diff_id,
    )


def _report(container: ContainerView) -> StepReport | None:
    return read_report(container.message) if container.has_ended else None


# What the steps report


def _reported(facts: _Facts) -> BuildFailure | None:
    """Fetch or push failed, and said why."""
    for container in (facts.fetch, facts.push):
        report = _report(container)
        if report is not None and not report.ok:
            reason = agent_reason(report.reason, Reason.INTERNAL)
            message = f"{capitalized(excerpt(report.message or 'no reason was given', 2000))}."
            return build_failure(reason, message, report.advice, is_transient=report.is_transient)
    return None


def _image(facts: _Facts) -> str:
    """The image in which the commands run, for messages."""
    return facts.spec.parent or "the image of BuildKit"


def _out_of_memory(facts: _Facts) -> BuildFailure | None:
    for container in facts.containers:
        if container.has_failed and container.reason == OOM_KILLED:
            message = (
                f"The kernel killed {_title(container)} for using more memory than the limit of a build "
                f"({ending(container)})."
            )
            return build_failure(Reason.BUILD_OUT_OF_MEMORY, message, words=_words(facts))
    return None


def _not_started(facts: _Facts) -> BuildFailure | None:
    """A container whose program could not be started."""
    for container in facts.containers:
        failed = container.has_failed and facts.is_own_end(container)
        found = start_failure(container, _image(facts), facts.view.node) if failed else None
        if found is not None:
            return build_failure(found.reason, found.message, found.advice, is_transient=found.is_transient)
    return None


def _commands_failed(facts: _Facts) -> BuildFailure | None:
    commands = facts.commands
    if not commands.has_failed or not facts.is_own_end(commands):
        return None
    found = command_failure(commands, last_words(commands), is_dockerfile=facts.spec.engine == "dockerfile")
    is_transient = found.reason is Reason.BUILDER_UNAVAILABLE
    return build_failure(found.reason, found.summary, found.advice, last_words(commands), is_transient=is_transient)


def _silent(facts: _Facts) -> BuildFailure | None:
    """Fetch or push ended without a report that can be read."""
    for container in (facts.fetch, facts.push):
        ended_well = container is facts.fetch and container.exit_code == 0
        if container.has_ended and not ended_well and facts.is_own_end(container):
            message = f"{capitalized(_title(container))} ended with {ending(container)} and left no report."
            advice = "This is a defect of the platform: look at the log of the step in the build's pod."
            return build_failure(Reason.INTERNAL, message, advice)
    return None


# What happened to the pod


def _disk_full(facts: _Facts) -> BuildFailure | None:
    view = facts.view
    if view.reason != "Evicted" and view.disruption != "TerminationByKubelet":
        return None
    if not OWN_DISK.search(view.message):
        return None
    message = f"The build wrote more than it may: {excerpt(view.message)}."
    return build_failure(Reason.BUILD_DISK_FULL, message, words=_words(facts))


def _timeout(facts: _Facts) -> BuildFailure | None:
    """The kubelet ended the pod. The message of a build that its commands had failed before is theirs."""
    if facts.view.reason != "DeadlineExceeded":
        return None
    # At the end, the step that was killed has failed; the steps after it have not started.
    message = (
        f"The build took longer than its timeout of {facts.spec.timeout_seconds} s, which includes pulling the parent "
        f"image. The last step was `{facts.current.name}`."
    )
    advice = GUIDANCE[Reason.BUILD_TIMEOUT].advice
    if facts.spec.engine == "dockerfile" and facts.current is facts.commands:
        advice = f"{advice} {_ENDLESS_STEP}"
    return build_failure(Reason.BUILD_TIMEOUT, message, advice, _words(facts))


def _node_lost(facts: _Facts) -> BuildFailure | None:
    view = facts.view
    is_lost = any(container.is_lost for container in facts.containers)
    if not is_lost and view.reason not in SHUT_DOWN | {"NodeLost"} and view.disruption not in _LOST_NODE:
        return None
    words = f" ({excerpt(view.message)})" if view.message else ""
    return build_failure(
        Reason.NODE_LOST,
        f"{_node(view)} stopped responding, or was shut down, while it built the image{words}.",
        is_transient=True,
    )


def _evicted(facts: _Facts) -> BuildFailure | None:
    view = facts.view
    if view.reason not in {"Evicted", "Preempting", "Preempted"} and view.disruption not in _EVICTED:
        return None
    words = excerpt(view.message) or view.disruption or "no reason given"
    message = f"{_node(view)} was drained or ran short, and the build's pod was evicted: {words}."
    return build_failure(Reason.EVICTED, message, is_transient=True)


def _refused_by_node(facts: _Facts) -> BuildFailure | None:
    """The kubelet did not admit the pod, or gave it up before anything of it ran."""
    view = facts.view
    if view.phase != "Failed" or any(container.has_started for container in facts.containers):
        return None
    why = ": ".join(filter(None, (view.reason, excerpt(view.message)))) or "no reason given"
    return build_failure(Reason.NODE_REFUSED, f"{_node(view)} refused the build's pod: {why}.", is_transient=True)


def _deleted(facts: _Facts) -> BuildFailure | None:
    view = facts.view
    if view.deleted_at is None:
        return None
    message = f"Somebody deleted pod `{view.name}` before the image was built."
    return build_failure(Reason.POD_DELETED, message, is_transient=True)


# What a pod waits for


def _waits_in_vain(facts: _Facts) -> BuildFailure | None:
    """The image of the next step can't be pulled, or its container can't be created."""
    container = facts.current
    if container.has_ended or not container.is_waiting:
        return None
    found = wait_failure(container, _image(facts), _waits_since(facts), facts.now)
    if found is None:
        return None
    return build_failure(found.reason, found.message, found.advice, is_transient=found.is_transient)


def _not_placed(facts: _Facts) -> BuildFailure | None:
    """No node took the pod, or its kubelet did not start it."""
    view = facts.view
    if not facts.is_pending or facts.now < _pending_until(view):
        return None
    if not view.scheduled:
        why = excerpt(view.unschedulable) or "no scheduler has looked at it"
        message = f"No node could take the build's pod for {PENDING_SECONDS} s: {why}."
        return build_failure(Reason.UNSCHEDULABLE, message, "This is up to the platform team: have nodes added.")
    message = f"Node `{view.node}` has not started the build's pod for {PENDING_SECONDS} s."
    return build_failure(Reason.START_FAILED, message, "Look at the pod's events and at the node's kubelet.")


def _unknown(facts: _Facts) -> BuildFailure | None:
    view = facts.view
    if not view.is_terminal:
        return None
    containers = ", ".join(f"{c.name} {c.state} {c.reason}".strip() for c in facts.containers)
    message = (
        f"Pod `{view.name}` ended in a way that ComponentRun does not know (phase {view.phase}, "
        f"reason `{view.reason or 'none'}`, {containers})."
    )
    return build_failure(Reason.INTERNAL, message)


def _look_again_at(facts: _Facts) -> datetime | None:
    if not facts.current.is_waiting:
        return None
    chance = next_look(facts.current, _waits_since(facts))
    return _pending_until(facts.view) if chance is None and facts.is_pending else chance


def _pending_until(view: PodView) -> datetime:
    return max(view.created, view.scheduled_at or view.created) + timedelta(seconds=PENDING_SECONDS)


def _waits_since(facts: _Facts) -> datetime:
    """Since when the next step could start."""
    ended = [container.finished_at for container in facts.containers if container.finished_at is not None]
    return max(facts.view.created, facts.view.scheduled_at or facts.view.created, *ended)


def _words(facts: _Facts) -> str | None:
    return last_words(facts.commands)


def _node(view: PodView) -> str:
    """The pod's node, at the beginning of a sentence."""
    return f"Node `{view.node}`" if view.node else "The pod's node"


def _title(container: ContainerView) -> str:
    return "the commands" if container.name == COMMANDS else f"step `{container.name}`"


_GONE: Final = frozenset({_node_lost, _evicted, _refused_by_node, _deleted})
"""Rules about what happened to the pod, and not because of the build."""
_RULES: Final[tuple[Callable[[_Facts], BuildFailure | None], ...]] = (
    _reported,
    _out_of_memory,
    _disk_full,
    _timeout,
    _not_started,
    _commands_failed,
    _node_lost,
    _evicted,
    _refused_by_node,
    _deleted,
    _silent,
    _waits_in_vain,
    _not_placed,
    _unknown,
)
