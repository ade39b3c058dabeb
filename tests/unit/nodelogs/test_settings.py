"""What the log server is told."""

from __future__ import annotations

import pytest

from componentrun.nodelogs.settings import Settings
from componentrun.process.settings import SettingsError
from tests.environment import settings_from
from tests.unit.nodelogs.serving import READER


def test_who_reads_is_all_that_has_to_be_said() -> None:
    assert settings_from(Settings, {"COMPONENTRUN_NODELOGS_READER": READER}) == Settings(nodelogs_reader=READER)


def test_all_wrong_ones_are_named_with_what_was_expected() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from(
            Settings,
            {
                "COMPONENTRUN_NODELOGS_READER": "collector",
                "COMPONENTRUN_NODELOGS_FOLDER": "var/log",
                "COMPONENTRUN_NODELOGS_PORT": "8080",
            },
        )
    lines = caught.value.message.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [
        "COMPONENTRUN_NODELOGS_READER", "COMPONENTRUN_NODELOGS_FOLDER", "COMPONENTRUN_NODELOGS_PORT",
    ]  # fmt: skip
    assert "expected another port than COMPONENTRUN_PORT" in lines[2]


def test_without_a_reader_it_does_not_start() -> None:
    with pytest.raises(SettingsError, match="NODELOGS_READER is not set"):
        settings_from(Settings, {})
