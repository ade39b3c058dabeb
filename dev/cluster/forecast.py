"""How long the rest of a first run takes, from what each part took on another machine and how fast this one is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

MEASURED: Final[Mapping[str, float]] = MappingProxyType(
    {
        "kubernetes": 300,
        "containerd": 60,
        "etcd": 35,
        "runc": 15,
        "pause": 2,
        "kubectl": 8,
        "helm": 8,
        "minio": 160,
        "base image": 60,
        "images": 70,
        "cluster": 25,
        "operator": 20,
        "example": 25,
    }
)
"""Seconds that each part took on a machine with two processors, with nothing downloaded or built before."""
_ENOUGH: Final = 20
"""Measured seconds of finished work from which the speed of this machine is known well enough to use it."""
_SLOWEST: Final = 10
_MINUTE: Final = 60


@dataclass
class Forecast:
    """The work that is expected, and how much of it is done.

    The parts may run one after the other or at once: the table has what each takes of the whole machine.

    Attributes:
        expected: measured seconds of each part that is to be done.
        done: the fraction of each part that is done.
    """

    expected: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)

    def expect(self, parts: Iterable[str]) -> None:
        """Add parts that are to be done; those that nobody measured are left out."""
        self.expected |= {part: MEASURED[part] for part in parts if part in MEASURED}

    def progress(self, part: str, fraction: float) -> None:
        """Note that this fraction of a part is done."""
        if part in self.expected:
            self.done[part] = max(fraction, self.done.get(part, 0.0))

    def remaining(self, elapsed: float) -> float | None:
        """Seconds until all is done, `elapsed` seconds after the start.

        Returns None if nothing was expected, or if this takes longer than measured and too little is done to tell why.
        """
        total = sum(self.expected.values())
        finished = sum(self.expected[part] * fraction for part, fraction in self.done.items())
        if not self.expected or (finished < _ENOUGH and elapsed > total):
            return None
        speed = min(elapsed / finished, _SLOWEST) if finished >= _ENOUGH else 1.0
        return (total - finished) * speed


def in_words(seconds: float) -> str:
    """An estimate as a person says it: no more exact than it is."""
    minutes = round(seconds / _MINUTE)
    return f"about {minutes} min left" if minutes else "less than a minute left"
