"""Volumes of a run's pod and where each container mounts them. A grant reaches one container, by construction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.wire import agents as exchange

if TYPE_CHECKING:
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["mounts", "volumes"]

_GRANT_MODE: Final = 0o440
_AGENT_TMP_SIZE: Final = "1Gi"
_GRANTS: Final = {
    names.STAGE_IN: (names.GRANT_IN_VOLUME, exchange.GRANT_IN_KEY),
    names.STAGE_OUT: (names.GRANT_OUT_VOLUME, exchange.GRANT_OUT_KEY),
}
"""Agent to the volume and the Secret's key that it alone may see. The `redact` key is mounted nowhere."""


def volumes(effective: EffectiveRun, secret: str) -> list[dict[str, Any]]:
    """The data folder, a grant for each agent, and a /tmp for each container whose root is read-only."""
    result: list[dict[str, Any]] = [{"name": names.DATA_VOLUME, "emptyDir": {"sizeLimit": effective.data_size}}]
    for volume, key in _GRANTS.values():
        items = [{"key": key, "path": exchange.GRANT_FILE}]
        result.append(
            {"name": volume, "secret": {"secretName": secret, "items": items, "defaultMode": _GRANT_MODE}},
        )
    agents = [*_GRANTS, *([] if effective.gelf is None else [names.GELF])]
    result.extend({"name": _tmp(agent), "emptyDir": {"sizeLimit": _AGENT_TMP_SIZE}} for agent in agents)
    if effective.read_only_root:
        result.append({"name": _tmp(names.COMPONENT), "emptyDir": {"sizeLimit": effective.data_size}})
    return result


def mounts(container: str, *, read_only_root: bool) -> list[dict[str, Any]]:
    """What one container mounts."""
    result: list[dict[str, Any]] = []
    if container != names.GELF:
        result.append({"name": names.DATA_VOLUME, "mountPath": contract.DATA_DIR})
    if container in _GRANTS:
        result.append({"name": _GRANTS[container][0], "mountPath": exchange.GRANT_MOUNT, "readOnly": True})
    if read_only_root:
        result.append({"name": _tmp(container), "mountPath": "/tmp"})  # noqa: S108 - a path in the container
    return result


def _tmp(container: str) -> str:
    """One for each container: a component must not be able to put files where an agent looks for its own."""
    return f"{names.TMP_VOLUME}-{container}"
