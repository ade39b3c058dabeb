"""Estimate the remaining time of a first run from times measured elsewhere and the speed of this machine."""

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
"""Seconds that each part took on a machine with two processors and empty caches."""
_ENOUGH: Final = 20
"""Finished work, in seconds of the table, after which the estimate uses the measured speed of this machine."""
_SLOWEST: Final = 10
_MINUTE: Final = 60


@dataclass
class Forecast:
    """The expected work and its progress.

    Parts may run sequentially or in parallel, because the table records the share of the whole machine that each takes.

    Attributes:
        expected: measured seconds of each expected part.
        done: the finished fraction of each part.
    """

    expected: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)

    def expect(self, parts: Iterable[str]) -> None:
        """Add expected parts. Parts without a measured time are ignored."""
        self.expected |= {part: MEASURED[part] for part in parts if part in MEASURED}

    def progress(self, part: str, fraction: float) -> None:
        """Record the finished fraction of a part."""
        if part in self.expected:
            self.done[part] = max(fraction, self.done.get(part, 0.0))

    def remaining(self, elapsed: float) -> float | None:
        """Estimated seconds until everything is done, `elapsed` seconds after the start.

        Returns None if nothing was expected, or if the work takes longer than the table says and too little is finished
        for an estimate.
        """
        total = sum(self.expected.values())
        completed = sum(self.expected[part] * fraction for part, fraction in self.done.items())
        if not self.expected or (completed < _ENOUGH and elapsed > total):
            return None
        speed = min(elapsed / completed, _SLOWEST) if completed >= _ENOUGH else 1.0
        return (total - completed) * speed


def in_words(seconds: float) -> str:
    """An estimate in words, rounded to its real precision."""
    minutes = round(seconds / _MINUTE)
    return f"about {minutes} min left" if minutes else "less than a minute left"
