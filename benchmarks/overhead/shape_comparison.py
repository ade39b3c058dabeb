"""The pod of a run in five shapes: when its component starts, and when the pod ends."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.harness import csvfiles
from benchmarks.harness.agent_runner import agent_runner
from benchmarks.harness.interleave import figures, interleave
from benchmarks.overhead.pod_shapes import SHAPES, TODAY, Images, shaped_pod
from benchmarks.overhead.shape_times import AREA, Moment, is_over, shape_seconds
from benchmarks.overhead.watch_log import PODS, WatchLog
from componentrun.wire.agents import StageOutResult, from_json, to_json
from componentrun.wire.grants import GRANT_IN_KEY, GRANT_OUT_KEY
from dev.images import ensure
from e2e import tenant as tenants
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.harness.agent_runner import AgentRunner
    from benchmarks.harness.testbed import Testbed
    from benchmarks.overhead.pod_shapes import Shape
    from benchmarks.report.results import Figure
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

__all__ = ["pairs", "shapes"]

_BUCKET: Final = "out.c-main"
_PATIENCE: Final = 60.0
"""Seconds for a pod to end, and to be deleted."""


def shapes(testbed: Testbed, repeats: int) -> list[Figure]:
    """Bare pods with the real agents, a table of three rows, and `copy` as the component. Needs no operator."""
    built = ensure(testbed.connection, ["componentrun", "test-components"])
    images = Images(agents=built["componentrun"], component=built["test-components"])
    with (
        _namespace(testbed.connection) as tenant,
        agent_runner(testbed, [csvfiles.tiny()], s5cmd=False) as agents,
        WatchLog(tenant, (PODS,)) as watch_log,
    ):
        trial = _Trial(tenant, agents, watch_log, images)
        values = interleave([partial(trial.once, item) for item in SHAPES], repeats)
    return figures(values, "s", pairs(values))


def pairs(names: Mapping[str, object]) -> dict[str, str]:
    """Compare each figure with the same one of today's shape."""
    today = f"{AREA}.{TODAY.title}"
    found = {name: ".".join([today, *name.split(".")[3:]]) for name in names}
    return {name: other for name, other in found.items() if name != other and other in names}


@dataclass(frozen=True, slots=True)
class _Trial:
    """What all pods need."""

    tenant: Tenant
    agents: AgentRunner
    watch_log: WatchLog
    images: Images

    def once(self, shape: Shape) -> dict[str, float]:
        """Create a pod in this shape, wait for its end, delete it; return its times by the names of figures."""
        run = f"shape-{uuid.uuid4().hex[:8]}"
        pod = shaped_pod(shape, run, self.images, SMALL)
        name = pod["metadata"]["name"]
        grant_in, grant_out = self.agents.grants(run, inputs=self.agents.inputs(), outputs=self.agents.outputs(_BUCKET))
        self.tenant.secret(name, {GRANT_IN_KEY: to_json(grant_in), GRANT_OUT_KEY: to_json(grant_out)})
        self.watch_log.forget()
        created = Moment.now()
        self.tenant.core.create_namespaced_pod(self.tenant.namespace, pod)
        last = self.watch_log.until(PODS, lambda event: is_over(shape, event), _PATIENCE)
        events = self.watch_log.all()
        times = shape_seconds(shape, created, events[: events.index(last) + 1])
        self.tenant.core.delete_namespaced_pod(name, self.tenant.namespace)
        self.watch_log.until(PODS, lambda event: event.event == "DELETED", _PATIENCE)
        self._check_upload(run, shape)
        return times

    def _check_upload(self, run: str, shape: Shape) -> None:
        """Raise AssertionError unless stage-out uploaded the table. Where nothing else stops it, its deletion does."""
        store = self.agents.store
        result = from_json(StageOutResult, asyncio.run(store.get(store.layout.result(run, 1))).data)
        assert [table.rows for table in result.tables] == [3], f"the upload of shape {shape.title}: {result}"


@contextmanager
def _namespace(connection: Connection) -> Iterator[Tenant]:
    """A namespace in which pods can be created. It is deleted afterwards."""
    tenant = tenants.create_namespace(connection, "shape")
    try:
        tenant.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        yield tenant
    finally:
        tenant.delete()
