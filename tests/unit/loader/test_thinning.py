"""Increments that are removed from the history early: no run misses a file, and what was published stays known."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - hypothesis looks annotations up
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyiceberg.manifest import DataFileContent
from pyiceberg.table.refs import SnapshotRefType
from pyiceberg.table.update import RemoveSnapshotRefUpdate, SetPropertiesUpdate, SetSnapshotRefUpdate

from componentrun.errors import PlatformError
from componentrun.loader.catalog import marks, properties, snapshots, thinning
from componentrun.loader.catalog.catalog import TableChange
from componentrun.loader.catalog.lineage import line_of
from componentrun.loader.catalog.marks import attempt_in, is_fenced, snapshot_of
from componentrun.loader.catalog.snapshots import NewSnapshot, become_current, change_of
from componentrun.loader.maintenance import expiring
from componentrun.loader.maintenance.history import HistoryLimits, expired_snapshots
from componentrun.loader.reading.versions import versions_of
from tests.unit.loader.lakeworld import DAY, World
from tests.unit.loader.memorylake import NAME, data_file

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600.0


@pytest.fixture(autouse=True)
def small_numbers() -> Iterator[None]:
    """Histories are thinned early, so that short ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "_MOST_MANIFESTS", 4)
        patch.setattr(thinning, "NEWEST", 3)
        patch.setattr(thinning, "_AT_ONCE", 2)
        yield


@dataclass
class State:
    """A snapshot that was the current one."""

    snapshot: int
    begun: float
    ended: float | None
    """None: it is the current one."""
    files: frozenset[str]
    kind: str


