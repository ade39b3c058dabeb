"""What maintenance is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from componentrun.process.settings import ProcessSettings, Reader, read_process, seconds, whole
from componentrun.storage.compaction import DEFAULT_SEGMENTS
from componentrun.storage.sweep import HISTORY_KEEP, MIN_KEEP

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "from_environment"]

_LONGEST: Final = 10 * 366 * 86400


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of maintenance."""

    process: ProcessSettings = field(default_factory=ProcessSettings)
    """What every process is told; it serves nothing."""
    keep: timedelta = MIN_KEEP
    """How long data is kept that nothing names any more."""
    history: timedelta = HISTORY_KEEP
    """How long earlier versions of tables are kept."""
    segments: int = DEFAULT_SEGMENTS
    """A table with more segments than this is compacted."""
    scratch: int = 4096 * 2**20
    """Bytes that compaction may use on the local disk."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are wrong; each is named with its value and what was expected.
    """
    reader, default = Reader(environment, "maintenance"), Settings()
    shortest = MIN_KEEP.total_seconds()
    keep = reader.read("MAINTENANCE_KEEP_SECONDS", seconds(shortest, _LONGEST), shortest)
    history = reader.read("MAINTENANCE_HISTORY_SECONDS", seconds(0, _LONGEST), HISTORY_KEEP.total_seconds())
    settings = Settings(
        process=read_process(reader),
        keep=timedelta(seconds=keep),
        history=timedelta(seconds=history),
        segments=reader.read("MAINTENANCE_SEGMENTS", whole(2, 10_000), default.segments),
        scratch=reader.read("MAINTENANCE_SCRATCH_MIB", whole(64, 2**30), default.scratch // 2**20) * 2**20,
    )
    reader.check()
    return settings
