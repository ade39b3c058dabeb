"""Large tables with a run's agents and a loader, compared with hand-written DuckDB statements."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import csvfiles, timed_process
from benchmarks.harness.agent_runner import agent_runner
from benchmarks.harness.interleave import figures, interleave
from benchmarks.tables.duckdb_baseline import delete_and_insert, insert, merge, read, run_duckdb
from componentrun.wire.agents import OutputTable
from componentrun.wire.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.harness.agent_runner import AgentRunner
    from benchmarks.harness.interleave import Values
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from componentrun.wire.loader import LoadRequest

__all__ = ["merge_by_key", "round_trip"]

_ROOT: Final = Path(__file__).resolve().parents[2]
_OUT: Final = "out.c-main"
_THERE: Final = 10_000_000
_COMING: Final = 100_000
_KEY: Final = "id"


@dataclass(frozen=True, slots=True)
class _LoadCost:
    seconds: float
    cpu: float
    peak_mib: float


def round_trip(testbed: Testbed, repeats: int) -> list[Figure]:
    """One table of 512 MiB in and out: stage-in, `cp`, stage-out and a load; DuckDB, `cp` and DuckDB."""
    file = csvfiles.large(round(csvfiles.LARGE_BYTES * testbed.scale))
    with agent_runner(testbed, [file]) as runner:
        values = interleave(
            [lambda: _by_run(runner), lambda: _by_hand(runner, runner.table_ids[0])], repeats, warm_ups=0
        )
    parts = ("", ".cpu", ".in", ".in.cpu", ".out", ".out.cpu")
    return figures(values, "s", {f"tables.data.run{part}": f"tables.data.duckdb{part}" for part in parts})


def _by_run(runner: AgentRunner) -> Mapping[str, float]:
    down = runner.stage_in()
    (input_file,) = runner.input_files()
    copied, folder = _copied(runner, input_file)
    run = uuid.uuid4().hex
    written, up = runner.stage_output(run, folder, runner.outputs(_OUT))
    loaded = _load(runner, runner.sandbox.request(run, written))
    shutil.rmtree(folder)
    return _parts("run", down, copied, up.seconds + loaded.seconds, up.cpu + loaded.cpu)


def _by_hand(runner: AgentRunner, table: str) -> Mapping[str, float]:
    settings, name = runner.sandbox.settings, f"{_OUT}.hand{uuid.uuid4().hex[:8]}"
    source = runner.work / "hand.csv"
    down = run_duckdb(settings, read(runner.sandbox.name(table), source, csvfiles.COLUMNS))
    copied, folder = _copied(runner, source)
    (target,) = (folder / "out" / "tables").iterdir()
    up = run_duckdb(settings, insert(runner.sandbox.name(name), target, csvfiles.COLUMNS))
    source.unlink()
    shutil.rmtree(folder)
    runner.sandbox.catalog.drop(runner.sandbox.name(name))
    return _parts("duckdb", down, copied, up.seconds, up.cpu)


def _parts(
    way: str, down: timed_process.Ended, copied: timed_process.Ended, up: float, up_cpu: float
) -> Mapping[str, float]:
    name = f"tables.data.{way}"
    return {
        name: down.seconds + copied.seconds + up,
        f"{name}.cpu": down.cpu + copied.cpu + up_cpu,
        f"{name}.in": down.seconds,
        f"{name}.in.cpu": down.cpu,
        f"{name}.out": up,
        f"{name}.out.cpu": up_cpu,
    }


def _copied(runner: AgentRunner, source: Path) -> tuple[timed_process.Ended, Path]:
    """Copy the input like the component; return the data folder."""
    folder = runner.work / "component"
    target = folder / "out" / "tables"
    target.mkdir(parents=True)
    return timed_process.run(["cp", source, target / runner.files[0].name], {"PATH": os.defpath}), folder


def _load(runner: AgentRunner, request: LoadRequest) -> _LoadCost:
    """Run a load in a separate process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tables.single_load", runner.sandbox.scratch],
        input=to_json(request).encode(), capture_output=True, cwd=_ROOT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the load ended with {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return _LoadCost(found["seconds"], found["cpu"], found["peak"])


def merge_by_key(testbed: Testbed, repeats: int) -> list[Figure]:
    """Merge 100,000 rows by key into 10 million; half of the keys exist, spread over all rows."""
    there, coming = round(_THERE * testbed.scale), round(_COMING * testbed.scale)
    file = csvfiles.numbered(f"there-{there}", range(there))
    change = csvfiles.numbered(f"coming-{there}", _changes(there, coming))
    with agent_runner(testbed, [file], key=(_KEY,)) as runner:
        own = runner.table_ids[0]
        hand, plain = f"{_OUT}.merged", f"{_OUT}.deleted"
        for name in (hand, plain):
            run_duckdb(runner.sandbox.settings, insert(runner.sandbox.name(name), file, csvfiles.COLUMNS))

        def loader() -> Mapping[str, float]:
            run, folder = uuid.uuid4().hex, runner.work / "coming"
            (folder / "out" / "tables").mkdir(parents=True)
            shutil.copy2(change, folder / "out" / "tables" / change.name)
            output = OutputTable(change.name, own, incremental=True, primary_key=(_KEY,))
            written, _ = runner.stage_output(run, folder, [output])
            shutil.rmtree(folder)
            loaded = _load(runner, runner.sandbox.request(run, written))
            return _costs("loader", loaded.seconds, loaded.cpu, loaded.peak_mib)

        def by_hand(way: str, statements: Sequence[str]) -> Mapping[str, float]:
            ended = run_duckdb(runner.sandbox.settings, statements)
            return _costs(way, ended.seconds, ended.cpu, ended.peak_mib)

        merging = merge(runner.sandbox.name(hand), change, csvfiles.COLUMNS, _KEY)
        deleting = delete_and_insert(runner.sandbox.name(plain), change, _KEY)
        measures = [loader, lambda: by_hand("duckdb", merging), lambda: by_hand("duckdb-delete-insert", deleting)]
        values = interleave(measures, repeats, warm_ups=0)
    return _to_figures(values)


def _changes(there: int, coming: int) -> list[int]:
    """Return keys, half of which exist, spread over all rows."""
    half = coming // 2
    return [*range(0, there, max(1, there // half))[:half], *range(there, there + coming - half)]


def _costs(way: str, seconds: float, cpu: float, peak_mib: float) -> Mapping[str, float]:
    name = f"tables.merge.{way}"
    return {name: seconds, f"{name}.cpu": cpu, f"{name}.memory": peak_mib}


def _to_figures(values: Values) -> list[Figure]:
    memory = {name: found for name, found in values.items() if name.endswith(".memory")}
    times = {name: found for name, found in values.items() if name not in memory}
    own, hand = "tables.merge.loader", "tables.merge.duckdb"
    return [
        *figures(times, "s", {own: hand, f"{own}.cpu": f"{hand}.cpu"}),
        *figures(memory, "MiB", {f"{own}.memory": f"{hand}.memory"}),
    ]
