"""Settings of fetch and push: the environment of their containers, which `core.builds.pod` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.core.builds.exchange import BUILDER_VARIABLE, CA_BUNDLE_VARIABLE, PLAIN_HTTP_VARIABLE
from componentrun.git.settings import GitSettings
from componentrun.registry.settings import RegistrySettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BuilderSettings", "read_settings"]


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """How to reach git hosts, registries and BuildKit."""

    git: GitSettings
    registry: RegistrySettings
    builder: str | None = None
    """Host and port of the BuildKit that stays; None: BuildKit runs in the pod."""


def read_settings(environment: Mapping[str, str]) -> BuilderSettings:
    """Read the environment. A variable that is missing or empty has its default."""
    authorities = environment.get(CA_BUNDLE_VARIABLE) or None
    plain = frozenset(filter(None, environment.get(PLAIN_HTTP_VARIABLE, "").split(",")))
    builder = environment.get(BUILDER_VARIABLE) or None
    return BuilderSettings(GitSettings(ca_bundle=authorities), RegistrySettings(plain, authorities), builder)
