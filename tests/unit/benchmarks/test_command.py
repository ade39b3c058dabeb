"""The command `python -m benchmarks`: what it records, and how it reports failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as command
from benchmarks.registry import Benchmark
from benchmarks.report.results import Figure

if TYPE_CHECKING:
    from benchmarks.harness.testbed import Testbed

FIGURE = Figure(
    name="throughput.run.rate",
    value=4.0,
    unit="1/min",
    against=None,
    ratio=None,
    repeats=3,
    spread=(3.5, 4.5),
    machine="2 x processor",
    commit="0123456789",
    date="2026-11-24T10:00:00+00:00",
)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that the command records; the benchmark returns one."""
    figures: list[Figure] = []
    choose(monkeypatch, Benchmark("throughput.run", lambda _testbed, _repeats: [FIGURE], 1))
    monkeypatch.setattr("benchmarks.report.results.append", figures.extend)
    monkeypatch.setattr("benchmarks.report.page.write", lambda: None)
    return figures


def choose(monkeypatch: pytest.MonkeyPatch, benchmark: Benchmark) -> None:
    monkeypatch.setattr(command, "chosen", lambda _: (benchmark,))


@pytest.mark.parametrize(
    ("arguments", "scales"),
    [
        ([], [1.0]),
        (["--no-record"], []),
        (["--scale", "0.5"], []),
        (["--scale", "0.5", "--record"], [0.5]),
        (["--scale", "0.5", "--no-record"], []),
    ],
)
def test_figures_are_recorded_at_full_scale_or_on_request(
    recorded: list[Figure], arguments: list[str], scales: list[float]
) -> None:
    assert command.main(arguments) == 0
    assert [figure.scale for figure in recorded] == scales


def test_a_figure_that_does_not_depend_on_the_scale_is_recorded_without_it(
    recorded: list[Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, Benchmark("throughput.run", lambda _testbed, _repeats: [FIGURE], 1, (FIGURE.name,)))
    assert command.main(["--scale", "0.5", "--record"]) == 0
    assert [figure.scale for figure in recorded] == [1.0]


def test_every_error_of_a_group_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_testbed: Testbed, _repeats: int) -> list[Figure]:
        raise ExceptionGroup("", [TimeoutError("no run finished"), ExceptionGroup("", [RuntimeError("PATCH: 500")])])

    choose(monkeypatch, Benchmark("throughput.run", fails, 1))
    assert command.main([]) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == ["error: no run finished", "error: PATCH: 500"]


def test_an_unexpected_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_testbed: Testbed, _repeats: int) -> list[Figure]:
        raise KeyError("rate")

    choose(monkeypatch, Benchmark("throughput.run", fails, 1))
    with pytest.raises(KeyError):
        command.main([])
