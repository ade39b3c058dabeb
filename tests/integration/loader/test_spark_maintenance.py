"""The program of a Spark Job on the real catalog changes files but no rows, and keeps files that waiting runs need."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.loader.maintenance.choosing import RewriteLimits
from componentrun.loader.maintenance.round import LargeTable, Round, RoundDone, RoundLimits
from componentrun.loader.reading.versions import versions_of
from componentrun.wire.spark import SparkTask, to_text
from tests.integration.loader.maintained import A, Place
from tests.integration.loader.stagedin import planned, staged_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.build.spark import Spark
    from tests.integration.lake_space import LakeSpace

pytestmark = [pytest.mark.store, pytest.mark.long]


LONGEST = 500
"""Seconds until a round counts as hanging."""


class SparkRounds:
    """A process that runs the program in one JVM, with the test's own folders, some days later. Starts when asked."""

    def __init__(self, found: Spark, log: Path) -> None:
        self._found = found
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def run(self, task: SparkTask, secrets: Path, days: float) -> str:
        """Run one round and return everything that it printed."""
        process = self._process = self._process or self._start()
        start = self._log.stat().st_size
        asked = {"task": to_text(task), "secrets": str(secrets), "days": days, "jars": str(self._found.jars[0].parent)}
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        # If a round hangs, the process is killed, and the empty answer fails the test.
        limit = threading.Timer(LONGEST, process.kill)
        limit.start()
        try:
            code = process.stdout.readline().strip()
        finally:
            limit.cancel()
        printed = self._log.read_bytes()[start:].decode()
        assert code == "0", printed[-5000:]
        return printed

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=60)

    def _start(self) -> subprocess.Popen[str]:
        path = f"{Path(__file__).parents[3] / 'operator'}:{self._found.packages}"
        with self._log.open("a") as log:
            return subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("spark_rounds.py"))],
                env=self._found.environment() | {"PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )


class SparkPlace(Place):
    """A Storage whose large tables Spark maintains."""

    rounds: SparkRounds

    def task(self, **more: Any) -> SparkTask:
        catalog, store = self.settings.catalog, self.settings
        assert catalog is not None
        spec = {
            "bucket": store.bucket,
            "endpoint": store.endpoint,
            "prefix": store.prefix,
            "region": store.region,
            "credentials": {"secretName": "store"},
            "catalog": {
                "uri": catalog.uri,
                "warehouse": catalog.warehouse,
                "namespacePrefix": catalog.namespace_prefix,
                "credentials": {"secretName": "catalog"},
            },
        }
        storage = {"metadata": {"name": "main", "namespace": "team"}, "spec": spec}
        said = {"scans": False, "history": 86400.0, "file_bytes": 2**28, "files": 4, "deleted_percent": 20}
        return SparkTask(storage=storage, table=A, memory=2**31, **said | more)  # type: ignore[arg-type]

    def maintain(self, days: float = 0, **more: Any) -> str:
        """Run the program as if some days had passed, and return its log."""
        folder = self.scratch / f"secrets-{time.monotonic_ns()}"
        values = {
            "store/accessKeyId": self.settings.access_key,
            "store/secretAccessKey": self.settings.secret_key,
            "catalog/clientId": self.space.catalog.client_id,
            "catalog/clientSecret": self.space.catalog.client_secret,
        }
        for name, value in values.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(value or "")
        printed = self.rounds.run(self.task(**more), folder, days)
        assert (self.settings.secret_key or "") not in printed
        return printed

    def keyed(self, key: str, value: str) -> None:
        run = self.new_run()
        self.load(run, self.table(run, A, ["id", "v"], [[key, value]], key=["id"], incremental=True))


@pytest.fixture(scope="session")
def spark_rounds(spark_files: Spark, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkRounds]:
    rounds = SparkRounds(spark_files, tmp_path_factory.mktemp("spark") / "log")
    yield rounds
    rounds.end()


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path, spark_rounds: SparkRounds) -> SparkPlace:
    made = SparkPlace(lake_space, tmp_path)
    made.rounds = spark_rounds
    return made


