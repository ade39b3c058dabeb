"""`storage sweep` and `table compact`: what is asked for, and what is said of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.process.kubernetes.resources import COMPONENTS, RUNS, STORAGES

if TYPE_CHECKING:
    from tests.unit.cli.world import World


def test_a_sweep_says_what_it_deleted(world: World) -> None:
    result = world.run("storage", "sweep")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "deleted from Storage `main`: 3 objects (2.0 kB) without a reference, 1 expired file, "
        "4 documents of finished runs, the events of 7 runs (4.1 kB)\n2 prefixes below `data/` are not due yet\n"
    )
    assert world.store.swept == [(None, False)]
    assert world.store.swept_events[0][0].keep == timedelta(days=90)


def test_events_may_be_kept_forever(world: World) -> None:
    result = world.run("storage", "sweep", "--events", "forever")
    assert result.exit_code == 0
    assert world.store.swept_events[0][0].endless


def test_a_dry_run_says_what_would_be_done(world: World) -> None:
    result = world.run("storage", "sweep", "--dry-run", "--keep", "72h")
    assert result.stderr.startswith("would be deleted from Storage `main`: 3 objects")
    assert world.store.swept == [(timedelta(hours=72), True)]


def test_times_beyond_all_times_are_long_ones(world: World) -> None:
    many = "9" * 15
    result = world.run("storage", "sweep", "--dry-run", "--keep", f"{many}h", "--events", f"{many}d")
    assert result.exit_code == 0
    ((keep, _),) = world.store.swept
    assert keep == timedelta(days=365_000)
    assert world.store.swept_events[0][0].keep == timedelta(days=365_000)


def test_events_are_kept_as_storage_and_components_say(world: World) -> None:
    world.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True, "events": {"keep": "30d"}})
    world.cluster.add(COMPONENTS, "audit", {"image": "audit", "events": {"keep": "90d"}})
    wide = {"metadata": {"name": "wide"}, "spec": {"image": "w", "events": {"keep": "50d"}}}
    world.cluster.api.put("clustercomponents", wide)
    world.cluster.add(RUNS, "one", {"component": "audit"})
    result = world.run("storage", "sweep", "--dry-run")
    ((retention, existing, dry_run),) = world.store.swept_events
    assert (retention.of("audit"), retention.of("other")) == (timedelta(days=90), timedelta(days=30))
    assert retention.of("wide") == timedelta(days=50)
    assert (existing, dry_run) == (["uid-one"], True)
    assert "documents of finished runs, the events of 7 runs (4.1 kB)" in result.stderr


def test_the_longest_retention_of_storages_with_the_same_bucket_and_prefix_applies(world: World) -> None:
    world.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True, "events": {"keep": "30d"}})
    world.cluster.add(STORAGES, "other-prefix", {"bucket": "tables", "prefix": "b", "events": {"keep": "400d"}})
    world.cluster.add(STORAGES, "same", {"bucket": "tables", "prefix": "", "events": {"keep": "60d"}})
    world.cluster.add(COMPONENTS, "audit", {"image": "audit", "events": {"keep": "1d"}})
    world.run("storage", "sweep", "--storage", "main", "--dry-run")
    world.cluster.add(STORAGES, "same", {"bucket": "tables", "events": {"keep": "forever"}})
    world.run("storage", "sweep", "--storage", "main", "--dry-run")
    (first, _, _), (second, _, _) = world.store.swept_events
    assert (first.of("any"), first.of("audit")) == (timedelta(days=60), timedelta(days=1))
    assert (second.of("any"), second.of("audit")) == (None, timedelta(days=1))


def test_nothing_is_swept_if_a_storage_with_the_same_bucket_can_t_be_read(world: World) -> None:
    world.cluster.add(STORAGES, "later", {"bucket": "tables", "events": {"keep": "whenever"}})
    world.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True})
    result = world.run("storage", "sweep", "--storage", "main")
    assert result.exit_code != 0
    assert "Storage `later` has a `spec.events.keep`" in result.stderr
    assert (world.store.swept, world.store.swept_events) == ([], [])


def test_how_long_events_are_kept_can_be_said_for_once(world: World) -> None:
    swept = json.loads(world.run("storage", "sweep", "--events", "7d", "-o", "json").stdout)
    assert swept["events"] == {"runs": 7, "objects": 9, "bytes": 4096}
    ((retention, _, dry_run),) = world.store.swept_events
    assert (retention.of("any"), dry_run) == (timedelta(days=7), False)


def test_programs_get_a_document(world: World) -> None:
    swept = json.loads(world.run("storage", "sweep", "--dry-run", "-o", "json").stdout)
    assert (swept["prefixes"], swept["objects"], swept["dry_run"]) == (["data/r1-1/"], 3, True)
    compacted = json.loads(world.run("table", "compact", "in.c-main.foo", "-o", "json").stdout)
    assert (compacted["table"], compacted["outcome"], compacted["files"]) == ("in.c-main.foo", "rewritten", 60)


@pytest.mark.parametrize("option", ["--keep", "--events"])
def test_a_time_that_is_none_is_named(world: World, option: str) -> None:
    result = world.run("storage", "sweep", option, "soon")
    assert result.exit_code == 1
    assert f"{option} is `soon`" in result.stderr
    assert not world.store.swept


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ("rewritten", "60 files (9.0 kB) became 1 (8.0 kB)"),
        ("notNeeded", "needs no rewrite"),
        ("changedMeanwhile", "was changed during the rewrite and is left unchanged; try again"),
        ("unsupported", "can't be rewritten here: it is partitioned"),
        ("tooLarge", "`componentrun table sql-setup --engine spark` attaches an engine"),
    ],
)
def test_compaction_says_how_it_went(world: World, outcome: str, told: str) -> None:
    world.tables.outcome = outcome
    result = world.run("table", "compact", "in.c-main.foo")
    assert result.exit_code == 0
    assert told in result.stderr


def test_a_dry_run_of_compaction_says_so(world: World) -> None:
    told = world.run("table", "compact", "in.c-main.foo", "--dry-run").stderr
    assert told == "`in.c-main.foo`: 60 files (9.0 kB) would become 1\n"
