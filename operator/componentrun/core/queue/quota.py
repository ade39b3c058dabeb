"""What the API server says when a ResourceQuota is used up.

pods "load-1" is forbidden: exceeded quota: small, requested: pods=1,requests.cpu=2, used: pods=4,requests.cpu=3,
limited: pods=4,requests.cpu=4
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from componentrun.api.common import quantity_value

__all__ = ["Quota", "read_quota"]

_SAID: Final = re.compile(
    r"exceeded quota: (?P<name>[^,\s]+), requested: (?P<requested>\S+), used: (?P<used>\S+), limited: (?P<limited>\S+)"
)


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota that has no room for a pod."""

    name: str
    lacking: tuple[str, ...]
    """A clause for each resource: `pods: 1 wanted, 4 of 4 used`."""
    too_small: bool
    """Whether it would have no room either if nothing else was there."""

    def __str__(self) -> str:
        """For people."""
        return f"quota `{self.name}` ({'; '.join(self.lacking)})"


def read_quota(message: str) -> Quota | None:
    """The quota that the message is about; None where it says something else."""
    found = _SAID.search(message)
    if found is None:
        return None
    requested, used, limited = (_amounts(found[part]) for part in ("requested", "used", "limited"))
    lacking = tuple(
        f"{what}: {amount} wanted, {used.get(what, '?')} of {limited.get(what, '?')} used"
        for what, amount in requested.items()
    )
    too_small = any(_is_less(limited.get(what, ""), amount) for what, amount in requested.items())
    return Quota(found["name"], lacking, too_small)


def _amounts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.rstrip(",.").split(","))
    return {what: amount for what, _, amount in pairs if what}


def _is_less(limited: str, requested: str) -> bool:
    """Whether a quota would never do; what can't be read (as `50100u`) is not too small."""
    try:
        return quantity_value(limited) < quantity_value(requested)
    except ValueError:
        return False
