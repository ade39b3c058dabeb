"""The scheduler and the kubelets: what becomes of a pod, step by step, and what they say of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from componentrun.wire.agents import SliceWritten, StageInResult, StageOutResult, TableWritten, to_json

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from tests.unit.controller.simulation.apiserver import ApiServer
    from tests.unit.controller.simulation.schedule import RunPlan
    from tests.unit.controller.simulation.store import SimulatedStore
    from tests.unit.controller.simulation.truth import Truth

ROWS = b"1,one\n2,two\n"
_KILLED = 137
_TERMINATED = 143


@dataclass
class _Pod:
    """One pod as its kubelet knows it."""

    uid: str
    plan: RunPlan
    run_uid: str
    attempt: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    grace: int = 0
    life: asyncio.Task[None] | None = None
    refused: bool = False
    """Whether its kubelet was restarted and did not take it back."""
    stage_out: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})
    stage_in: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})
    component: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "PodInitializing"}})


class Kubelets:
    """All of them."""

    def __init__(
        self, server: ApiServer, stores: Mapping[str, SimulatedStore], truth: Truth, plans: Mapping[str, RunPlan]
    ) -> None:
        self._server, self._stores, self._truth, self._plans = server, stores, truth, plans
        self._pods: dict[str, _Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.silent_until = 0.0
        server.on_pod, server.on_stop, server.on_gone = self._made, self._deleted, self._gone

    def _made(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        name, _, attempt = metadata["name"].rpartition("-")
        owner = (metadata.get("ownerReferences") or [{}])[0]
        made = _Pod(metadata["uid"], self._plans[name], owner.get("uid", ""), int(attempt))
        self._pods[made.uid] = made
        self._live(made, self._life(made, Random(f"{metadata['uid']} {made.plan.name}")))  # noqa: S311 - a test

    def _live(self, pod: _Pod, life: Coroutine[Any, Any, None]) -> None:
        pod.life = task = asyncio.create_task(life)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def restart(self, run: str, seconds: float) -> None:
        """Restart the kubelet of this run's pods. It then refuses them, and drops the statuses of their containers.

        Meanwhile their containers go on. What it has not reported by now is never reported (Kubernetes, kubelet.go,
        rejectPod).
        """
        for pod in [pod for pod in self._pods.values() if pod.plan.name == run and not pod.refused]:
            there = self._there(pod)
            if there is not None and there["spec"].get("nodeName") and pod.life is not None and not pod.life.done():
                pod.refused = True
                self._live(pod, self._refuse(pod, pod.life, seconds))

    async def _refuse(self, pod: _Pod, life: asyncio.Task[None], seconds: float) -> None:
        await asyncio.sleep(seconds)
        life.cancel()
        self._truth.component_ended(pod.uid)
        await self._write(pod, {
            "phase": "Failed",
            "reason": "NodeAffinity",
            "message": "Pod was rejected: Predicate NodeAffinity failed",
            "conditions": [],
            "initContainerStatuses": [],
            "containerStatuses": [],
        })  # fmt: skip
        self._remove_deleted(pod)

    def _deleted(self, uid: str, grace: int) -> None:
        """The first deletion counts; kubelets obey no later one."""
        if (pod := self._pods.get(uid)) is not None:
            pod.grace = grace
            asyncio.get_running_loop().call_later(self._server.random.uniform(0.05, 1), pod.stop.set)

    def _gone(self, uid: str) -> None:
        """The object is gone; its containers are killed where there are any."""
        self._truth.component_ended(uid)
        if (pod := self._pods.pop(uid, None)) is not None:
            pod.stop.set()

    async def _life(self, pod: _Pod, random: Random) -> None:
        await self._scheduled(pod, random)
        if not await self._has_secret(pod):
            await self._end(pod, random)
            return
        pod.stage_out = pod.stage_in = self._running()
        await self._say(pod, "Pending")
        await self._passes(pod, random.uniform(0.1, 3))
        if pod.stop.is_set() or pod.attempt <= pod.plan.failing_inputs:
            pod.stage_in = self._ended(1, "")
            pod.stage_out = self._ended(0, "")
            await self._end(pod, random, phase="Failed")
            return
        pod.stage_in = self._ended(0, to_json(StageInResult(ok=True)))
        await self._component(pod, random)

    async def _scheduled(self, pod: _Pod, random: Random) -> None:
        await self._passes(pod, random.uniform(0.05, 2))
        if (there := self._there(pod)) is not None and there["spec"].get("schedulingGates"):
            await self._passes(pod, random.uniform(1, 20))
            if (there := self._there(pod)) is not None:
                self._server.change(there, "pods", {"spec": {"schedulingGates": None}})
            await self._passes(pod, random.uniform(0.05, 2))
        if (there := self._there(pod)) is not None:
            scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": self._server.text()}
            bound = {"spec": {"nodeName": "node1"}, "status": {"phase": "Pending", "conditions": [scheduled]}}
            self._server.change(there, "pods", bound)

    async def _has_secret(self, pod: _Pod) -> bool:
        """Wait for a Secret of the pod's name, whosever it is, as a kubelet does."""
        while (there := self._there(pod)) is not None and not pod.stop.is_set():
            metadata = there["metadata"]
            secret = self._server.objects.get(("secrets", metadata["namespace"], metadata["name"]))
            if secret is not None:
                if not any(item["uid"] == pod.uid for item in secret["metadata"].get("ownerReferences") or ()):
                    self._truth.broken(f"pod {metadata['name']} {pod.uid} gets the Secret of another pod")
                return True
            await self._passes(pod, 0.5)
        return False

    async def _component(self, pod: _Pod, random: Random) -> None:
        there = self._there(pod)
        if there is None:
            return
        identity = {"ownerReferences": [{"uid": pod.run_uid}], "name": there["metadata"]["name"], "uid": pod.uid}
        self._truth.component_started({"metadata": identity})
        pod.component = started = self._running()
        saying = asyncio.create_task(self._say(pod, "Running"))
        await self._passes(pod, pod.plan.seconds * random.uniform(0.5, 1.5))
        code = pod.plan.exit_code
        if pod.stop.is_set():
            takes = pod.plan.obeys * pod.grace
            began = self._server.now()
            await self._say(pod, "Running")  # of the object as it is now
            await asyncio.sleep(max(began + takes - self._server.now(), 0))
            code = _KILLED if takes >= pod.grace else _TERMINATED
        await saying
        self._truth.component_ended(pod.uid)
        pod.component = self._ended(code, "last words", started["running"]["startedAt"])
        await self._say(pod, "Running")
        if not pod.stop.is_set():
            await self._passes(pod, random.uniform(0.1, 4))
        if not pod.stop.is_set() or code in {0, 1}:
            result = await self._upload(pod, there["metadata"]["namespace"])
            pod.stage_out = self._ended(0, to_json(result))
        else:
            pod.stage_out = self._ended(_KILLED, "")
        await self._end(pod, random, phase="Succeeded" if code == 0 else "Failed")

    async def _end(self, pod: _Pod, random: Random, phase: str = "Failed") -> None:
        await self._say(pod, phase)
        await asyncio.sleep(random.uniform(0.01, 0.5))
        if not pod.refused:
            self._remove_deleted(pod)

    def _remove_deleted(self, pod: _Pod) -> None:
        there = self._there(pod)
        if there is not None and there["metadata"].get("deletionTimestamp"):
            self._server.remove("pods", there)

    async def _say(self, pod: _Pod, phase: str) -> None:
        """Write the pod's status, some time later."""
        await self._write(pod, {
            "phase": phase,
            "initContainerStatuses": [
                {"name": "stage-out", "state": pod.stage_out},
                {"name": "stage-in", "state": pod.stage_in},
            ],
            "containerStatuses": [{"name": "component", "state": pod.component, "imageID": "cleaner@sha256:1"}],
        })  # fmt: skip

    async def _write(self, pod: _Pod, status: dict[str, Any]) -> None:
        was_refused = pod.refused
        await asyncio.sleep(self._server.random.uniform(0.01, 0.3))
        await asyncio.sleep(max(self.silent_until - self._server.now(), 0))
        there = self._there(pod)
        if there is None or pod.refused != was_refused:
            return
        acknowledged = (there.get("status") or {}).get("startTime") or self._server.text()
        observed = {"observedGeneration": there["metadata"]["generation"], "startTime": acknowledged}
        self._server.change(there, "pods", {"status": status | observed})

    async def _upload(self, pod: _Pod, namespace: str) -> StageOutResult:
        store = self._stores[namespace]
        if pod.plan.leaves_nothing:
            nothing = StageOutResult(ok=True, empty=True)
            await store.agent_put(store.layout.result(pod.run_uid, pod.attempt), to_json(nothing).encode())
            return nothing
        key = f"{store.layout.data(pod.run_uid, pod.attempt)}out.c-main/result/0.csv"
        etag = await store.agent_put(key, ROWS)
        table = TableWritten(
            source="result.csv",
            destination="out.c-main.result",
            columns=("id", "name"),
            primary_key=(),
            incremental=True,
            write_always=False,
            slices=(SliceWritten(key, len(ROWS), 2, etag),),
            rows=2,
            size=len(ROWS),
        )
        result = StageOutResult(ok=True, tables=(table,), rows=2, size=len(ROWS))
        await store.agent_put(store.layout.result(pod.run_uid, pod.attempt), to_json(result).encode())
        return StageOutResult(ok=True, rows=2, size=len(ROWS))

    async def _passes(self, pod: _Pod, seconds: float) -> None:
        """Let time pass, until the pod is told to stop."""
        if not pod.stop.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await pod.stop.wait()
            except TimeoutError:
                return

    def _there(self, pod: _Pod) -> dict[str, Any] | None:
        return self._server.find("pods", pod.uid) if pod.uid in self._pods else None

    def _running(self) -> dict[str, Any]:
        return {"running": {"startedAt": self._server.text()}}

    def _ended(self, code: int, message: str, started: str = "") -> dict[str, Any]:
        now = self._server.text()
        reason = "Completed" if code == 0 else "Error"
        times = {"startedAt": started or now, "finishedAt": now}
        return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}
