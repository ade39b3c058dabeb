"""Settings of a process as it reads them from its environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar
from unittest import mock

from componentrun.process.settings import ProcessSettings, load

if TYPE_CHECKING:
    from collections.abc import Mapping

Settings = TypeVar("Settings", bound=ProcessSettings)


def settings_from(settings: type[Settings], environment: Mapping[str, str]) -> Settings:
    """Settings of a process that has these variables and no others."""
    with mock.patch.dict(os.environ, environment, clear=True):
        return load(settings)
