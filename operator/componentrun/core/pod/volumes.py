"""Volumes of a run's pod and the mounts of each container. Each grant is mounted in one container only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.wire import grants

if TYPE_CHECKING:
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["mounts", "volumes"]

_GRANT_MODE: Final = 0o440
_AGENT_TMP_SIZE: Final = "1Gi"
_GRANTS: Final = {
    names.STAGE_IN: (names.GRANT_IN_VOLUME, grants.GRANT_IN_KEY),
    names.STAGE_OUT: (names.GRANT_OUT_VOLUME, grants.GRANT_OUT_KEY),
}
"""Volume and Secret key that only this agent mounts. No container mounts the key `redact`."""


def volumes(effective: EffectiveRun, secret: str) -> list[dict[str, Any]]:
    """The volumes of a pod: the data folder, a grant for each agent, and a /tmp for each read-only container."""
    result: list[dict[str, Any]] = [{"name": names.DATA_VOLUME, "emptyDir": {"sizeLimit": effective.data_size}}]
    for volume, key in _GRANTS.values():
        items = [{"key": key, "path": grants.GRANT_FILE}]
        result.append(
            {"name": volume, "secret": {"secretName": secret, "items": items, "defaultMode": _GRANT_MODE}},
        )
    agents = [*_GRANTS, *([] if effective.gelf is None else [names.GELF])]
    result.extend({"name": _tmp(agent), "emptyDir": {"sizeLimit": _AGENT_TMP_SIZE}} for agent in agents)
    if effective.read_only_root:
        result.append({"name": _tmp(names.COMPONENT), "emptyDir": {"sizeLimit": effective.data_size}})
    return result


def mounts(container: str, *, read_only_root: bool) -> list[dict[str, Any]]:
    """The volume mounts of one container."""
    result: list[dict[str, Any]] = []
    if container != names.GELF:
        result.append({"name": names.DATA_VOLUME, "mountPath": contract.DATA_DIR})
    if container in _GRANTS:
        result.append({"name": _GRANTS[container][0], "mountPath": grants.GRANT_MOUNT, "readOnly": True})
    if read_only_root:
        result.append({"name": _tmp(container), "mountPath": "/tmp"})  # noqa: S108 - a path in the container
    return result


def _tmp(container: str) -> str:
    """Name of a container's /tmp volume. Each has its own, so that a component can't place files in an agent's /tmp."""
    return f"{names.TMP_VOLUME}-{container}"
