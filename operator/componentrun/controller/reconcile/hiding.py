"""Redacts statuses of runs: replaces values of the attempt's Secret."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from componentrun.api import names
from componentrun.core.lifecycle.actions import WriteStatus
from componentrun.core.redact.status import needs_redaction, redact_action, redact_status
from componentrun.process.kubernetes.storages import find_secret
from componentrun.wire.grants import REDACT_KEY

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.core.lifecycle.actions import Action
    from componentrun.process.kubernetes.client import Kube

__all__ = ["StatusRedactor"]


class StatusRedactor:
    """Redacts statuses. Reads the Secret only if output of a container is about to be written to a status."""

    def __init__(self, kube: Kube) -> None:
        """Read nothing yet."""
        self._kube = kube

    async def actions(self, run: ComponentRun, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        """The actions with secret values redacted in their texts."""
        if not any(isinstance(action, WriteStatus) and _has_words(run.status, action.status) for action in actions):
            return actions
        values = await self._values(run)
        return tuple(redact_action(action, values) for action in actions)

    async def status(self, run: ComponentRun, status: ComponentRunStatus) -> ComponentRunStatus:
        """The status with secret values redacted."""
        return redact_status(status, await self._values(run)) if _has_words(run.status, status) else status

    async def _values(self, run: ComponentRun) -> list[str] | None:
        """The values in the attempt's Secret; None if it was deleted."""
        name = run.status.attempts[-1].pod if run.status.attempts else names.pod_name(run.metadata.name, 1)
        secret = await find_secret(self._kube, run.metadata.namespace, name)
        entry = ((secret or {}).get("data") or {}).get(REDACT_KEY)
        return None if entry is None else [str(value) for value in json.loads(base64.b64decode(entry))]


def _has_words(before: ComponentRunStatus, after: ComponentRunStatus) -> bool:
    """Whether `after` contains output of a container that is not redacted yet."""
    return needs_redaction(before, after) or (bool(after.warnings) and after.warnings != before.warnings)
