"""What maintenance is told."""

from __future__ import annotations

import pytest

from componentrun.maintenance.settings import Settings
from componentrun.process.settings import SettingsError
from componentrun.storage.cleanup.sweep import MIN_KEEP
from tests.environment import settings_from


def test_nothing_told_means_the_defaults() -> None:
    assert settings_from(Settings, {}) == Settings()
    assert Settings().maintenance_keep_seconds == MIN_KEEP.total_seconds()


def test_what_is_told_is_taken() -> None:
    told = settings_from(
        Settings,
        {
            "COMPONENTRUN_MAINTENANCE_KEEP_SECONDS": "72h",
            "COMPONENTRUN_MAINTENANCE_SCRATCH_MIB": "64",
            "COMPONENTRUN_MAINTENANCE_TABLES_FILE_MIB": "512",
            "COMPONENTRUN_MAINTENANCE_TABLES_FILES": "20",
            "COMPONENTRUN_MAINTENANCE_TABLES_DELETED_PERCENT": "50",
            "COMPONENTRUN_MAINTENANCE_TABLES_TABLE_MIB": "1024",
            "COMPONENTRUN_MAINTENANCE_TABLES_ROUND_MIB": "2048",
            "COMPONENTRUN_NAMESPACES": "a,b",
        },
    )
    assert told == Settings(
        maintenance_keep_seconds=72 * 3600,
        maintenance_scratch_mib=64,
        maintenance_tables_file_mib=512,
        maintenance_tables_files=20,
        maintenance_tables_deleted_percent=50,
        maintenance_tables_table_mib=1024,
        maintenance_tables_round_mib=2048,
        namespaces=("a", "b"),
    )


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        settings_from(
            Settings, {"COMPONENTRUN_MAINTENANCE_KEEP_SECONDS": "1h", "COMPONENTRUN_MAINTENANCE_TABLES_FILES": "many"}
        )
    assert "COMPONENTRUN_MAINTENANCE_KEEP_SECONDS (chart value `maintenance.keep`) is `1h`" in refusal.value.message
    assert (
        "COMPONENTRUN_MAINTENANCE_TABLES_FILES (chart value `maintenance.tables.files`) is `many`"
        in refusal.value.message
    )
