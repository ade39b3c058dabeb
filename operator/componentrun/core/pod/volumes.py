"""Volumes of a run's pod and the mounts of each container. Each grant is mounted in one container only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.wire import grants
from componentrun.wire.chain import CHAIN_MOUNT

if TYPE_CHECKING:
    from componentrun.core.request.resolve import EffectiveRun

__all__ = ["mounts", "volumes"]

_GRANT_MODE: Final = 0o440
_AGENT_TMP_SIZE: Final = "1Gi"
_CHAIN_SIZE: Final = "2Gi"
"""What agents of a pod with processors leave each other: a component may leave 1 GiB of artifacts."""
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
    programs = [(names.COMPONENT, effective.read_only_root)]
    programs += [(step.container, step.read_only_root) for step in effective.processors]
    result.extend(
        {"name": _tmp(name), "emptyDir": {"sizeLimit": effective.data_size}}
        for name, is_read_only in programs
        if is_read_only
    )
    if effective.processors:
        result.append({"name": names.CHAIN_VOLUME, "emptyDir": {"sizeLimit": _CHAIN_SIZE}})
    return result


def mounts(container: str, *, read_only_root: bool, in_chain: bool = False) -> list[dict[str, Any]]:
    """The volume mounts of one container.

    Args:
        container: its name.
        read_only_root: whether its root file system is read-only, so that it gets a volume for /tmp.
        in_chain: whether it is an agent in a pod with processors.
    """
    result: list[dict[str, Any]] = []
    if container != names.GELF:
        result.append({"name": names.DATA_VOLUME, "mountPath": contract.DATA_DIR})
    if container in _GRANTS:
        result.append({"name": _GRANTS[container][0], "mountPath": grants.GRANT_MOUNT, "readOnly": True})
    if in_chain:
        read_only = {"readOnly": True} if container == names.STAGE_OUT else {}
        result.append({"name": names.CHAIN_VOLUME, "mountPath": CHAIN_MOUNT, **read_only})
    if read_only_root:
        result.append({"name": _tmp(container), "mountPath": "/tmp"})  # noqa: S108 - a path in the container
    return result


def _tmp(container: str) -> str:
    """Name of a container's /tmp volume. Each has its own, so that a component can't place files in an agent's /tmp."""
    return f"{names.TMP_VOLUME}-{container}"
