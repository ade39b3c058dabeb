"""How long the rest of a first run takes."""

import pytest

from dev.cluster import forecast, progress


def of(*parts: str) -> forecast.Forecast:
    made = forecast.Forecast()
    made.expect(parts)
    return made


def test_nothing_expected_is_no_estimate() -> None:
    assert of().remaining(10) is None
    assert of("a part that nobody measured").remaining(10) is None


def test_before_anything_is_done_the_table_counts() -> None:
    assert of("kubernetes", "etcd").remaining(5) == forecast.MEASURED["kubernetes"] + forecast.MEASURED["etcd"]


def test_a_machine_that_is_twice_as_slow_needs_twice_as_long_for_the_rest() -> None:
    made = of("kubernetes", "containerd")
    made.progress("kubernetes", 1.0)
    took = 2 * forecast.MEASURED["kubernetes"]
    assert made.remaining(took) == pytest.approx(2 * forecast.MEASURED["containerd"])


def test_when_it_takes_longer_than_measured_and_little_is_done_nothing_is_promised() -> None:
    made = of("kubernetes")
    made.progress("kubernetes", 0.01)
    assert made.remaining(forecast.MEASURED["kubernetes"] + 1) is None


def test_parts_that_are_half_done_count_half() -> None:
    made = of("kubernetes")
    made.progress("kubernetes", 0.5)
    half = forecast.MEASURED["kubernetes"] / 2
    assert made.remaining(half) == pytest.approx(half)


def test_what_is_done_does_not_become_less() -> None:
    made = of("kubernetes")
    made.progress("kubernetes", 1.0)
    made.progress("kubernetes", 0.2)
    assert made.remaining(100) == 0


@pytest.mark.parametrize(("seconds", "words"), [(10, "less than a minute left"), (100, "about 2 min left")])
def test_an_estimate_is_no_more_exact_than_it_is(seconds: float, words: str) -> None:
    assert forecast.in_words(seconds) == words


def test_a_step_that_runs_for_long_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0)
    with progress.step("building all of it", detail=lambda: ("12 of about 40 packages", 0.3)):
        lines = progress.report()
    assert any("still building all of it: 12 of about 40 packages" in line for line in lines)
    assert progress.report() == []
