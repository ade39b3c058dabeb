"""When a part of the test cluster is started anew: others may be using it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.cluster.node.parts import Part
from dev.cluster.stores import server


class Health:
    """What a part answers when it is asked: each of these once, and then that all is well."""

    def __init__(self, *troubles: str) -> None:
        self.troubles = [*troubles]

    def __call__(self) -> str | None:
        return self.troubles.pop(0) if self.troubles else None


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def part(tmp_path: Path, health: Health) -> Iterator[Part]:
    made = Part("sleeper", ("sleep", "600"), health, env={}, folder=tmp_path)
    assert made.begin()
    yield made
    made.end()


def test_a_part_that_answers_late_goes_on(part: Part, health: Health) -> None:
    process = part.pid_file.read_text()
    health.troubles += ["timed out", "timed out"]
    assert not part.begin()
    assert part.pid_file.read_text() == process


def test_a_part_that_is_dead_is_started_again(part: Part) -> None:
    process = part.pid_file.read_text()
    part.end()
    assert part.begin()
    assert part.pid_file.read_text() != process


@pytest.mark.parametrize(("late", "sick"), [(2, False), (10**6, True)])
def test_a_store_is_sick_when_it_stays_so(
    late: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sick: bool
) -> None:
    monkeypatch.setattr(server, "_ANSWERS_WITHIN", 0.5)
    found = server.Server("Sleeper", "sleeper", "sleep", lambda: tmp_path, "state.json", ())
    assert found._is_sick(Health(*["timed out"] * late)) is sick
