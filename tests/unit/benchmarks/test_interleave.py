"""Turns, medians, ratios."""

from __future__ import annotations

from benchmarks.harness.interleave import figures, interleave


def test_turns_are_taken_and_warm_ups_do_not_count() -> None:
    order: list[str] = []

    def measure(name: str) -> dict[str, float]:
        order.append(name)
        return {f"overhead.{name}": float(len(order))}

    values = interleave([lambda: measure("a"), lambda: measure("b")], 2, warm_ups=1)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert values == {"overhead.a": [3.0, 5.0], "overhead.b": [4.0, 6.0]}


def test_a_figure_is_the_median_with_its_spread_and_the_ratio_of_the_medians() -> None:
    values = {"overhead.a": [1.0, 9.0, 2.0], "overhead.b": [4.0, 4.0, 5.0]}
    a, b = figures(values, "s", {"overhead.a": "overhead.b"})
    assert (a.value, a.spread, a.repeats, a.unit) == (2.0, (1.0, 9.0), 3, "s")
    assert (a.against, a.ratio) == ("overhead.b", 0.5)
    assert (b.against, b.ratio) == (None, None)


def test_figures_have_four_digits() -> None:
    (figure,) = figures({"memory.a": [1234.5678]}, "MiB")
    assert figure.value == 1235.0


def test_figures_say_what_they_were_measured_on_without_naming_the_machine() -> None:
    (figure,) = figures({"memory.a": [1.0]}, "MiB")
    assert " x " in figure.machine
    assert "GiB" in figure.machine
    assert "/" not in figure.machine.replace("(R)", "")
    assert figure.date.endswith("+00:00")
