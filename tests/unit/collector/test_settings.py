"""Environment variables."""

from __future__ import annotations

import pytest

from componentrun.collector.events.journal import Limits
from componentrun.collector.settings import NodeLogSettings, Settings, from_environment
from componentrun.process import nodelogs
from componentrun.process.settings import ProcessSettings, SettingsError


def test_defaults() -> None:
    assert from_environment({}) == Settings()


def test_all_of_them() -> None:
    found = from_environment(
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
        }
    )
    process = ProcessSettings(("team-a", "team-b"), "127.0.0.1", 9000, "DEBUG", "text")
    assert found == Settings(process, 1, 3, 0.5, 10.0, Limits(1000, 2 * 2**20))


def test_all_wrong_ones_are_named_with_what_was_expected() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment(
            {"COMPONENTRUN_PORT": "http", "COMPONENTRUN_NAMESPACES": "Team_A", "COMPONENTRUN_LOG_LEVEL": "x"}
        )
    lines = caught.value.message.splitlines()[1:]
    assert [line.split(" is ")[0].strip() for line in lines] == [
        "COMPONENTRUN_NAMESPACES", "COMPONENTRUN_PORT", "COMPONENTRUN_LOG_LEVEL",
    ]  # fmt: skip
    assert "`http`: expected a whole number from 1 to 65535" in lines[1]


def test_a_shard_is_one_of_the_shards() -> None:
    with pytest.raises(SettingsError, match=r"COLLECTOR_SHARD is `2`: expected less than COLLECTOR_SHARDS \(2\)"):
        from_environment({"COMPONENTRUN_COLLECTOR_SHARD": "2", "COMPONENTRUN_COLLECTOR_SHARDS": "2"})


def test_logs_are_read_from_the_nodes_where_that_is_said() -> None:
    assert from_environment({"COMPONENTRUN_COLLECTOR_READER": "api"}).node_logs is None
    found = from_environment(
        {"COMPONENTRUN_COLLECTOR_READER": "node", "COMPONENTRUN_COLLECTOR_NODELOGS_NAMESPACE": "componentrun-system"}
    )
    assert found.node_logs == NodeLogSettings("componentrun-system", nodelogs.TOKEN_FILE)


def test_whoever_reads_from_the_nodes_must_know_where_the_log_servers_are() -> None:
    with pytest.raises(SettingsError, match="COLLECTOR_NODELOGS_NAMESPACE is not set"):
        from_environment({"COMPONENTRUN_COLLECTOR_READER": "node"})
    with pytest.raises(SettingsError, match="COLLECTOR_READER is `files`: expected one of api, node"):
        from_environment({"COMPONENTRUN_COLLECTOR_READER": "files"})
