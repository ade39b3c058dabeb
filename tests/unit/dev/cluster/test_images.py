"""Images on their way to a cluster; the way into a real registry is in the integration tests."""

from pathlib import Path

import pytest

from dev.cluster.build import images
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError


def connection(folder: Path, *, registry: str | None = None, command: str | None = None) -> Connection:
    return Connection(folder, registry, command, *["http://s"] * 9, folder, folder, own=False, node_name="n")


def test_the_load_command_gets_the_archive(tmp_path: Path) -> None:
    (tmp_path / "image one.tar").write_text("content")
    target = tmp_path / "loaded"
    cluster = connection(tmp_path, command=f"cp {{archive}} {target}")
    assert images.bring(cluster, tmp_path / "image one.tar", "x:1") == "localhost/x:1"
    assert target.read_text() == "content"


def test_a_load_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"`false /x` ended with 1(.|\n)*IMAGE_LOAD_COMMAND"):
        images.bring(connection(tmp_path, command="false {archive}"), Path("/x"), "x:1")


def test_no_way_in_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="neither a registry nor a load command"):
        images.bring(connection(tmp_path), tmp_path, "x:1")


def test_what_is_no_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "image").write_text("text")
    with pytest.raises(ClusterError, match="is no image archive"):
        images.bring(connection(tmp_path, registry="127.0.0.1:1"), tmp_path / "image", "x:1")


@pytest.mark.parametrize("name", ["x", "host:5000/x"])
def test_a_name_without_a_tag_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClusterError, match="names no tag"):
        images.bring(connection(tmp_path, registry="127.0.0.1:1"), tmp_path, name)


def test_a_registry_may_have_a_path() -> None:
    assert images.split("r:5000") == ("r:5000", "")
    assert images.split("r:5000/team/x") == ("r:5000", "team/x/")
