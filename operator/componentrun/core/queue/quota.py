"""Parse the API server's message about an exhausted ResourceQuota.

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
    """A quota that a pod would exceed."""

    name: str
    lacking: tuple[str, ...]
    """A clause for each resource: `pods: 1 wanted, 4 of 4 used`."""
    too_small: bool
    """Whether the pod would exceed it even if nothing else ran."""

    def __str__(self) -> str:
        """Description for a status message."""
        return f"quota `{self.name}` ({'; '.join(self.lacking)})"


def read_quota(message: str) -> Quota | None:
    """The quota named in the message; None for any other message."""
    match = _SAID.search(message)
    if match is None:
        return None
    requested, used, limited = (_amounts(match[part]) for part in ("requested", "used", "limited"))
    shortages = tuple(
        f"{resource}: {amount} wanted, {used.get(resource, '?')} of {limited.get(resource, '?')} used"
        for resource, amount in requested.items()
    )
    too_small = any(_is_less(limited.get(resource, ""), amount) for resource, amount in requested.items())
    return Quota(match["name"], shortages, too_small)


def _amounts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.rstrip(",.").split(","))
    return {resource: amount for resource, _, amount in pairs if resource}


def _is_less(limited: str, requested: str) -> bool:
    """Whether a limit is smaller than a request. False if one of them can't be parsed, such as `50100u`."""
    try:
        return quantity_value(limited) < quantity_value(requested)
    except ValueError:
        return False
