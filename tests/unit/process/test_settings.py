"""What any process reads from its environment, and what it says about values that it can't use."""

from __future__ import annotations

from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from componentrun.process.settings import Chart, Expected, ProcessSettings, Seconds, SettingsError, Words
from tests.environment import settings_from


class Settings(ProcessSettings):
    owner: ClassVar[str] = "the sweeper"
    section: ClassVar[str] = "sweeper"

    brooms: Annotated[int, Field(ge=1, le=9), Chart("sweeper.brooms")]
    pause_seconds: Annotated[Seconds, Field(ge=1, le=600)] = 60
    rooms: Annotated[tuple[str, ...], *Words] = ()
    url: Annotated[str, Field(pattern="^https://[^@]*$"), Expected("a URL without a user")] = "https://example.com"


def refusal(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings_from(Settings, {f"COMPONENTRUN_{name.upper()}": value for name, value in variables.items()})
    return caught.value.message.splitlines()


def test_a_missing_variable_is_named_with_its_chart_value() -> None:
    assert refusal() == [
        "the settings of the sweeper can't be used:",
        "  COMPONENTRUN_BROOMS (chart value `sweeper.brooms`) is not set: expected a whole number from 1 to 9",
    ]


def test_an_invalid_variable_is_named_with_what_was_found_and_expected() -> None:
    assert refusal(brooms="ten", log_level="loud", pause_seconds="soon")[1:] == [
        (
            "  COMPONENTRUN_LOG_LEVEL (chart value `sweeper.logLevel`) is `LOUD`: "
            "expected `DEBUG`, `INFO`, `WARNING` or `ERROR`"
        ),
        "  COMPONENTRUN_BROOMS (chart value `sweeper.brooms`) is `ten`: expected a whole number from 1 to 9",
        (
            "  COMPONENTRUN_PAUSE_SECONDS is `soon`: "
            "expected a duration such as `90s` or `10m`, or a number of seconds, from 1 to 600"
        ),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("0.5e1", 5), ("90s", 90), ("2m30s", 150), (" 7 ", 7)])
def test_seconds_are_a_number_or_a_duration(text: str, seconds: float) -> None:
    read = settings_from(Settings, {"COMPONENTRUN_BROOMS": "1", "COMPONENTRUN_PAUSE_SECONDS": text})
    assert read.pause_seconds == seconds


@pytest.mark.parametrize("text", ["601", "0", "nan", "inf", "1e9", "-5", "11m", "5 apples"])
def test_seconds_are_within_their_bounds(text: str) -> None:
    (_, line) = refusal(brooms="1", pause_seconds=text)
    assert f"PAUSE_SECONDS is `{text}`" in line


def test_words_are_separated_by_commas() -> None:
    read = settings_from(Settings, {"COMPONENTRUN_BROOMS": "1", "COMPONENTRUN_ROOMS": " hall, ,kitchen,"})
    assert read.rooms == ("hall", "kitchen")


def test_a_password_in_a_url_is_not_repeated() -> None:
    (_, line) = refusal(brooms="1", url="https://user:hunter2@example.com")
    assert line.strip() == "COMPONENTRUN_URL is `https://***@example.com`: expected a URL without a user"


def test_settings_can_not_be_changed() -> None:
    read = settings_from(Settings, {"COMPONENTRUN_BROOMS": "1"})
    with pytest.raises(ValueError, match="frozen"):
        read.brooms = 2
