"""When the image of a channel must have been built."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.build.source import Build
from componentrun.core.images.freshness import max_age_of, not_before
from componentrun.errors import UserError

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
FRESH = datetime(2026, 12, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with the zone
AGES = st.integers(1, 2000).map(lambda hours: timedelta(hours=hours))
KEYS = st.text("0123456789abcdef", min_size=64, max_size=64)


@pytest.mark.parametrize(
    ("fresh", "max_age", "now", "expected"),
    [
        (None, None, NOW, None),
        (FRESH, None, NOW, FRESH),
        (FRESH, DAY, FRESH, FRESH),
        (FRESH, DAY, FRESH + DAY - timedelta(seconds=1), FRESH),
        (FRESH, DAY, FRESH + DAY, FRESH + DAY),
        (FRESH, DAY, NOW, FRESH + 2 * DAY),
        # The clock of the person is ahead of the operator's.
        (NOW + timedelta(minutes=5), DAY, NOW, NOW + timedelta(minutes=5)),
        (None, DAY, NOW, datetime(2026, 12, 3, 0, 0, 10, tzinfo=UTC)),
    ],
)
def test_the_time_is_that_of_fresh_or_of_the_period(
    fresh: datetime | None, max_age: timedelta | None, now: datetime, expected: datetime | None
) -> None:
    assert not_before(fresh, max_age, "a", now) == expected


@given(TIMES, AGES, KEYS, st.floats(0, 1))
def test_no_image_is_too_old_and_all_of_a_period_agree(now: datetime, age: timedelta, key: str, part: float) -> None:
    start = not_before(None, age, key, now)
    assert start is not None
    assert start <= now < start + age
    assert not_before(None, age, key, start + min(age * part, age - timedelta(microseconds=1))) == start
    assert start.microsecond == 0, "names have whole seconds"


def test_periods_of_different_builds_begin_at_different_times() -> None:
    assert len({not_before(None, DAY, f"{number:064x}", NOW) for number in range(0, 10_000, 100)}) == 100


@pytest.mark.parametrize(
    ("text", "words"), [("59m", "expected at least `1h`"), ("1h", ""), ("30d", ""), ("1d12h", ""), (None, "")]
)
def test_a_maximum_age_has_a_minimum(text: str | None, words: str) -> None:
    document = {"source": {"git": {"url": "https://git.example.com/a.git"}}} | ({"maxAge": text} if text else {})
    build = Build.model_validate(document)
    if words:
        with pytest.raises(UserError, match=words):
            max_age_of(build, "build")
    else:
        assert (max_age_of(build, "build") is None) is (text is None)
