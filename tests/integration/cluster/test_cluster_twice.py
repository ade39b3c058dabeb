"""Our own cluster: a second start changes nothing, and a dead part is restarted."""

import pytest

from dev.cluster import connection, own, waiting
from dev.cluster.host import processes

pytestmark = [pytest.mark.cluster, pytest.mark.disruptive]


@pytest.fixture(autouse=True)
def _only_our_own() -> None:
    if not connection.load().own:
        pytest.skip("a stranger's cluster is left alone")


def pids() -> dict[str, int | None]:
    records = {part.name: processes.find(part.pid_file) for part in own.plan().all}
    return {name: record.pid if record else None for name, record in records.items()}


def test_up_twice_restarts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = pids()
    assert None not in before.values()
    own.up()
    assert pids() == before
    assert "already up" in capsys.readouterr().err


def test_a_dead_part_is_started_again_and_no_other() -> None:
    before = pids()
    scheduler = before.pop("kube-scheduler")
    assert scheduler is not None
    processes.kill_all([scheduler])
    own.up()
    after = pids()
    assert after.pop("kube-scheduler") not in {scheduler, None}
    assert after == before


def test_every_part_is_well() -> None:
    waiting.until(_sick, what="the cluster", timeout=60)


def _sick() -> str | None:
    """Unhealthy parts. A busy part may answer late once."""
    return ", ".join(f"{line}" for line in own.health() if line.problem) or None
