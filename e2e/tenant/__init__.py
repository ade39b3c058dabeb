"""A namespace with its own Storage, and user actions in it, for end-to-end cases and benchmarks."""

from e2e.tenant.tenant import CREDENTIALS, Tenant, create, create_namespace

__all__ = ["CREDENTIALS", "Tenant", "create", "create_namespace"]
