"""Settings of the loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, field_validator

from componentrun.process.settings import (
    AbsolutePath,
    Chart,
    Expected,
    Port,
    ProcessSettings,
    Seconds,
    ServiceAccount,
    Words,
    conflict,
)
from componentrun.wire import loaderaccess

if TYPE_CHECKING:
    from pydantic import ValidationInfo

__all__ = ["Settings"]

_Slots = Annotated[int, Field(ge=1, le=256)]


class Settings(ProcessSettings):
    """All settings of the loader."""

    owner: ClassVar[str] = "the loader"
    section: ClassVar[str] = "loader"

    loader_callers: Annotated[
        tuple[ServiceAccount, ...],
        *Words,
        Expected("user names of service accounts, `system:serviceaccount:<namespace>:<name>`, separated by commas"),
    ]
    """Users that may send requests: the operator and maintenance."""
    loader_tls_folder: AbsolutePath = loaderaccess.TLS_FOLDER
    """Folder of the loader's certificate and key."""
    loader_port: Port = loaderaccess.PORT
    """Port for requests. Health and metrics use another port."""
    loader_loads: Annotated[_Slots, Chart("loader.loads")] = 4
    """Concurrent loads, at most half of them for one namespace. Each has an equal share of memory and scratch space."""
    loader_plans: Annotated[_Slots, Chart("loader.plans")] = 8
    """Concurrent requests of other kinds, which need little memory. At most half of them for one namespace."""
    loader_places: Annotated[int, Field(ge=2, le=100_000), Chart("loader.places")] = 512
    """Maximum number of waiting loads, and of other waiting requests. At most half of each for one namespace."""
    loader_stop_seconds: Annotated[Seconds, Field(ge=1, le=3600), Chart("loader.stopSeconds")] = 240
    """Seconds that requests in progress have to finish after SIGTERM."""
    loader_scratch_folder: AbsolutePath = "/tmp"  # noqa: S108 - a volume of the pod
    """Folder for temporary files of loads."""
    loader_scratch_mib: Annotated[int, Field(ge=0, le=2**30), Chart("loader.scratchMiB")] = 0
    """Size of that folder, shared equally by `loader_loads`; 0: the free space of its disk."""

    @field_validator("loader_port")
    @classmethod
    def _differs_from_port(cls, port: int, info: ValidationInfo) -> int:
        if port and port == info.data.get("port"):
            raise conflict("another port than COMPONENTRUN_PORT")
        return port
