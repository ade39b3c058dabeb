"""Settings of the log server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import field_validator

from componentrun.process.settings import AbsolutePath, Chart, Port, ProcessSettings, ServiceAccount, conflict
from componentrun.wire import logserver

if TYPE_CHECKING:
    from pydantic import ValidationInfo

__all__ = ["Settings"]


class Settings(ProcessSettings):
    """All settings of the log server. If namespaces are listed, only their logs are served."""

    owner: ClassVar[str] = "the log server"
    section: ClassVar[str] = "nodeLogs"

    nodelogs_reader: ServiceAccount
    """Who may read: the collector's user name."""
    nodelogs_folder: Annotated[AbsolutePath, Chart("nodeLogs.folder")] = "/var/log/pods"
    """Where the node keeps its logs."""
    nodelogs_tls_folder: AbsolutePath = logserver.TLS_FOLDER
    """Where its certificate and key are."""
    nodelogs_port: Port = logserver.PORT
    """Port that logs are served on; health and metrics are on another one."""

    @field_validator("nodelogs_port")
    @classmethod
    def _differs_from_port(cls, port: int, info: ValidationInfo) -> int:
        if port and port == info.data.get("port"):
            raise conflict("another port than COMPONENTRUN_PORT")
        return port