def test_small_files_become_one_and_history_shows_no_change(place: SparkPlace, tmp_path: Path) -> None:
    for number in range(8):
        place.keyed(str(number % 5), f"v{number}")
    waiting = planned(place, A)
    before = place.scan(A)
    assert before is not None
    known = [(version.number, version.what) for version in versions_of(place.catalog.find(place.name).metadata)]  # type: ignore[union-attr]
    told = place.maintain(scans=True)
    assert "8 data files" in told
    after = place.scan(A)
    assert after is not None
    assert (len(before.files), len(after.files), len(after.deletes)) == (8, 1, 0)
    assert after.last_change == before.last_change, "for runs that read what is new, nothing is"
    assert dict(place.rows(A) or []) == {"0": "v5", "1": "v6", "2": "v7", "3": "v3", "4": "v4"}
    table = place.catalog.find(place.name)
    assert table is not None
    assert [(version.number, version.what) for version in versions_of(table.metadata)] == known
    assert table.metadata.current_snapshot().summary["componentrun.maintenance"] == "rewrite"  # type: ignore[union-attr,index]
    # A run that was planned earlier has signed URLs of the old files.
    assert sorted(staged_in(waiting, tmp_path / "data", A).splitlines()[1:]) == ["0,v5", "1,v6", "2,v7", "3,v3", "4,v4"]
    place.keyed("0", "later")
    assert dict(place.rows(A) or [])["0"] == "later"


def test_loads_beside_a_rewrite_are_never_undone(place: SparkPlace) -> None:
    expected = {}
    for number in range(12):
        place.keyed(f"k{number % 6}", f"v{number}")
        expected[f"k{number % 6}"] = f"v{number}"
    ended, failures = threading.Event(), []

    def load() -> None:
        number = 0
        # Pause, so that Spark gets CPU time.
        while not ended.wait(0.3):
            key, value = f"k{number % 9}", f"w{number}"
            try:
                place.keyed(key, value)
            except Exception as error:  # noqa: BLE001 - reported below
                failures.append(error)
                return
            expected[key] = value
            number += 1

    thread = threading.Thread(target=load)
    thread.start()
    try:
        place.maintain(files=2)
    finally:
        ended.set()
        thread.join()
    assert failures == []
    assert dict(place.rows(A) or []) == expected
    place.maintain(files=2)
    assert dict(place.rows(A) or []) == expected


def test_snapshots_that_a_waiting_run_may_hold_stay_and_old_ones_go_with_their_files(
    place: SparkPlace, tmp_path: Path
) -> None:
    for number in range(3):
        place.increment(str(number))
    waiting = planned(place, A)
    for number in range(11):
        place.fully(f"only-{number}")
    before, files = place.snapshots(), place.files()
    place.maintain(days=0.9)
    assert place.snapshots() == before
    assert files <= place.files()
    assert staged_in(waiting, tmp_path / "data", A) == "id\n0\n1\n2\n"
    told = place.maintain(days=2)
    assert f"{before - 10} snapshots" in told
    assert place.snapshots() == 10
    assert not files <= place.files()
    assert place.rows(A) == [("only-10",)]
    place.increment("after")
    assert sorted(place.rows(A) or []) == [("after",), ("only-10",)]


def test_a_large_table_that_needs_something_is_left_to_spark_and_a_small_one_is_not(place: SparkPlace) -> None:
    for number in range(4):
        place.increment(str(number))

    def done(large: int) -> RoundDone:
        limits = RoundLimits(RewriteLimits(files=4), large_bytes=large)
        work = Round(place.catalog, limits, str(place.scratch))
        work.one_table(place.name, scans=False)
        return work.done

    files = place.files()
    assert done(1).large == [LargeTable(place.name, scans=False)]
    assert place.files() == files
    small = done(2**30)
    assert (small.large, small.rewritten) == ([], 1)
    assert done(1).large == [], "it does not need anything any more"
