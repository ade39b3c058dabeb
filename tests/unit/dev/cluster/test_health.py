"""What `python -m dev.cluster status` shows after the machine was restarted, when only files are left."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from dev.cluster import own, paths
from dev.cluster.errors import ClusterError
from dev.cluster.node import parts
from dev.cluster.stores import minio, seaweedfs


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path))
    monkeypatch.setenv("COMPONENTRUN_NODE_IP", "192.0.2.2")
    monkeypatch.setattr(seaweedfs, "problem", lambda: None)


def problems() -> dict[str, str | None]:
    return {line.name: line.problem for line in own.health()}


def test_a_store_that_only_its_own_tests_start_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    minio._SERVER.remember({"endpoint": "http://192.0.2.2:9000"})
    assert problems() == {"cluster": "not up", "seaweedfs": None}
    monkeypatch.setattr(minio, "is_running", lambda: True)
    monkeypatch.setattr(minio, "problem", lambda: "500")
    assert problems() == {"cluster": "not up", "seaweedfs": None, "minio": "500"}


def test_an_api_server_that_is_gone_is_a_line_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    paths.write_private(paths.own_kubeconfig(), "")
    monkeypatch.setattr(parts, "prepare", lambda _: Mock(all=()))
    monkeypatch.setattr(parts, "kubectl", Mock(side_effect=ClusterError("connection refused")))
    assert problems() == {"seaweedfs": None, "node": "unknown: connection refused"}
