"""Objects of one namespace are found without going through the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from componentrun.controller.metrics import Metrics
from componentrun.controller.watching.bynamespace import ByNamespace
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.resync import Resync
from componentrun.controller.work.queue import WorkQueue
from componentrun.process.kubernetes.client import Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import pytest

    from componentrun.process.kubernetes.client import Kube

KEYS = st.builds(Key, st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]))


@given(st.lists(st.tuples(KEYS, st.none() | st.integers(0, 9))))
def test_it_is_a_dict(changes: list[tuple[Key, int | None]]) -> None:
    mapping: ByNamespace[int] = ByNamespace()
    wanted: dict[Key, int] = {}
    for key, value in changes:
        if value is None:
            assert mapping.pop(key, None) == wanted.pop(key, None)
        else:
            mapping[key] = wanted[key] = value
    assert mapping == wanted
    assert len(mapping) == len(wanted)
    assert dict(mapping.of(None)) == wanted
    assert dict(mapping.of("a")) == {key: value for key, value in wanted.items() if key.namespace == "a"}
    assert mapping._namespaces.keys() == {key.namespace for key in wanted}


class Empty:
    """An API server in which nothing is left."""

    async def pages(self, *_: Any) -> AsyncIterator[Page]:
        yield Page((), "1000000")


async def test_a_listing_of_many_namespaces_goes_through_each_object_once(monkeypatch: pytest.MonkeyPatch) -> None:
    caches, seen, of = Caches(), 0, ByNamespace.of

    def counted(mapping: ByNamespace[Any], namespace: str | None) -> Iterator[tuple[Key, Any]]:
        nonlocal seen
        for item in of(mapping, namespace):
            seen += 1
            yield item

    monkeypatch.setattr(ByNamespace, "of", counted)
    namespaces = [f"team-{number}" for number in range(50)]
    for number in range(500):
        metadata = {"namespace": namespaces[number % 50], "name": f"run-{number}", "uid": f"{number}"}
        caches.runs.seen({"metadata": metadata | {"resourceVersion": str(number)}, "spec": {}})
    await Resync(cast("Kube", Empty()), caches, WorkQueue(), Metrics(), namespaces).everything()
    assert len(caches.runs) == 0
    assert seen == 500
