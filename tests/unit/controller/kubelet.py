"""A kubelet that takes one pod of a `World` through all of its steps, and a collector that reports its events.

Real: the order of the steps, what each changes in the pod's status, that times are whole seconds, and the collector's
patch. Left out: what the agents and the collector do besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.collector.runs import report
from componentrun.collector.runs.facts import run_facts
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.wire.agents import StageInResult, StageOutResult, to_json
from tests.unit.controller.fakekube import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tests.unit.controller.fakes import FakeOperator, World

_TICK = 0.1
_IMAGES = {names.COMPONENT: "cleaner@sha256:1"}
_WAITING = {"waiting": {"reason": "PodInitializing"}}


@dataclass(frozen=True)
class Durations:
    """Seconds of each step of a pod: those of a tiny run on a real node.

    Attributes:
        scheduled: from the pod's creation to its node.
        sidecar: from there to the start of stage-out.
        gap: from the start of stage-out, or the end of a container, to the start of the next container.
        stage_in: of stage-in.
        component: of the component, and of each processor.
        agent: of the agent between two of them.
        stage_out: from the component's end to that of stage-out.
        collector: from the run's end to the collector's report.
    """

    scheduled: float = 0.1
    sidecar: float = 0.5
    gap: float = 0.8
    stage_in: float = 0.4
    component: float = 1.2
    agent: float = 0.2
    stage_out: float = 0.9
    collector: float = 0.6


class Node:
    """The node of one run's pod.

    Attributes:
        phases: the run's phases as somebody sees them who watches it.
    """

    def __init__(
        self,
        world: World,
        run: str = "load",
        *,
        durations: Durations | None = None,
        said: StageOutResult | None = None,
        codes: Mapping[str, int] | None = None,
    ) -> None:
        """A node for the pod of this run.

        Args:
            world: where it is.
            run: name of the run.
            durations: how long each step takes.
            said: stage-out's termination message; None: that of `World`, whose component writes a table.
            codes: exit codes of steps that fail, by container.
        """
        self.phases: list[str] = []
        self._world, self._run, self._said = world, run, said
        self._durations = durations or Durations()
        self._codes = dict(codes or {})
        self._chain: list[str] = [names.COMPONENT]
        """The component, its processors and the agents between them, in the order of the pod."""
        self._states = dict.fromkeys((names.STAGE_OUT, names.STAGE_IN, names.COMPONENT), _WAITING)
        self._steps: list[tuple[datetime, str]] | None = None
        self._ended_at: datetime | None = None
        self._acknowledged_at = ""

    async def live(self, operator: FakeOperator, seconds: float) -> None:
        """Let the operator and the node work for so many seconds of that world's time."""
        for _ in range(round(seconds / _TICK)):
            await operator.work()
            self._watch()
            self._world.now += timedelta(seconds=_TICK)
            await self._go_on()
            self._collect()

    async def pass_by(self, seconds: float) -> None:
        """Let the node work for so many seconds, without any operator."""
        for _ in range(round(seconds / _TICK)):
            self._world.now += timedelta(seconds=_TICK)
            await self._go_on()

    def _watch(self) -> None:
        phase = self._world.phase(self._run)
        if phase is not None and phase not in self.phases[-1:]:
            self.phases.append(phase)

    async def _go_on(self) -> None:
        """Take the steps whose time has come."""
        name = names.pod_name(self._run, 1)
        if ("pods", NAMESPACE, name) not in self._world.kube.objects:
            return
        if self._steps is None:
            spec = self._world.kube.objects["pods", NAMESPACE, name]["spec"]
            containers = [item["name"] for item in (*spec["initContainers"], *spec["containers"])]
            self._chain = [container for container in containers if names.is_step(container)]
            self._states |= dict.fromkeys(self._chain, _WAITING)
            self._codes = {names.COMPONENT: self._world.exit_code} | self._codes
            self._steps = self._timeline()
        while self._steps and self._world.now >= self._steps[0][0]:
            await self._step(name, self._steps.pop(0)[1])

    def _timeline(self) -> list[tuple[datetime, str]]:
        took = self._durations
        steps = [
            (took.scheduled, "bound"),
            (took.sidecar, "stage-out runs"),
            (took.gap, "stage-in runs"),
            (took.stage_in, "stage-in ended"),
        ]
        for name in self._chain:
            steps.append((took.gap, f"{name} runs"))
            steps.append((took.component if names.is_program(name) else took.agent, f"{name} ended"))
            if self._codes.get(name):
                break  # the kubelet starts no container behind one that failed
        steps.append((took.stage_out, "stage-out ended"))
        at, timeline = self._world.now, []
        for seconds, step in steps:
            at += timedelta(seconds=seconds)
            timeline.append((at, step))
        return timeline

    async def _step(self, pod: str, step: str) -> None:
        world, phase = self._world, "Running" if self._states[names.STAGE_IN] is not _WAITING else "Pending"
        if step == "bound":
            scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": world.text()}
            bound = {"spec": {"nodeName": "node1"}, "status": {"phase": "Pending", "conditions": [scheduled]}}
            world.kube.change("pods", pod, bound)
            return
        container, _, what = step.partition(" ")
        code, message = 0, ""
        if container == names.STAGE_IN:
            message = to_json(StageInResult(ok=True))
        elif container in self._chain:
            code = self._codes.get(container, 0)
        elif what == "ended":
            uploaded = await world.uploaded(world.kube.objects["pods", NAMESPACE, pod])
            message = to_json(self._said or uploaded)
            phase = "Failed" if any(self._codes.values()) else "Succeeded"
        self._states[container] = world.ended(code, message, self._started(container)) if what == "ended" else {
            "running": {"startedAt": world.text()}
        }  # fmt: skip
        self._report(pod, phase)

    def _started(self, container: str) -> str:
        return str(self._states[container]["running"]["startedAt"])

    def _report(self, pod: str, phase: str) -> None:
        self._acknowledged_at = self._acknowledged_at or self._world.text()
        *earlier, last = (
            {
                "name": name,
                "state": self._states[name],
                "imageID": "" if self._states[name] is _WAITING else _IMAGES.get(name, f"{name}@sha256:1"),
            }
            for name in self._chain
        )
        agents = [{"name": name, "state": self._states[name]} for name in (names.STAGE_OUT, names.STAGE_IN)]
        status: dict[str, Any] = {
            "phase": phase,
            "startTime": self._acknowledged_at,
            "initContainerStatuses": [*agents, *earlier],
            "containerStatuses": [last],
        }
        self._world.kube.change("pods", pod, {"status": status})

    def _collect(self) -> None:
        """Report that the events are delivered, some time after the run's end."""
        run = self._world.run(self._run)
        if run.get("status", {}).get("phase") not in TERMINAL or run["status"].get("events"):
            return
        self._ended_at = self._ended_at or self._world.now
        if self._world.now < self._ended_at + timedelta(seconds=self._durations.collector):
            return
        body = report.delivered(run_facts(run), 6, "", None, self._world.now)
        self._world.kube.change("componentruns", self._run, {"status": body["status"]})
