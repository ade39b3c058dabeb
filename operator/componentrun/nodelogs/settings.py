"""What the log server is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.process import nodelogs
from componentrun.process.settings import (
    PORT_NUMBER,
    ProcessSettings,
    Reader,
    absolute_path,
    read_process,
    service_account,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Settings", "from_environment"]

FOLDER: Final = "/var/log/pods"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the log server."""

    reader: str
    """Who may read: the collector's user name, `system:serviceaccount:<namespace>:<name>`."""
    process: ProcessSettings = field(default_factory=ProcessSettings)
    """What every process is told; where namespaces are listed, only their logs are served."""
    folder: str = FOLDER
    """Where the node keeps its logs."""
    tls_folder: str = nodelogs.TLS_FOLDER
    """Where its certificate and key are."""
    port: int = nodelogs.PORT
    """Port that logs are served on; health and metrics are on another one."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are missing or wrong; each is named with its value and what was expected.
    """
    reader = Reader(environment, "log server")
    settings = Settings(
        reader=reader.read("NODELOGS_READER", service_account, None),
        process=read_process(reader),
        folder=reader.read("NODELOGS_FOLDER", absolute_path, FOLDER),
        tls_folder=reader.read("NODELOGS_TLS_FOLDER", absolute_path, nodelogs.TLS_FOLDER),
        port=reader.read("NODELOGS_PORT", PORT_NUMBER, nodelogs.PORT),
    )
    if settings.port == settings.process.port:
        reader.wrong("NODELOGS_PORT", str(settings.port), "another port than COMPONENTRUN_PORT")
    reader.check()
    return settings
