"""An object that gets a deleted one's name while the API server is asked for that one is not taken for deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from componentrun.controller.storages.references import References
from componentrun.controller.watching.caches import Caches
from componentrun.process.kubernetes.clock import ApiClock
from componentrun.process.kubernetes.errors import NotFoundError
from tests.unit.controller.fakekube import NAMESPACE
from tests.unit.controller.fakes import FakeOperator, World

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from componentrun.process.kubernetes.client import Kube
    from componentrun.process.kubernetes.resources import Resource


class SlowAnswers:
    """Answers that nothing has the name, and something gets it before the answer arrives."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile
        self.clock = ApiClock()

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        self.meanwhile()
        raise NotFoundError(f"{resource.plural} {namespace}/{name} not found", 404)


async def test_a_run_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    key = world.add_run("load")
    operator = FakeOperator(world)
    await operator.start()
    listener, world.kube.listener = world.kube.listener, None
    world.kube.remove("componentruns", *key)  # this event is late
    world.kube.listener = listener
    with monkeypatch.context() as slow:
        slow.setattr(world.kube, "get", SlowAnswers(lambda: world.add_run("load")).get)
        await operator.reconciler.refresh(key)
    await operator.live(10)
    assert world.phase("load") == "Succeeded"


async def test_a_component_is_found() -> None:
    caches = Caches()

    def component(version: int) -> dict[str, Any]:
        metadata = {"namespace": NAMESPACE, "name": "cleaner", "uid": f"uid-{version}", "resourceVersion": str(version)}
        return {"metadata": metadata, "spec": {"image": f"cleaner:{version}"}}

    caches.components.seen(component(1))
    kube = SlowAnswers(lambda: caches.components.seen(component(2)))
    found = await References(cast("Kube", kube), caches).component(NAMESPACE, "cleaner", anew=True)
    assert found is not None
    assert found.spec.image == "cleaner:2"
