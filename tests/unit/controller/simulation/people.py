"""What people do, and the collector: runs are created, cancelled, edited and deleted, pods and Secrets by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.core.lifecycle.ending import TERMINAL
from tests.unit.controller.simulation.schedule import NAMESPACES, RunPlan, Schedule, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.controller.simulation.apiserver import ApiServer
    from tests.unit.controller.simulation.kubelet import Kubelets
    from tests.unit.controller.simulation.operators import Deployment

_LABELS: Final = {
    "managed-by": {names.MANAGED_BY_LABEL: None},
    "run": {names.RUN_LABEL: "elsewhere"},
    "run-uid": {names.RUN_UID_LABEL: "uid-1"},
    "attempt": {names.ATTEMPT_LABEL: "7"},
    "operator": {names.OPERATOR_LABEL: "another"},
    "all": dict.fromkeys((names.MANAGED_BY_LABEL, names.RUN_LABEL, names.RUN_UID_LABEL, names.ATTEMPT_LABEL)),
}
_ANNOTATIONS: Final = {names.TIMEOUT_ANNOTATION: "1", names.UPLOAD_ANNOTATION: "1", "example.com/note": "1"}


class People:
    """Everybody who is no operator and no kubelet."""

    def __init__(
        self, server: ApiServer, kubelets: Kubelets, deployments: Sequence[Deployment], schedule: Schedule
    ) -> None:
        self._server, self._kubelets, self._deployments = server, kubelets, deployments
        self._schedule = schedule
        self._plans = {plan.name: plan for plan in schedule.runs}
        self._later: set[asyncio.TimerHandle] = set()

    async def act(self) -> None:
        """Everything that the schedule says, until its end."""
        loop = asyncio.get_running_loop()
        for plan in self._schedule.runs:
            loop.call_at(plan.at, self._create, plan)
        for step in self._schedule.steps:
            if not step.moment:
                loop.call_at(step.at, self._step, step)
        waiting = [step for step in self._schedule.steps if step.moment]
        self._server.truth.on_moment = lambda moment, run: self._at(moment, run, waiting)
        await asyncio.sleep(self._schedule.ends - loop.time())

    def _at(self, moment: str, run: str, waiting: list[Step]) -> None:
        for step in [step for step in waiting if (step.moment, step.run) == (moment, run)]:
            waiting.remove(step)
            if self._server.now() < self._schedule.ends:
                asyncio.get_running_loop().call_later(step.at, self._step, step)

    async def put_right(self) -> None:
        """What is held back is let go, and what was taken away is given back."""
        for namespace in NAMESPACES:
            self._server.lift_quota(namespace)
        self._kubelets.silent_until = 0.0
        for deployment in self._deployments:
            if deployment.process is not None and not deployment.process.runs and not deployment.process.is_killed:
                deployment._go_on(deployment.process)
        for run in self._server.of("componentruns"):
            self._edit_run(run, {names.OPERATOR_LABEL: None})
            self._change(run, {"spec": {"suspend": False}})

    async def collect(self) -> None:
        """The collector: says of most runs that have ended that their events are delivered."""
        while True:
            await asyncio.sleep(3)
            for run in self._server.of("componentruns"):
                status, uid = run.get("status") or {}, run["metadata"]["uid"]
                # It says so of two of three; the others it never reads.
                reads = int(uid.removeprefix("uid-")) % 3 != 0
                if reads and status.get("phase") in TERMINAL and not (status.get("events") or {}).get("delivered"):
                    told = {"delivered": True, "attempts": len(status.get("attempts") or ())}
                    self._change(run, {"status": {"events": told}})

    def _create(self, plan: RunPlan) -> None:
        if ("componentruns", plan.namespace, plan.name) in self._server.objects:
            return
        spec: dict[str, Any] = {
            "image": "cleaner:1",
            "output": {"tables": [{"source": "result.csv", "destination": "out.c-main.result", "incremental": True}]},
            "concurrency": {"policy": plan.policy} | ({"group": plan.group} if plan.group else {}),
            "retry": {
                "limit": 2,
                "backoff": {"initial": "1s", "max": "4s"},
                "afterStart": list(plan.after_start),
            },
            "suspend": plan.suspend and self._server.now() < self._schedule.ends,
        }
        spec |= {"timeout": plan.timeout} if plan.timeout else {}
        spec |= {"ttlAfterFinished": plan.ttl} if plan.ttl else {}
        labels = {names.KUEUE_QUEUE_LABEL: "queue"} if plan.kueue else {}
        metadata = {"name": plan.name, "labels": labels}
        body = {"apiVersion": API_VERSION, "kind": "ComponentRun", "metadata": metadata, "spec": spec}
        self._server.truth.note(f"run {plan.namespace}/{plan.name} is created")
        self._server.put("componentruns", plan.namespace, body)

    def _step(self, step: Step) -> None:
        self._server.truth.note(f"step: {step.kind} {step.target} {step.value:.1f} {step.detail}")
        action = getattr(self, "_" + step.kind.replace(" ", "_"))
        action(step)

    def _kill(self, step: Step) -> None:
        self._deployments[int(step.target)].kill(step.value)

    def _stop(self, step: Step) -> None:
        self._deployments[int(step.target)].stop(step.value)

    def _terminate(self, step: Step) -> None:
        self._deployments[int(step.target)].terminate()

    def _edit_pod(self, step: Step) -> None:
        for pod in self._pods(step.target):
            if step.detail == "owner":
                self._server.change(pod, "pods", {"metadata": {"ownerReferences": None}})
            elif step.detail == "annotations":
                self._server.change(pod, "pods", {"metadata": {"annotations": _ANNOTATIONS}})
            else:
                self._server.change(pod, "pods", {"metadata": {"labels": _LABELS[step.detail]}})

    def _edit_run(self, step: Step | dict[str, Any], labels: dict[str, Any] | None = None) -> None:
        if isinstance(step, dict):
            self._change(step, {"metadata": {"labels": labels}})
            return
        change = {
            "operator": {names.OPERATOR_LABEL: "another"},
            "kueue": {names.KUEUE_QUEUE_LABEL: "queue"},
            "annotations": {"example.com/a": "b"},
            "foreign": {"example.com/a": "b"},
        }[step.detail]
        self._label(step.target, change)
        if step.detail in {"operator", "kueue"}:
            back = dict.fromkeys(change)
            asyncio.get_running_loop().call_later(step.value, self._label, step.target, back)

    def _label(self, name: str, labels: dict[str, Any]) -> None:
        if (run := self._run(name)) is not None:
            self._change(run, {"metadata": {"labels": labels}})

    def _edit_lease(self, _: Step) -> None:
        for lease in self._server.of("leases"):
            self._server.change(lease, "leases", {"metadata": {"labels": {"edited": str(self._server.version)}}})

    def _delete_pod(self, step: Step) -> None:
        for pod in self._pods(step.target):
            self._server.delete("pods", pod, int(step.value))

    def _delete_secret(self, step: Step) -> None:
        for secret in self._server.of("secrets"):
            if secret["metadata"]["name"].rpartition("-")[0] == step.target:
                self._server.remove("secrets", secret)

    def _delete_run(self, step: Step) -> None:
        if (run := self._run(step.target)) is not None:
            self._server.remove("componentruns", run)

    def _make_anew(self, step: Step) -> None:
        self._delete_run(step)
        asyncio.get_running_loop().call_later(step.value, self._create, self._plans[step.target])

    def _cancel(self, step: Step) -> None:
        if (run := self._run(step.target)) is not None:
            self._change(run, {"spec": {"cancel": True}})

    def _suspend(self, step: Step) -> None:
        self._suspended(step.target, True)
        asyncio.get_running_loop().call_later(step.value, self._suspended, step.target, False)

    def _suspended(self, name: str, suspend: bool) -> None:
        if (run := self._run(name)) is not None:
            self._change(run, {"spec": {"suspend": suspend}})

    def _quota(self, step: Step) -> None:
        self._server.set_quota(step.target, int(step.detail))
        asyncio.get_running_loop().call_later(step.value, self._server.lift_quota, step.target)

    def _silence(self, step: Step) -> None:
        self._kubelets.silent_until = self._server.now() + step.value

    def _restart_kubelet(self, step: Step) -> None:
        self._kubelets.restart(step.target, step.value)

    def _change(self, run: dict[str, Any], change: dict[str, Any]) -> None:
        there = self._server.find("componentruns", run["metadata"]["uid"])
        if there is not None:
            self._server.change(there, "componentruns", change)

    def _run(self, name: str) -> dict[str, Any] | None:
        found = (self._server.objects.get(("componentruns", where, name)) for where in NAMESPACES)
        return next((run for run in found if run is not None), None)

    def _pods(self, name: str) -> list[dict[str, Any]]:
        return [pod for pod in self._server.of("pods") if pod["metadata"]["name"].rpartition("-")[0] == name]
