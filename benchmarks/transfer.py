"""The agents against s5cmd: the same data, store and machine, without a pod around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import tables
from benchmarks.agents import bench
from benchmarks.link import link
from benchmarks.turns import figures, in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks import local
    from benchmarks.agents import Bench
    from benchmarks.lab import Lab
    from benchmarks.record import Figure
    from benchmarks.turns import Measure

__all__ = ["down", "files", "over_a_link", "small", "up"]

AGENT: Final = "transfer.agent"
S5CMD: Final = "transfer.s5cmd"
LINK: Final = "transfer.link"
FILES: Final = "transfer.files"
_FILES: Final = 2_000
LINK_RATE: Final = "2gbit"
"""As `tc` writes it: 250 MB a second."""


def down(lab: Lab, repeats: int) -> list[Figure]:
    """One table of 1 GiB to the node."""
    with bench(lab, [tables.large(tables.HUGE_BYTES)]) as made:
        measures = [_timed(f"{AGENT}.down", made.stage_in), _timed(f"{S5CMD}.down", made.s5cmd_down)]
        values = in_turns(measures, repeats)
    return figures(values, "s", {f"{AGENT}.down": f"{S5CMD}.down"})


def up(lab: Lab, repeats: int) -> list[Figure]:
    """One table of 1 GiB to the store."""
    with bench(lab, [tables.large(tables.HUGE_BYTES)]) as made:
        measures = [_timed(f"{AGENT}.up", made.stage_out), _timed(f"{S5CMD}.up", made.s5cmd_up)]
        values = in_turns(measures, repeats)
    return figures(values, "s", {f"{AGENT}.up": f"{S5CMD}.up"})


def small(lab: Lab, repeats: int) -> list[Figure]:
    """1,000 tables of 4 KiB, both ways."""
    with bench(lab, sorted(tables.small().iterdir())) as made:
        return _both_ways(made, repeats, f"{AGENT}.small", f"{S5CMD}.small")


def files(lab: Lab, repeats: int) -> list[Figure]:
    """2,000 small files, stored and published."""
    count = max(1, int(_FILES * lab.scale))
    with bench(lab, sorted(tables.small().iterdir())[:1]) as made:

        def store() -> Mapping[str, float]:
            stored, published = made.store_files(count)
            return {FILES: stored + published, f"{FILES}.store": stored, f"{FILES}.publish": published}

        values = in_turns([store], repeats)
    return figures(values, "s")


def over_a_link(lab: Lab, repeats: int) -> list[Figure]:
    """One table of 1 GiB, both ways, where the store is as far away as stores are."""
    with link(LINK_RATE) as through, bench(lab, [tables.large(tables.HUGE_BYTES)], through=through) as made:
        return _both_ways(made, repeats, f"{LINK}.agent", f"{LINK}.s5cmd")


def _both_ways(made: Bench, repeats: int, agent: str, s5cmd: str) -> list[Figure]:
    """The agents against s5cmd, down and up, under names that begin so."""
    measures = [
        _timed(f"{agent}.down", made.stage_in),
        _timed(f"{s5cmd}.down", made.s5cmd_down),
        _timed(f"{agent}.up", made.stage_out),
        _timed(f"{s5cmd}.up", made.s5cmd_up),
    ]
    values = in_turns(measures, repeats)
    return figures(values, "s", {f"{agent}.{way}": f"{s5cmd}.{way}" for way in ("down", "up")})


def _timed(name: str, move: Callable[[], local.Ended]) -> Measure:
    return lambda: {name: move().seconds}
