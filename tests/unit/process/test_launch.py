"""From the environment to the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import ClassVar

import pytest

from componentrun.errors import PlatformError
from componentrun.process.launch import launch, listen_to_signals
from componentrun.process.settings import ProcessSettings, SettingsError
from tests.environment import settings_from

pytestmark = pytest.mark.usefixtures("restored_logging")


class Settings(ProcessSettings):
    owner: ClassVar[str] = "the sweeper"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("COMPONENTRUN_")]:
        monkeypatch.delenv(name)


def test_work_gets_the_settings_and_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPONENTRUN_PORT", "9000")
    seen: list[int] = []

    async def work(settings: Settings) -> None:
        seen.append(settings.port)

    assert launch(Settings, work) == 0
    assert seen == [9000]


def test_settings_that_cannot_be_used_are_all_named_and_end_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPONENTRUN_PORT", "http")
    monkeypatch.setenv("COMPONENTRUN_LOG_FORMAT", "xml")

    async def work(_: Settings) -> None:
        raise AssertionError("it must not begin")

    assert launch(Settings, work) == 2
    first, *problems = capsys.readouterr().err.splitlines()
    assert first == "error: the settings of the sweeper can't be used:"
    assert [problem.split()[0] for problem in problems] == ["COMPONENTRUN_PORT", "COMPONENTRUN_LOG_FORMAT"]


def test_what_it_fails_of_is_its_last_log_line_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPONENTRUN_LOG_FORMAT", "text")

    async def work(_: Settings) -> None:
        raise PlatformError("no Kubernetes API server is known")

    assert launch(Settings, work) == 1
    assert capsys.readouterr().err.splitlines()[-1].endswith("CRITICAL no Kubernetes API server is known")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    told_to_end = asyncio.Event()
    listen_to_signals(told_to_end)
    os.kill(os.getpid(), number)
    async with asyncio.timeout(10):
        await told_to_end.wait()


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({}, "0.0.0.0"),  # noqa: S104 - what is expected
        ({"POD_IPS": "10.0.0.7"}, "0.0.0.0"),  # noqa: S104 - likewise
        ({"POD_IPS": "10.0.0.7,fd00::7"}, "0.0.0.0"),  # noqa: S104 - likewise
        ({"POD_IPS": "fd00::7"}, "::"),
        ({"POD_IPS": "fd00::7, 10.0.0.7"}, "::"),
        ({"POD_IPS": "fd00::7", "HOST": "127.0.0.1"}, "127.0.0.1"),
    ],
)
def test_probes_are_answered_where_the_kubelet_asks(given: dict[str, str], host: str) -> None:
    environment = {f"COMPONENTRUN_{name}": value for name, value in given.items()}
    assert settings_from(Settings, environment).listen_address == host


def test_invalid_addresses_of_the_pod_are_reported() -> None:
    with pytest.raises(SettingsError, match=r"COMPONENTRUN_POD_IPS is `10\.0\.0`: expected addresses"):
        settings_from(Settings, {"COMPONENTRUN_POD_IPS": "10.0.0,10.0.0.7"})
