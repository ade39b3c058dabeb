"""A namespace with a Storage of its own, and what a user does in it: for the end-to-end cases and the benchmarks."""

from e2e.tenant.tenant import CREDENTIALS, Tenant, create

__all__ = ["CREDENTIALS", "Tenant", "create"]
