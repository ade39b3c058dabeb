"""Errors of configurations that can't be used."""

from __future__ import annotations

from componentrun.errors import PlatformError

__all__ = ["AccessError", "NoClusterError"]


class AccessError(PlatformError):
    """A kubeconfig, a credential plugin or a service account can't be used. The summary names the file and field."""


class NoClusterError(AccessError):
    """Nothing names an API server: there is no kubeconfig, or this process does not run in a pod."""
