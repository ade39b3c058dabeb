"""What the loader is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.process.settings import (
    PORT_NUMBER,
    ProcessSettings,
    Reader,
    absolute_path,
    read_process,
    seconds,
    service_account,
    whole,
    words,
)
from componentrun.wire import loaderaccess

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "from_environment"]

_MOST_SLOTS: Final = 256
_MOST_PLACES: Final = 100_000
_MOST_STOP_SECONDS: Final = 3600
_MOST_MEBIBYTES: Final = 2**30


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the loader."""

    callers: tuple[str, ...]
    """Users that may ask, `system:serviceaccount:<namespace>:<name>`: the operator and maintenance."""
    process: ProcessSettings = field(default_factory=ProcessSettings)
    """What every process is told."""
    tls_folder: str = loaderaccess.TLS_FOLDER
    """Where its certificate and key are."""
    port: int = loaderaccess.PORT
    """Port that requests are answered on; health and metrics are on another one."""
    loads: int = 4
    """Loads at a time; of one namespace half of them. Each may take its share of memory and scratch space."""
    plans: int = 8
    """All other requests at a time, which take little memory; of one namespace half of them."""
    places: int = 512
    """Loads, and other requests, that may wait; of one namespace half of them."""
    stop_seconds: float = 240
    """How long requests in progress have when the process is told to end."""
    scratch_folder: str = "/tmp"  # noqa: S108 - a volume of the pod
    """Where loads keep files while they are under way."""
    scratch_mebibytes: int = 0
    """Size of that folder, of which each of `loads` has an equal share; 0: as much as the disk holds."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are missing or wrong; each is named with its value and what was expected.
    """
    reader, default = Reader(environment, "loader"), Settings(())
    settings = Settings(
        callers=reader.read("LOADER_CALLERS", _service_accounts, None),
        process=read_process(reader),
        tls_folder=reader.read("LOADER_TLS_FOLDER", absolute_path, default.tls_folder),
        port=reader.read("LOADER_PORT", PORT_NUMBER, default.port),
        loads=reader.read("LOADER_LOADS", whole(1, _MOST_SLOTS), default.loads),
        plans=reader.read("LOADER_PLANS", whole(1, _MOST_SLOTS), default.plans),
        places=reader.read("LOADER_PLACES", whole(2, _MOST_PLACES), default.places),
        stop_seconds=reader.read("LOADER_STOP_SECONDS", seconds(1, _MOST_STOP_SECONDS), default.stop_seconds),
        scratch_folder=reader.read("LOADER_SCRATCH_FOLDER", absolute_path, default.scratch_folder),
        scratch_mebibytes=reader.read("LOADER_SCRATCH_MIB", whole(0, _MOST_MEBIBYTES), default.scratch_mebibytes),
    )
    if settings.port == settings.process.port:
        reader.wrong("LOADER_PORT", str(settings.port), "another port than COMPONENTRUN_PORT")
    reader.check()
    return settings


def _service_accounts(text: str) -> tuple[str, ...]:
    return tuple(service_account(word) for word in words(text))
