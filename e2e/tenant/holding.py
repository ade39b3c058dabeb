"""A component that runs until a test lets it end, however slow the machine is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from e2e.tenant.tenant import Tenant

__all__ = ["UNTIL_TOLD", "let_go"]

UNTIL_TOLD: Final = 'until [ -s /tmp/told-by ] && [ ! -e "/proc/$(cat /tmp/told-by)" ]; do sleep 0.2; done'
"""Command of a component that runs until the test calls `let_go`.

It waits until the process of `let_go` has ended, because all processes of a container are killed when its first one
ends."""


def let_go(tenant: Tenant, name: str) -> None:
    """Let the component of a run's first attempt continue after `UNTIL_TOLD`."""
    tenant.kubectl("exec", f"{name}-1", "--container=component", "--", "sh", "-c", "echo $$ > /tmp/told-by")
