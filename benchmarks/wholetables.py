"""Large tables through a run's agents and a loader, against DuckDB by hand."""

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

from benchmarks import local, tables
from benchmarks.agents import bench
from benchmarks.byhand import insert, merge, read, replace_rows, run_by_hand
from benchmarks.turns import figures, in_turns
from componentrun.wire.agents import OutputTable
from componentrun.wire.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.agents import Bench
    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from benchmarks.turns import Values
    from componentrun.wire.loader import LoadRequest

__all__ = ["data", "keyed"]

_ROOT: Final = Path(__file__).resolve().parents[1]
_OUT: Final = "out.c-main"
_THERE: Final = 10_000_000
_COMING: Final = 100_000
_KEY: Final = "id"


@dataclass(frozen=True, slots=True)
class _Loaded:
    seconds: float
    cpu: float
    peak_mib: float


def data(lab: Lab, repeats: int) -> list[Figure]:
    """One table of 512 MiB in and out: stage-in, `cp`, stage-out and a load; DuckDB, `cp` and DuckDB."""
    file = tables.large(round(tables.LARGE_BYTES * lab.scale))
    with bench(lab, [file]) as made:
        values = in_turns([lambda: _by_run(made), lambda: _by_hand(made, made.loaded[0])], repeats, warm_ups=0)
    parts = ("", ".cpu", ".in", ".in.cpu", ".out", ".out.cpu")
    return figures(values, "s", {f"tables.data.run{part}": f"tables.data.hand{part}" for part in parts})


def _by_run(made: Bench) -> Mapping[str, float]:
    down = made.stage_in()
    (brought,) = made.brought()
    copied, folder = _copied(made, brought)
    run = uuid.uuid4().hex
    written, up = made.staged(run, folder, made.outputs(_OUT))
    loaded = _load(made, made.place.request(run, written))
    shutil.rmtree(folder)
    return _parts("run", down, copied, up.seconds + loaded.seconds, up.cpu + loaded.cpu)


def _by_hand(made: Bench, table: str) -> Mapping[str, float]:
    settings, name = made.place.settings, f"{_OUT}.hand{uuid.uuid4().hex[:8]}"
    source = made.work / "hand.csv"
    down = run_by_hand(settings, read(made.place.name(table), source, tables.COLUMNS))
    copied, folder = _copied(made, source)
    (target,) = (folder / "out" / "tables").iterdir()
    up = run_by_hand(settings, insert(made.place.name(name), target, tables.COLUMNS))
    source.unlink()
    shutil.rmtree(folder)
    made.place.catalog.drop(made.place.name(name))
    return _parts("hand", down, copied, up.seconds, up.cpu)


def _parts(way: str, down: local.Ended, copied: local.Ended, up: float, up_cpu: float) -> Mapping[str, float]:
    name = f"tables.data.{way}"
    return {
        name: down.seconds + copied.seconds + up,
        f"{name}.cpu": down.cpu + copied.cpu + up_cpu,
        f"{name}.in": down.seconds,
        f"{name}.in.cpu": down.cpu,
        f"{name}.out": up,
        f"{name}.out.cpu": up_cpu,
    }


def _copied(made: Bench, source: Path) -> tuple[local.Ended, Path]:
    """The component copies its input; the data folder that it leaves."""
    folder = made.work / "component"
    target = folder / "out" / "tables"
    target.mkdir(parents=True)
    return local.run(["cp", source, target / made.files[0].name], {"PATH": os.defpath}), folder


def _load(made: Bench, request: LoadRequest) -> _Loaded:
    """A load in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loading", made.place.scratch],
        input=to_json(request).encode(), capture_output=True, cwd=_ROOT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the load ended with {done.returncode}: {done.stderr[-2000:].decode(errors='replace')}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return _Loaded(found["seconds"], found["cpu"], found["peak"])


def keyed(lab: Lab, repeats: int) -> list[Figure]:
    """100,000 rows by key into 10 million: half of the keys are there, spread over all of them."""
    there, coming = round(_THERE * lab.scale), round(_COMING * lab.scale)
    file = tables.numbered(f"there-{there}", range(there))
    change = tables.numbered(f"coming-{there}", _changes(there, coming))
    with bench(lab, [file], key=(_KEY,)) as made:
        own = made.loaded[0]
        hand, plain = f"{_OUT}.merged", f"{_OUT}.deleted"
        for name in (hand, plain):
            run_by_hand(made.place.settings, insert(made.place.name(name), file, tables.COLUMNS))

        def loader() -> Mapping[str, float]:
            run, folder = uuid.uuid4().hex, made.work / "coming"
            (folder / "out" / "tables").mkdir(parents=True)
            shutil.copy2(change, folder / "out" / "tables" / change.name)
            output = OutputTable(change.name, own, incremental=True, primary_key=(_KEY,))
            written, _ = made.staged(run, folder, [output])
            shutil.rmtree(folder)
            loaded = _load(made, made.place.request(run, written))
            return _costs("loader", loaded.seconds, loaded.cpu, loaded.peak_mib)

        def by_hand(way: str, statements: Sequence[str]) -> Mapping[str, float]:
            ended = run_by_hand(made.place.settings, statements)
            return _costs(way, ended.seconds, ended.cpu, ended.peak_mib)

        merging = merge(made.place.name(hand), change, tables.COLUMNS, _KEY)
        deleting = replace_rows(made.place.name(plain), change, _KEY)
        measures = [loader, lambda: by_hand("merge", merging), lambda: by_hand("plain", deleting)]
        values = in_turns(measures, repeats, warm_ups=0)
    return _told(values)


def _changes(there: int, coming: int) -> list[int]:
    """Keys: half of them are there, spread over all rows; half are new."""
    half = coming // 2
    return [*range(0, there, max(1, there // half))[:half], *range(there, there + coming - half)]


def _costs(way: str, seconds: float, cpu: float, peak_mib: float) -> Mapping[str, float]:
    name = f"tables.keyed.{way}"
    return {name: seconds, f"{name}.cpu": cpu, f"{name}.memory": peak_mib}


def _told(values: Values) -> list[Figure]:
    memory = {name: found for name, found in values.items() if name.endswith(".memory")}
    times = {name: found for name, found in values.items() if name not in memory}
    own, hand = "tables.keyed.loader", "tables.keyed.merge"
    return [
        *figures(times, "s", {own: hand, f"{own}.cpu": f"{hand}.cpu"}),
        *figures(memory, "MiB", {f"{own}.memory": f"{hand}.memory"}),
    ]
