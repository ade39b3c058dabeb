"""The kernel kills a loader for memory use during a load: nothing becomes visible, and the run continues."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from componentrun.loader.loading.fencing import fence
from componentrun.loader.loading.load import GivenUpError
from componentrun.wire.documents import to_json
from tests.integration.forks import FORKS
from tests.integration.loader import killed
from tests.integration.loader.foreign import Foreign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.wire.loader import LoadRequest
    from tests.integration.loader.gateway import Answer, Gateway, Seen
    from tests.integration.loader.staging import Bench

pytestmark = pytest.mark.store

A, B = "out.c-main.a", "out.c-main.b"
LIMIT = 32 * 2**20
ROWS = 300_000


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A cgroup (v1 or v2) with little memory."""
    root, name = Path("/sys/fs/cgroup"), f"componentrun-{uuid.uuid4().hex[:8]}"
    is_first = (root / "memory").is_dir()
    made = (root / "memory" if is_first else root) / name
    try:
        made.mkdir()
        (made / ("memory.limit_in_bytes" if is_first else "memory.max")).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    yield made
    made.rmdir()


def kills(cgroup: Path) -> int:
    """Number of processes in the cgroup that the kernel has killed."""
    file = next(file for name in ("memory.oom_control", "memory.events") if (file := cgroup / name).exists())
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("oom_kill "))


def load_in(cgroup: Path, request: LoadRequest) -> None:
    process = FORKS.Process(target=killed.load_within, args=(to_json(request), str(cgroup / "cgroup.procs")))
    process.start()
    process.join(120)
    assert (process.exitcode, kills(cgroup) > 0) == (-signal.SIGKILL, True)


@pytest.mark.parametrize("is_given_up", [False, True], ids=["loaded_by_another", "given_up"])
def test_a_loader_that_is_killed_for_memory_has_changed_nothing(
    bench: Bench, far: Bench, catalog_gateway: Gateway, cgroup: Path, *, is_given_up: bool
) -> None:
    commits: list[Seen] = []

    def count(seen: Seen) -> Answer | None:
        if seen.is_commit:
            commits.append(seen)
        return None

    before = bench.new_run()
    tables = [bench.table(before, name, ["id", "v"], [["0", "before"]], key=["id"]) for name in (A, B)]
    bench.load(before, *tables)
    run = bench.new_run()
    rows = [[str(number), f"a text of the row with the number {number}"] for number in range(ROWS)]
    large = bench.table(run, A, ["id", "v"], rows, key=["id"], incremental=True)
    small = bench.table(run, B, ["id", "v"], rows[:1], key=["id"], incremental=True)
    catalog_gateway.before = count
    load_in(cgroup, far.request(run, large, small))
    assert commits == []
    for reader in (bench.rows, Foreign(bench.space).rows):
        assert reader(A) == reader(B) == [("0", "before")]
    if is_given_up:
        assert fence(bench.catalog, bench.fence_request(run, A, B)) is False
        with pytest.raises(GivenUpError):
            bench.load(run, large, small)
        assert bench.rows(A) == bench.rows(B) == [("0", "before")]
        return
    bench.load(run, large, small)
    bench.load(run, large, small)
    assert (len(bench.rows(A) or []), bench.rows(B)) == (ROWS, [tuple(rows[0])])
