"""What maintenance is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from componentrun.maintenance.settings import Settings, TableSettings, from_environment
from componentrun.process.settings import SettingsError
from componentrun.storage.cleanup.sweep import MIN_KEEP


def test_nothing_told_means_the_defaults() -> None:
    assert from_environment({}) == Settings()
    assert Settings().keep == MIN_KEEP


def test_what_is_told_is_taken() -> None:
    told = from_environment(
        {
            "COMPONENTRUN_MAINTENANCE_KEEP_SECONDS": "72h",
            "COMPONENTRUN_MAINTENANCE_SCRATCH_MIB": "64",
            "COMPONENTRUN_MAINTENANCE_TABLES_FILE_MIB": "512",
            "COMPONENTRUN_MAINTENANCE_TABLES_FILES": "20",
            "COMPONENTRUN_MAINTENANCE_TABLES_DELETED_PERCENT": "50",
            "COMPONENTRUN_MAINTENANCE_TABLES_TABLE_MIB": "1024",
            "COMPONENTRUN_MAINTENANCE_TABLES_ROUND_MIB": "2048",
            "COMPONENTRUN_NAMESPACES": "a,b",
        }
    )
    assert told.keep == timedelta(hours=72)
    assert told.tables == TableSettings(512 * 2**20, 20, 50, 1024 * 2**20, 2048 * 2**20)
    assert (told.scratch, told.process.namespaces) == (64 * 2**20, ("a", "b"))


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        from_environment(
            {"COMPONENTRUN_MAINTENANCE_KEEP_SECONDS": "1h", "COMPONENTRUN_MAINTENANCE_TABLES_FILES": "many"}
        )
    assert "COMPONENTRUN_MAINTENANCE_KEEP_SECONDS is `1h`" in refusal.value.message
    assert "COMPONENTRUN_MAINTENANCE_TABLES_FILES is `many`" in refusal.value.message
