"""What a run asks for and what its Component allows, brought together: one frozen answer for all that builds things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from componentrun.api.component import Component, Network
    from componentrun.api.componentrun import ComponentRun
    from componentrun.exchange import OutputTable

__all__ = ["EffectiveInput", "EffectiveRun", "resolve"]


@dataclass(frozen=True, slots=True)
class EffectiveInput:
    """One input with its place decided. Exactly one of `table` and `object` is set."""

    table: str | None
    """Table id: `in.c-main.foo`."""
    object: str | None
    """Key of a CSV object below the Storage's prefix."""
    destination: str
    """File name below in/tables."""

    @property
    def path(self) -> str:
        """Place relative to the data folder: `in/tables/foo.csv`."""
        return f"in/tables/{self.destination}"


@dataclass(frozen=True, slots=True)
class EffectiveRun:
    """All decisions about one run, made once. Nothing secret is in it but what the run's author wrote in plain text."""

    namespace: str
    name: str
    uid: str
    storage: str
    """Name of the Storage."""
    component_id: str
    """The Component's name, or the last part of the image's name."""
    image: str
    """With tag or digest, as given to the container runtime."""
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    limits: dict[str, str]
    """cpu, memory and perhaps ephemeral-storage, as Kubernetes quantities."""
    requests: dict[str, str]
    timeout_seconds: int
    network: Network
    user_id: int
    read_only_root: bool
    data_size: str
    """Size limit of the data folder, a Kubernetes quantity."""
    inputs: tuple[EffectiveInput, ...]
    outputs: tuple[OutputTable, ...]
    default_bucket: str | None
    config: dict[str, Any]
    """Content of config.json, without the values of `configuration.secrets`: stage-in puts them in."""
    env: dict[str, str]
    """The contract's variables, KBC_ and COMPONENTRUN_."""
    configuration_id: str | None = None
    configuration_row: str | None = None
    branch: str = "default"
    plain_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values of `#` keys that the author wrote in plain text: to be redacted like those from Secrets."""


def resolve(run: ComponentRun, component: Component | None, storage_name: str) -> EffectiveRun:
    """Decide everything about a run that does not depend on the cluster.

    Args:
        run: the run.
        component: what `spec.component` names; None where the run names none, or where there is none of that name.
        storage_name: the Storage that the run names, or the namespace's default one.

    Raises:
        UserError: INVALID_SPEC naming the field's path, or COMPONENT_NOT_FOUND.
    """
    raise NotImplementedError
