"""Division of namespaces among operator processes (shards), and the names of their Leases. Pure.

Everything that an operator decides concerns one namespace: its queue, its quotas, its Storages. So each namespace has
one shard, and shards share no state.

The name of a Lease contains the shard's number and the number of shards: `operator-0-of-2`. While that number is
changed, operators recognize the Leases of the previous division, and wait until nobody holds them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

__all__ = ["WHOLE", "Shard", "shard_of"]

_REMEMBERED: Final = 16_384
"""Number of namespaces whose shard is remembered, because it is computed for each event of an object."""
_DIVISION: Final = re.compile(r"-(?P<number>\d+)-of-(?P<count>\d+)")


@lru_cache(_REMEMBERED)
def shard_of(namespace: str, count: int) -> int:
    """Number of the shard that a namespace belongs to, from 0.

    It depends on nothing but the arguments, so all processes of all releases agree.
    """
    return int.from_bytes(blake2b(namespace.encode(), digest_size=8).digest()) % count


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` operators, which divide the namespaces among themselves."""

    number: int = 0
    """From 0."""
    count: int = 1

    def owns(self, namespace: str) -> bool:
        """Whether this shard executes the runs of a namespace."""
        return self.count == 1 or shard_of(namespace, self.count) == self.number

    @property
    def is_first(self) -> bool:
        """Whether this shard does what is done once for the whole cluster."""
        return self.number == 0

    def share(self, limit: int) -> int:
        """This shard's part of a limit that applies to all shards together, rounded up."""
        return -(-limit // self.count)

    def lease_name(self, base: str) -> str:
        """Name of this shard's Lease."""
        return base if self.count == 1 else f"{base}-{self.number}-of-{self.count}"

    def is_of_another_division(self, base: str, name: str) -> bool:
        """Whether the Lease of this name belongs to a shard of the same operator, but of another number of shards.

        Args:
            base: the part that the names of all Leases of this operator begin with.
            name: name of a Lease.
        """
        if not name.startswith(base):
            return False
        rest = name.removeprefix(base)
        found = _DIVISION.fullmatch(rest)
        count = int(found["count"]) if found is not None else 1
        return (rest == "" or found is not None) and count != self.count


WHOLE: Final = Shard()
"""The only operator, which owns all namespaces."""