class History(World):
    """A table, with what a plain model knows of it."""

    def __init__(self, scratch: str, *, keeps_parents: bool = True) -> None:
        super().__init__(scratch, keeps_parents=keeps_parents)
        self.states: list[State] = []
        self.published: list[tuple[str, float]] = []
        self.fenced: list[tuple[str, float]] = []

    def brought(self, change: str, **more: Any) -> None:
        """Commit a run's load."""
        run = str(uuid.uuid4())
        summary = {properties.RUN: run, properties.ATTEMPT: "1", properties.CHANGE: change}
        added = [self.lake.upload(self.location())] if change != properties.DROP else []
        self.change(NewSnapshot(summary, added=added, **more))
        self.published.append((run, self.lake.now))
        self.note(change)

    def increment(self) -> None:
        self.brought(properties.INCREMENT)

    def keyed(self) -> None:
        deletes = self.location("-deletes")
        self.lake.upload(deletes)
        self.brought(properties.INCREMENT, deletes=[data_file(deletes, DataFileContent.POSITION_DELETES)])

    def many(self) -> None:
        for _ in range(3):
            self.increment()
            self.check()

    def load(self) -> None:
        self.brought(properties.LOAD, replaces=True)

    def restore(self) -> None:
        self.brought(properties.RESTORE, replaces=True)

    def drop(self) -> None:
        self.brought(properties.DROP, replaces=True)

    def give_up(self) -> None:
        run = str(uuid.uuid4())
        self.change(NewSnapshot({properties.FENCED_RUN: run, properties.FENCED_ATTEMPT: "2"}))
        self.fenced.append((run, self.lake.now))
        self.note("fence")

    def spark(self) -> None:
        """An append by another program: its summary is the other program's."""
        self.append()
        self.note("append")

    def rewrite(self) -> None:
        before = self.metadata.current_snapshot_id
        super().rewrite()
        if self.metadata.current_snapshot_id != before:
            self.note("rewrite")

    def roll_back(self) -> None:
        """Another program makes the parent the current snapshot again."""
        current = self.metadata.current_snapshot()
        parent = current.parent_snapshot_id if current is not None else None
        if parent is not None and self.metadata.snapshot_by_id(parent) is not None:
            self.commit(become_current(parent))
            self.states[-1].kind = "rolled back"
            self.note("again")

    def tag(self) -> None:
        if self.metadata.current_snapshot_id is not None:
            update = {"snapshot-id": self.metadata.current_snapshot_id, "ref-name": "t", "type": SnapshotRefType.TAG}
            self.commit(SetSnapshotRefUpdate.model_validate(update))

    def untag(self) -> None:
        if "t" in self.metadata.refs:
            self.commit(RemoveSnapshotRefUpdate.model_validate({"ref-name": "t"}))

    def pause(self) -> None:
        self.lake.now += 1200

    def hours(self) -> None:
        self.lake.now += 3 * HOUR

    def commit(self, update: Any) -> None:
        self.lake.commit([TableChange(NAME, [], [update])])

    def note(self, kind: str) -> None:
        if self.states:
            self.states[-1].ended = self.lake.now
        current = self.metadata.current_snapshot_id
        assert current is not None
        self.states.append(State(current, self.lake.now, None, self.files(current), kind))

    @property
    def metadata(self) -> Any:
        return self.lake.find(NAME).metadata

    def files(self, snapshot: int) -> frozenset[str]:
        found = self.metadata.snapshot_by_id(snapshot)
        return frozenset(
            entry.data_file.file_path
            for manifest in found.manifests(self.lake)
            for entry in manifest.fetch_manifest_entry(self.lake, discard_deleted=True)
        )

    def check(self) -> None:
        self.check_files()
        self.check_marks()
        self.check_versions()

    def check_files(self) -> None:
        reached = self.reached()
        assert reached <= set(self.lake.objects)
        for state in self.states:
            if state.ended is None or state.ended > self.lake.now - DAY:
                assert state.files <= reached, "a run may be reading it"

    def check_marks(self) -> None:
        table = self.lake.find(NAME)
        for run, moment in self.published:
            assert (attempt_in(table, run), is_fenced(table, run, 1)) == (1, False) or moment <= self.lake.now - DAY
        for run, moment in self.fenced:
            fenced = [is_fenced(table, run, attempt) for attempt in (1, 2, 3)]
            assert (fenced, attempt_in(table, run)) == ([True, True, False], None) or moment <= self.lake.now - DAY

    def check_versions(self) -> None:
        by_snapshot = {state.snapshot: state for state in self.states}
        listed = [by_snapshot[version.snapshot] for version in versions_of(self.metadata)]
        for state in listed:
            assert self.files(state.snapshot) == state.files
        numbers = [version.number for version in versions_of(self.metadata)]
        assert numbers == sorted(numbers, reverse=True)
        if any(state.kind in {"rolled back", "again"} for state in self.states):
            return
        kept = {state.snapshot for state in listed}
        followed = [*self.states[1:], None][: len(self.states)]
        for state, after in zip(self.states, followed, strict=True):
            is_young = state.ended is None or state.ended > self.lake.now - 3 * DAY
            before = after is not None and after.kind in {"load", "restore", "drop"}
            if is_young and state.kind in {"load", "restore", "drop", "append"}:
                assert state.snapshot in kept
            if is_young and state.kind == "increment" and before:
                assert state.snapshot in kept
            length = HOUR if self.lake.now - state.begun < DAY else DAY
            if state.kind == "increment" and self.lake.now - state.begun < 2 * DAY:
                period = state.begun // length
                assert any(other.begun // length == period for other in listed)


OPERATIONS = (
    "increment", "many", "many", "many", "many", "keyed", "load", "restore", "drop", "give_up", "spark", "rewrite",
    "rewrite", "lose", "roll_back", "tag", "untag", "pause", "hours", "wait", "expire", "orphans",
)  # fmt: skip


@given(operations=st.lists(st.sampled_from(OPERATIONS), max_size=30), keeps_parents=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_no_run_misses_a_file_and_what_was_published_is_known_for_a_day(
    tmp_path: Path, operations: list[str], *, keeps_parents: bool
) -> None:
    history = History(str(tmp_path), keeps_parents=keeps_parents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiring, "TableObjects", lambda _: history.lake)
        for operation in operations:
            getattr(history, operation)()
            history.check()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    made = History(str(tmp_path))
    monkeypatch.setattr(expiring, "TableObjects", lambda _: made.lake)
    return made


def kinds(history: History) -> list[str]:
    """What happened at the versions that are kept, the oldest first."""
    by_snapshot = {state.snapshot: state.kind for state in history.states}
    return [by_snapshot[version.snapshot] for version in versions_of(history.metadata)][::-1]


def test_of_many_increments_the_newest_stay_and_one_of_each_hour(history: History) -> None:
    for _ in range(4):
        for _ in range(10):
            history.increment()
        history.lake.now += HOUR
    assert 7 <= len(history.metadata.snapshots) <= 8
    history.check()


def test_older_than_a_day_one_of_each_day_stays(history: History) -> None:
    for _ in range(24 * 3):
        for _ in range(2):
            history.increment()
        history.lake.now += HOUR
    assert 24 + 3 <= len(history.metadata.snapshots) <= 24 + 3 + 3 + 3
    history.check()


def test_the_versions_around_a_full_load_a_restore_and_a_drop_stay(history: History) -> None:
    for what in ("load", "restore", "drop"):
        for _ in range(5):
            history.increment()
        getattr(history, what)()
    for _ in range(9):
        history.increment()
    assert kinds(history)[:6] == ["increment", "load", "increment", "restore", "increment", "drop"]


def test_a_snapshot_whose_files_were_rewritten_stays_for_a_day(history: History) -> None:
    for _ in range(4):
        history.increment()
    before = history.states[-1]
    history.rewrite()
    for _ in range(9):
        history.increment()
    history.lake.now += DAY - 1
    history.expire()
    assert history.metadata.snapshot_by_id(before.snapshot) is not None
    history.increment()
    history.lake.now += 2 * HOUR
    history.expire()
    history.orphans()
    assert before.files - history.reached() == before.files
    assert not before.files & set(history.lake.objects)


def test_a_tagged_snapshot_stays(history: History) -> None:
    history.increment()
    history.tag()
    for _ in range(20):
        history.increment()
    assert line_of(history.metadata)[-1].snapshot_id == history.states[0].snapshot


def test_nothing_is_removed_while_a_property_says_so_nor_for_a_storage_that_keeps_its_history(
    history: History,
) -> None:
    until = str(int((history.lake.now + HOUR) * 1000))
    history.commit(SetPropertiesUpdate(updates={properties.KEPT_UNTIL: until}))
    for _ in range(10):
        history.increment()
    assert len(history.metadata.snapshots) == 10
    history.lake.now += 2 * HOUR
    for _ in range(10):
        change, _ = change_of(history.lake.find(NAME), NAME, NewSnapshot({}), thins_history=False, now=history.lake.now)
        history.lake.commit([change])
    assert len(history.metadata.snapshots) == 20
    history.increment()
    assert len(history.metadata.snapshots) < 20


def test_a_run_that_only_a_mark_knows_is_known(history: History) -> None:
    history.increment()
    history.give_up()
    for _ in range(20):
        history.increment()
    table, (run, _), (given_up, _) = history.lake.find(NAME), history.published[0], history.fenced[0]
    assert snapshot_of(table, run) is None
    assert (attempt_in(table, run), attempt_in(table, given_up)) == (1, None)
    assert [is_fenced(table, given_up, attempt) for attempt in (1, 2, 3)] == [True, True, False]
    assert not any(is_fenced(table, str(uuid.uuid4()), 1) for _ in range(100))


def test_a_load_that_was_looked_up_before_an_expiry_keeps_the_marks_of_it(history: History) -> None:
    for _ in range(4):
        history.increment()
    history.lake.now += 2.5 * DAY
    for _ in range(8):
        history.load()
    looked = history.lake.find(NAME)
    history.lake.now += HOUR
    run = next(run for run, _ in history.published if snapshot_of(looked, run) is not None)
    expired = expired_snapshots(looked.metadata, HistoryLimits(snapshots=1), history.lake.now + 9 * DAY)
    expiring._remove(history.catalog, NAME, looked, expired, history.lake.now)
    assert (snapshot_of(history.lake.find(NAME), run), attempt_in(history.lake.find(NAME), run)) == (None, 1)
    history.lake.commit([change_of(looked, NAME, NewSnapshot({}), now=history.lake.now)[0]])
    assert attempt_in(history.lake.find(NAME), run) == 1
    for _ in range(12):
        history.increment()
    table = history.lake.find(NAME)
    assert attempt_in(table, run) == 1
    assert [name for name in table.properties if name.startswith(properties.MARKS)] == [properties.MARKS]


def test_the_marks_that_maintenance_adds_are_merged_also_if_no_load_removes_snapshots(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "_AT_ONCE", 1000)
    monkeypatch.setattr(marks, "_MANY_PARTS", 3)
    for _ in range(3):
        history.increment()
    for _ in range(9):
        for _ in range(2):
            history.increment()
        history.lake.now += HOUR
        history.expire()
    history.check()
    parts = [name for name in history.lake.find(NAME).properties if name.startswith(f"{properties.MARKS}.")]
    assert 0 < len(parts) <= 3


def test_marks_are_kept_for_three_days_but_only_for_one_if_there_are_many(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known() -> int:
        return sum(attempt_in(history.lake.find(NAME), run) is not None for run, _ in history.published[:10])

    for days, expected in ((2.9, 10), (3.2, 0)):
        history.published.clear()
        for _ in range(10):
            history.increment()
        history.lake.now += days * DAY
        for _ in range(20):
            history.increment()
        assert known() == expected or (expected == 0 and known() <= 1)
    monkeypatch.setattr(marks, "_MANY", 5)
    history.published.clear()
    for _ in range(10):
        history.increment()
    history.lake.now += 1.5 * DAY
    for _ in range(20):
        history.increment()
    assert known() <= 1


def test_marks_that_cannot_be_read_are_refused(history: History) -> None:
    for text in ("[]", "{", '{"x": "y"}', '{"1": 2}'):
        with pytest.raises(PlatformError, match=r"`componentrun\.marks` of the table is not what"):
            marks.merged_marks({properties.MARKS: text}, [], history.lake.now)


def test_a_snapshot_that_another_program_rolled_back_stays_for_a_day(history: History) -> None:
    for _ in range(6):
        history.increment()
    abandoned = history.states[-1]
    history.roll_back()
    for _ in range(20):
        history.increment()
        history.check()
    assert history.metadata.snapshot_by_id(abandoned.snapshot) is not None
