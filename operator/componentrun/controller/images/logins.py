"""Credentials from the pull secrets of a run, for one repository."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.core.images.pullsecrets import Login, logins_for, read_pull_secret
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from componentrun.core.images.reference import Repository
    from componentrun.process.kubernetes.client import Kube

__all__ = ["Logins", "read_logins"]


@dataclass(frozen=True, slots=True)
class Logins:
    """Credentials to try, in this order."""

    usable: tuple[Login, ...]
    known: str
    """What is known about the pull secrets, for the message if the registry wants a login; no value of a Secret."""


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
