"""Environment variables."""

from __future__ import annotations

import pytest

from componentrun.collector.events.journal import Limits
from componentrun.collector.settings import NodeLogSettings, Settings
from componentrun.process.settings import SettingsError
from componentrun.wire import logserver
from tests.environment import settings_from


def test_defaults() -> None:
    assert settings_from(Settings, {}) == Settings()


def test_all_of_them() -> None:
    found = settings_from(
        Settings,
        {
            "COMPONENTRUN_NAMESPACES": "team-a, team-b",
            "COMPONENTRUN_HOST": "127.0.0.1",
            "COMPONENTRUN_PORT": "9000",
            "COMPONENTRUN_LOG_LEVEL": "debug",
            "COMPONENTRUN_LOG_FORMAT": "TEXT",
            "COMPONENTRUN_COLLECTOR_SHARD": "1",
            "COMPONENTRUN_COLLECTOR_SHARDS": "3",
            "COMPONENTRUN_COLLECTOR_SEGMENT_SECONDS": "0.5",
            "COMPONENTRUN_EVENTS_WAIT_SECONDS": "10",
            "COMPONENTRUN_COLLECTOR_RUN_EVENTS": "1000",
            "COMPONENTRUN_COLLECTOR_RUN_MIB": "2",
        },
    )
    assert found == Settings(
        namespaces=("team-a", "team-b"),
        host="127.0.0.1",
        port=9000,
        log_level="DEBUG",
        log_format="text",
        collector_shard=1,
        collector_shards=3,
        collector_segment_seconds=0.5,
        events_wait_seconds=10,
        collector_run_events=1000,
        collector_run_mib=2,
    )
    assert found.limits == Limits(1000, 2 * 2**20)


def test_all_wrong_ones_are_named_with_what_was_expected() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from(
            Settings, {"COMPONENTRUN_PORT": "http", "COMPONENTRUN_NAMESPACES": "Team_A", "COMPONENTRUN_LOG_LEVEL": "x"}
        )
    lines = caught.value.message.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [
        "COMPONENTRUN_NAMESPACES", "COMPONENTRUN_PORT", "COMPONENTRUN_LOG_LEVEL",
    ]  # fmt: skip
    assert "`http`: expected a whole number from 0 to 65535" in lines[1]


def test_a_shard_is_one_of_the_shards() -> None:
    with pytest.raises(
        SettingsError, match=r"COLLECTOR_SHARD is `2`: expected less than COMPONENTRUN_COLLECTOR_SHARDS \(2\)"
    ):
        settings_from(Settings, {"COMPONENTRUN_COLLECTOR_SHARD": "2", "COMPONENTRUN_COLLECTOR_SHARDS": "2"})


def test_logs_are_read_from_the_nodes_where_that_is_said() -> None:
    assert settings_from(Settings, {"COMPONENTRUN_COLLECTOR_READER": "api"}).node_logs is None
    found = settings_from(
        Settings,
        {"COMPONENTRUN_COLLECTOR_READER": "node", "COMPONENTRUN_COLLECTOR_NODELOGS_NAMESPACE": "componentrun-system"},
    )
    assert found.node_logs == NodeLogSettings("componentrun-system", logserver.TOKEN_FILE)


def test_whoever_reads_from_the_nodes_must_know_where_the_log_servers_are() -> None:
    with pytest.raises(SettingsError, match="COLLECTOR_NODELOGS_NAMESPACE is not set"):
        settings_from(Settings, {"COMPONENTRUN_COLLECTOR_READER": "node"})
    with pytest.raises(
        SettingsError, match=r"COLLECTOR_READER \(chart value `collector.reader`\) is `files`: expected `api` or `node`"
    ):
        settings_from(Settings, {"COMPONENTRUN_COLLECTOR_READER": "files"})
