"""Dry-run admission of pods: rules, webhooks and quotas take effect shortly after they are created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.tenant.tenant import Tenant

__all__ = ["try_pod"]

_ALLOWED: Final = {
    "runAsNonRoot": True, "runAsUser": 1000, "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
}  # fmt: skip


def try_pod(tenant: Tenant, labels: Mapping[str, str] | None = None, memory: str = "8Mi") -> Any:
    """Return the pod as it would be admitted. Nothing is created.

    Raises:
        kubernetes.client.ApiException: the pod would be rejected.
    """
    container = {
        "name": "tried", "image": "none", "securityContext": _ALLOWED,
        "resources": {"requests": {"cpu": "1m", "memory": memory}, "limits": {"cpu": "1m", "memory": memory}},
    }  # fmt: skip
    body = {"metadata": {"generateName": "tried-", "labels": dict(labels or {})}, "spec": {"containers": [container]}}
    return tenant.core.create_namespaced_pod(tenant.namespace, body, dry_run="All")
