"""Security contexts: the restricted pod security standard, for whatever uid the Component names.

Source of the rules: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (Restricted).
"""

from __future__ import annotations

from typing import Any

__all__ = ["container_security", "pod_security"]


def pod_security(user_id: int) -> dict[str, Any]:
    """One user and group for all containers: stage-out must be able to read a file with mode 0600 of the component.

    uid 0 is the root feature of a Component; a namespace that enforces `restricted` refuses its pods.
    """
    context: dict[str, Any] = {
        "runAsNonRoot": user_id != 0,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        # Volumes are the pod's own and empty: there is no old file whose owner had to be changed.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return context


def container_security(*, read_only_root: bool) -> dict[str, Any]:
    """No way up, no capabilities, and a read-only root where the image can live with it."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only_root,
    }
