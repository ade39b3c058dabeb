"""Credentials from the pull secrets of a run, for one repository."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.core.images.pullsecretnames import pull_secret_names
from componentrun.core.images.pullsecrets import Login, logins_for, read_pull_secret
from componentrun.errors import UnsupportedError, UserError
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from componentrun.api.component import Component
    from componentrun.controller.storages.references import References
    from componentrun.core.images.reference import Repository
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Logins", "read_logins", "secrets_without_run"]


@dataclass(frozen=True, slots=True)
class Logins:
    """Credentials to try, in this order."""

    usable: tuple[Login, ...]
    known: str
    """What is known about the pull secrets, for the message if the registry wants a login; no value of a Secret."""


async def secrets_without_run(
    references: References, component: Component, agents: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Names of the pull secrets of a Component and of the default Storage beside it, if there is one.

    Args:
        references: reads the Storage.
        component: a ClusterComponent is of no namespace, so it has no Storage.
        agents: pull secrets of the agents' image.

    Raises:
        ComponentRunError: the API server refused or is unavailable.
    """
    namespace, storage = component.metadata.namespace, None
    if namespace:
        with suppress(UserError, UnsupportedError):  # its runs can't start without one, but its images can be found
            storage = await references.storage(namespace, None)
    return pull_secret_names(None, (component,), storage, agents)


async def read_logins(kube: Kube, namespace: str, names: tuple[str, ...], repository: Repository) -> Logins:
    """Read the Secrets of these names. Those that are missing or malformed are skipped, as the kubelet does.

    Raises:
        KubeError: the API server refused or is unavailable.
    """
    found = await asyncio.gather(*(find_secret(kube, namespace, name) for name in names))
    secrets = [read_pull_secret(name, secret) for name, secret in zip(names, found, strict=True)]
    problems = [secret.problem for secret in secrets if secret.problem]
    others = [f"`{secret.name}`" for secret in secrets if not secret.problem]
    known = "; ".join([*problems, *([f"{', '.join(others)} have none for this registry"] if others else [])])
    return Logins(logins_for(repository, secrets), known)
