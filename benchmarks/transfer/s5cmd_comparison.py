"""The agents compared with s5cmd: same data, store and machine, without pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.harness import csvfiles
from benchmarks.harness.agent_runner import agent_runner
from benchmarks.harness.interleave import figures, interleave
from benchmarks.harness.network_link import link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.harness import timed_process
    from benchmarks.harness.agent_runner import AgentRunner
    from benchmarks.harness.interleave import Measure
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["down", "files", "over_a_link", "small", "up"]

AGENT: Final = "transfer.agent"
S5CMD: Final = "transfer.s5cmd"
LINK: Final = "transfer.link"
FILES: Final = "transfer.files"
_FILES: Final = 2_000
LINK_RATE: Final = "2gbit"
"""In the notation of `tc`; 250 MB a second."""


def down(testbed: Testbed, repeats: int) -> list[Figure]:
    """Download one table of 1 GiB."""
    with agent_runner(testbed, [csvfiles.large(csvfiles.HUGE_BYTES)]) as runner:
        measures = [_timed(f"{AGENT}.down", runner.stage_in), _timed(f"{S5CMD}.down", runner.s5cmd_down)]
        values = interleave(measures, repeats)
    return figures(values, "s", {f"{AGENT}.down": f"{S5CMD}.down"})


def up(testbed: Testbed, repeats: int) -> list[Figure]:
    """Upload one table of 1 GiB."""
    with agent_runner(testbed, [csvfiles.large(csvfiles.HUGE_BYTES)]) as runner:
        measures = [_timed(f"{AGENT}.up", runner.stage_out), _timed(f"{S5CMD}.up", runner.s5cmd_up)]
        values = interleave(measures, repeats)
    return figures(values, "s", {f"{AGENT}.up": f"{S5CMD}.up"})


def small(testbed: Testbed, repeats: int) -> list[Figure]:
    """Download and upload 1,000 tables of 4 KiB."""
    with agent_runner(testbed, sorted(csvfiles.small().iterdir())) as runner:
        return _both_ways(runner, repeats, f"{AGENT}.small", f"{S5CMD}.small")


def files(testbed: Testbed, repeats: int) -> list[Figure]:
    """Upload and publish 2,000 small files."""
    count = max(1, int(_FILES * testbed.scale))
    with agent_runner(testbed, sorted(csvfiles.small().iterdir())[:1]) as runner:

        def store() -> Mapping[str, float]:
            stored, published = runner.store_files(count)
            return {FILES: stored + published, f"{FILES}.store": stored, f"{FILES}.publish": published}

        values = interleave([store], repeats)
    return figures(values, "s")


def over_a_link(testbed: Testbed, repeats: int) -> list[Figure]:
    """Download and upload one table of 1 GiB over a link with limited bandwidth."""
    with (
        link(LINK_RATE) as command_prefix,
        agent_runner(testbed, [csvfiles.large(csvfiles.HUGE_BYTES)], command_prefix=command_prefix) as runner,
    ):
        return _both_ways(runner, repeats, f"{LINK}.agent", f"{LINK}.s5cmd")


def _both_ways(runner: AgentRunner, repeats: int, agent: str, s5cmd: str) -> list[Figure]:
    """Compare the agents with s5cmd, down and up, with these prefixes of names."""
    measures = [
        _timed(f"{agent}.down", runner.stage_in),
        _timed(f"{s5cmd}.down", runner.s5cmd_down),
        _timed(f"{agent}.up", runner.stage_out),
        _timed(f"{s5cmd}.up", runner.s5cmd_up),
    ]
    values = interleave(measures, repeats)
    return figures(values, "s", {f"{agent}.{way}": f"{s5cmd}.{way}" for way in ("down", "up")})


def _timed(name: str, move: Callable[[], timed_process.Ended]) -> Measure:
    return lambda: {name: move().seconds}
