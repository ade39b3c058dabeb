"""Durations and quantities as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from componentrun.api.common import duration_seconds, duration_text, long_duration_seconds, quantity_value


@pytest.mark.parametrize("text", ["99999999h", "9999999999999999999h", "9999999999999999999s"])
def test_a_duration_beyond_all_times_can_be_added_to_one_and_taken_from_it(text: str) -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    for seconds in (duration_seconds(text), long_duration_seconds(text.replace("h", "d"))):
        length = timedelta(seconds=seconds)
        assert now - length < now < now + length


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("24h", 86400), ("1h5s", 3605)]
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "1d", "h", "-1s", "1s1h", "1.5h"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration: expected .*`15m`"):
        duration_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4s"), (3.0, "3s"), (12.2, "12s"), (185, "3m05s"), (7800, "2h10m"), (59.7, "1m00s")]
)
def test_a_duration_is_told_in_few_characters(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "value"), [("500m", 0.5), ("2", 2), ("256Mi", 256 * 2**20), ("1G", 1e9), ("1.5Gi", 1.5 * 2**30)]
)
def test_a_quantity_is_read(text: str, value: float) -> None:
    assert quantity_value(text) == value


@pytest.mark.parametrize("text", ["", "Mi", "1MiB", "1,5", "-1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity_value(text)
