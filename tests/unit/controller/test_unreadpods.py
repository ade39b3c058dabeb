"""Pods that have ended and were not read: so many on a node, and the oldest go first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from componentrun.controller.reconcile.unreadpods import UnreadPods
from componentrun.controller.watching.caches import Key
from componentrun.core.lifecycle.actions import UnreadPod
from tests.unit.controller.fakes import FakeOperator, World

BEGIN = datetime(2026, 7, 1, tzinfo=UTC)


def pod(number: int, ended: int, node: str = "node-a") -> UnreadPod:
    return UnreadPod(f"pod-{number}", node, BEGIN + timedelta(seconds=ended))


def key(number: int) -> Key:
    return Key("team", f"run-{number}")


def test_of_too_many_the_one_that_ended_first_is_looked_at_again() -> None:
    looked: list[Key] = []
    pods = UnreadPods(looked.append, limit=2)
    for number, ended in enumerate([30, 10, 20]):
        pods.note(key(number), [pod(number, ended)])
    assert looked == [key(1)]
    assert [sorted(pods.over_limit(key(number))) for number in range(3)] == [[], ["pod-1"], []]
    pods.note(key(1), [])
    assert (len(pods), pods.oldest) == (2, BEGIN + timedelta(seconds=20))
    assert not pods.over_limit(key(2))


def test_nodes_do_not_count_for_each_other() -> None:
    looked: list[Key] = []
    pods = UnreadPods(looked.append, limit=1)
    for number in range(3):
        pods.note(key(number), [pod(number, number, f"node-{number}")])
    assert not looked


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.booleans()), max_size=40), st.integers(0, 4))
def test_whatever_comes_and_goes_the_oldest_beyond_the_bound_are_crowded_and_were_looked_at(
    steps: list[tuple[int, int, bool]], most: int
) -> None:
    looked: set[Key] = set()
    pods, model = UnreadPods(looked.add, most), {}
    for number, ended, there in steps:
        kept = [pod(number, ended)] if there else []
        pods.note(key(number), kept)
        looked -= set() if there else {key(number)}
        model = {other: known for other, known in model.items() if other != number} | dict.fromkeys(
            [number][:there], ended
        )
        order = sorted(model, key=lambda other: (model[other], f"pod-{other}"))
        crowded = {key(other) for other in order[: max(len(order) - most, 0)]}
        assert {key(other) for other in model if pods.over_limit(key(other))} == crowded
        assert crowded <= looked
        assert len(pods) == len(model)


async def test_an_operator_lets_the_oldest_of_too_many_go_after_a_minute_and_counts_it() -> None:
    world = World()
    world.limits = type(world.limits)(start_retry=10, publish_retry=15)
    world.unread_pods = 2
    operator = FakeOperator(world)
    for number in range(3):
        world.add_run(f"load-{number}")
        while world.phase(f"load-{number}") != "Succeeded":
            await operator.live(1)
    await operator.live(50)
    assert (len(world.kube.of("pods")), len(operator.unread)) == (3, 3)
    await operator.live(30)
    assert [item["metadata"]["name"] for item in world.kube.of("pods")] == ["load-1-1", "load-2-1"]
    assert said(world, "load-0") == ("False", "TooManyUnreadPods")
    assert said(world, "load-1") == ("Unknown", "WaitingForCollector")
    await operator.live(900)
    assert (world.kube.of("pods"), len(operator.unread)) == ([], 0)
    assert said(world, "load-1") == ("False", "WaitEnded")
    given_up = "componentrun_unread_pods_given_up_total"
    counts = [operator.metrics.registry.get_sample_value(given_up, {"reason": why}) for why in GIVEN_UP]
    assert counts == [2, 1]


GIVEN_UP = ("WaitEnded", "TooManyUnreadPods")


def said(world: World, name: str) -> tuple[Any, Any]:
    status = world.run(name)["status"]
    told = next(item for item in status["conditions"] if item["type"] == "EventsDelivered")
    return told["status"], told["reason"]
