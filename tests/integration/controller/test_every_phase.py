"""A run that is cancelled or deleted in any phase ends, publishes nothing, and leaves nothing behind.

The tests use a Node without a kubelet, on which they can keep a pod in any state. The phase Publishing is tested in
test_storage_away.py, because a run stays in it only while the store is unavailable.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster import waiting
from e2e.faults import FakeNode
from tests.integration.controller.conftest import left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.controller.conftest import Place

OUTPUT = {"tables": [{"source": "x.csv", "destination": "out.c-main.x"}]}
NOWHERE = {"nodeSelector": {"example.com/there-is-none": "true"}}
LATER = {"limit": 1, "afterStart": ["Evicted"], "backoff": {"initial": "10m", "max": "1h"}}


@pytest.fixture
def node(place: Place) -> Iterator[FakeNode]:
    with FakeNode(place.tenant) as made:
        yield made


def on(place: Place, node: FakeNode, **spec: Any) -> str:
    """A run whose pod is bound to the node."""
    name = place.run("sleep-for", "300", output=OUTPUT, podTemplate=node.pod_template, **spec)
    place.await_phase(name, "Pending")
    place.tenant.kubectl("wait", "--for=condition=PodScheduled", f"pod/{name}-1", "--timeout=120s")
    return name


def suspended(place: Place, _: FakeNode) -> str:
    return place.run("true", suspend=True)


def queued(place: Place, node: FakeNode) -> str:
    configuration = {"id": uuid.uuid4().hex}
    on(place, node, configuration=configuration)
    return place.run("true", configuration=configuration)


def without_a_node(place: Place, _: FakeNode) -> str:
    return place.run("true", podTemplate=NOWHERE)


def on_a_node(place: Place, node: FakeNode) -> str:
    return on(place, node)


def staging_in(place: Place, node: FakeNode) -> str:
    name = on(place, node)
    node.say_staging_in(f"{name}-1")
    return name


def running(place: Place, node: FakeNode) -> str:
    name = on(place, node)
    node.say_running(f"{name}-1")
    return name


def staging_out(place: Place, node: FakeNode) -> str:
    name = running(place, node)
    node.say_uploading(f"{name}-1")
    return name


def retrying(place: Place, node: FakeNode) -> str:
    name = on(place, node, retry=LATER)
    node.say_running(f"{name}-1")
    place.await_phase(name, "Running")
    ended = FakeNode.ended(143)
    node.say(f"{name}-1", component=ended, stage_out=ended, phase="Failed", reason="Evicted", message="low on memory")
    place.tenant.wait(name, lambda run: (run.get("status") or {}).get("reason") == "Retrying")
    return name


PHASES: dict[str, tuple[Callable[[Place, FakeNode], str], str, str]] = {
    "suspended": (suspended, "Suspended", "before it started"),
    "queued": (queued, "Queued", "before it started"),
    "without a node": (without_a_node, "Pending", "stopped before it was through"),
    "on a node": (on_a_node, "Pending", "stopped before it was through"),
    "input comes": (staging_in, "StagingIn", "stopped before it was through"),
    "running": (running, "Running", "Its component had ended"),
    "output goes": (staging_out, "StagingOut", "Its component had ended"),
    "between attempts": (retrying, "Queued", "between two attempts"),
}
"""Function that brings a run into the state; its phase; words of the message about a cancellation."""


@pytest.mark.parametrize(("bring", "phase", "words"), PHASES.values(), ids=PHASES)
class TestInEachPhase:
    def test_a_cancel_ends_it(
        self, place: Place, node: FakeNode, bring: Callable[[Place, FakeNode], str], phase: str, words: str
    ) -> None:
        name = bring(place, node)
        place.await_phase(name, phase)
        place.tenant.patch(name, {"cancel": True})
        node.obey(f"{name}-1")
        status = place.tenant.wait(name)["status"]
        assert (status["phase"], status["reason"]) == ("Cancelled", "Cancelled"), status
        assert words in status["message"], status["message"]
        conditions = {item["type"]: item["status"] for item in status["conditions"]}
        assert (conditions["Succeeded"], conditions["Published"]) == ("False", "False")
        waiting.until(lambda: left(place.tenant, f"{name}-"), what=f"the end of what {name} made", timeout=120)

    def test_deleted_it_leaves_nothing(
        self, place: Place, node: FakeNode, bring: Callable[[Place, FakeNode], str], phase: str, words: str
    ) -> None:
        del words
        name = bring(place, node)
        place.await_phase(name, phase)
        place.tenant.kubectl("delete", "componentrun", name, "--wait=false")
        node.obey(f"{name}-1")
        waiting.until(lambda: left(place.tenant, name), what=f"the end of what {name} left", timeout=120)
        assert "Traceback" not in place.operator.log.read_text()
