"""Lines of a build become events of the runs that wait for it: real collector, real pod, real store."""

from __future__ import annotations

import signal
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from componentrun.collector.events.buildlines import MOST_LINES
from componentrun.core.builds.exchange import COMMANDS, FETCH, PUSH
from tests.integration.collector.lab import now, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.storage.events.events import Event
    from tests.integration.collector.lab import Collector, Lab

pytestmark = [pytest.mark.cluster, pytest.mark.store]

TOKEN = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
COUNTS = """
i=0
while [ $i -lt 600 ]; do i=$((i+1)); echo "line $i"; sleep 0.02; done
echo "token TOKEN"
"""


class Build:
    """The pod of a build, as the operator creates it, with commands of the test's own."""

    def __init__(self, lab: Lab, namespace: str, commands: str) -> None:
        self._lab, self.namespace, self.name = lab, namespace, f"b-{uuid.uuid4().hex[:10]}"
        limits = {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "50m"}}

        def container(name: str, script: str) -> dict[str, Any]:
            return {"name": name, "image": lab.image, "command": ["/bin/sh", "-c", script], "resources": limits}

        labels = {
            names.MANAGED_BY_LABEL: names.MANAGED_BY,
            names.BUILD_LABEL: self.name,
            names.BUILD_NAMESPACE_LABEL: lab.namespace,
            names.BUILD_UID_LABEL: str(uuid.uuid4()),
        }
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "initContainers": [container(FETCH, "echo fetched"), container(COMMANDS, commands)],
            "containers": [container(PUSH, "echo pushed")],
        }
        lab.core.create_namespaced_pod(namespace, {"metadata": {"name": self.name, "labels": labels}, "spec": spec})

    @property
    def phase(self) -> str:
        return str(self._lab.core.read_namespaced_pod(self.name, self.namespace).status.phase)

    def delete(self) -> None:
        self._lab.core.delete_namespaced_pod(self.name, self.namespace, grace_period_seconds=2)

    def wait_for(self, run: str) -> None:
        """A run waits for it."""
        self._lab.run(run)
        phases = [*self._lab.get(run)["status"]["phases"], {"phase": "Building", "startTime": now()}]
        self._lab.status(run, phase="Building", phases=phases, build={"name": self.name, "component": "app"})

    def is_reported_by(self, run: str) -> bool:
        return self.name in (self._lab.get(run)["status"].get("events") or {}).get("builds", [])


@pytest.fixture
def place(lab: Lab, collector: Collector) -> Iterator[str]:
    """Namespace of builds."""
    name = f"{lab.namespace}-builds"
    lab.core.create_namespace({"metadata": {"name": name}})
    collector.environment["COMPONENTRUN_BUILDS_NAMESPACE"] = name

    def has_account() -> bool:
        found = lab.core.list_namespaced_service_account(name, field_selector="metadata.name=default")
        return bool(found.items)

    wait("pods are admitted", has_account)
    yield name
    lab.core.delete_namespace(name)


def of_builds(events: list[Event]) -> list[Event]:
    return [event for event in events if event.source == names.BUILD]


async def test_a_killed_collector_loses_and_doubles_no_line_of_a_build(
    lab: Lab, collector: Collector, place: str
) -> None:
    build = Build(lab, place, COUNTS.replace("TOKEN", TOKEN))
    for run in ("one", "two"):
        build.wait_for(run)
    for lines in (20, 200):
        collector.start()
        wait("lines flow", lambda: collector.metric("componentrun_collector_lines_total") > lines)  # noqa: B023
        wait("a segment", lambda: collector.metric("componentrun_collector_segments_total"))
        collector.end(signal.SIGKILL)
    wait("the build has ended", lambda: build.phase == "Succeeded")
    lab.start("one", "sh", "-c", "echo hello")
    lab.start("two", "sh", "-c", "echo hello")
    wait("pod ended", lambda: lab.pod_phase("one") == lab.pod_phase("two") == "Succeeded")
    lab.end("two")
    collector.start()
    wait("one is reported while it goes on", lambda: build.is_reported_by("one"))
    wait("two is delivered", lambda: lab.delivered("two"))
    build.delete()
    lab.end("one")
    expected = ["fetched", *(f"line {number}" for number in range(1, 601)), "token [redacted]", "pushed"]
    steps = [FETCH, *[COMMANDS] * 601, PUSH]
    for run in ("one", "two"):
        status = wait("delivered", lambda: lab.delivered(run))  # noqa: B023
        events = await lab.events(run)
        assert status["message"] == ""
        assert status["count"] == len(events)
        assert [event.message for event in of_builds(events)] == expected
        assert [(event.params or {})["step"] for event in of_builds(events)] == steps
        assert {event.attempt for event in of_builds(events)} == {None}
        assert "hello" in [event.message for event in events if event.source == names.COMPONENT]


async def test_a_build_that_prints_without_end_is_cut_off(lab: Lab, collector: Collector, place: str) -> None:
    collector.start()
    build = Build(lab, place, "yes 'much too much, over and over again' | head -c 30000000")
    build.wait_for("loud")
    wait("the build has ended", lambda: build.phase == "Succeeded")
    lab.start("loud", "sh", "-c", "echo hello")
    wait("it is reported", lambda: build.is_reported_by("loud"))
    lab.end("loud")
    status = wait("delivered", lambda: lab.delivered("loud"))
    events = await lab.events("loud")
    assert len(of_builds(events)) == MOST_LINES
    assert "of builds were left out" in status["message"]
    assert events[-1].source == "operator"
    assert "hello" in [event.message for event in events if event.source == names.COMPONENT]
    assert collector.peak_mib() < 200


async def test_a_run_that_is_cancelled_does_not_wait_for_its_build(lab: Lab, collector: Collector, place: str) -> None:
    collector.start()
    build = Build(lab, place, "echo begun; sleep 300")
    build.wait_for("cancelled")
    wait("lines flow", lambda: collector.metric("componentrun_collector_lines_total") >= 2)
    lab.end("cancelled", phase="Cancelled")
    status = wait("delivered", lambda: lab.delivered("cancelled"), seconds=60)
    assert status["message"] == ""
    assert [event.message for event in of_builds(await lab.events("cancelled"))] == ["fetched", "begun"]
    assert build.phase == "Pending", "it goes on"
