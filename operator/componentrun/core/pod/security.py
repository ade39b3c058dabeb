"""Security contexts that meet the restricted pod security standard, for any uid that a Component sets.

Source of the rules: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (Restricted).
"""

from __future__ import annotations

from typing import Any

__all__ = ["container_security", "pod_security"]


def pod_security(user_id: int) -> dict[str, Any]:
    """The pod's security context. All containers have one user, so that stage-out can read files with mode 0600.

    A Component may set uid 0. A namespace that enforces `restricted` refuses its pods.
    """
    context: dict[str, Any] = {
        "runAsNonRoot": user_id != 0,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        # The volumes are new and empty, so they contain no files whose owner must be changed.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return context


def container_security(*, read_only_root: bool, user_id: int | None = None) -> dict[str, Any]:
    """A container's security context: no privilege escalation, no capabilities, optionally a read-only root.

    Args:
        read_only_root: whether its root file system is read-only.
        user_id: of a container with another user than the pod's; its group is the pod's. None: the pod's.
    """
    return {
        **({} if user_id is None else {"runAsNonRoot": user_id != 0, "runAsUser": user_id}),
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only_root,
    }
