"""A cluster of kind instead of our own; docker, podman and kind are played by scripts."""

from pathlib import Path

import pytest

from dev.cluster import connection, kind, paths, stranger
from dev.cluster.errors import ClusterError

CHOSEN = {"CLUSTER": "kind"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(folder / name) if (folder / name).exists() else None)
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    return folder


def play(programs: Path, name: str, *, prints: str = "") -> Path:
    """Put a program there; returns the file where its arguments will be."""
    told = programs / f"{name}.told"
    (programs / name).write_text(f'#!/bin/sh\necho "$KIND_EXPERIMENTAL_PROVIDER $*" >> {told}\necho "{prints}"\n')
    (programs / name).chmod(0o755)
    return told


def test_nothing_is_offered_where_there_is_nothing(programs: Path) -> None:
    assert programs.exists()
    assert kind.offer({}) == ""


def test_docker_with_kind_is_offered(programs: Path) -> None:
    play(programs, "docker")
    play(programs, "kind")
    assert "docker and kind are here: `make demo CLUSTER=kind`" in kind.offer({})


def test_podman_alone_is_offered_with_what_is_missing(programs: Path) -> None:
    play(programs, "podman")
    assert "with kind installed" in kind.offer({})


def test_kind_without_an_engine_is_said(programs: Path) -> None:
    play(programs, "kind")
    assert "neither Docker nor Podman runs" in kind.offer({})


@pytest.mark.parametrize("environment", [CHOSEN, {"KUBECONFIG": "/some/kubeconfig"}])
def test_nothing_is_offered_to_somebody_who_has_chosen(programs: Path, environment: dict[str, str]) -> None:
    play(programs, "docker")
    assert kind.offer(environment) == ""


def test_a_cluster_is_created_once_with_its_own_kubeconfig(programs: Path) -> None:
    play(programs, "podman")
    told = play(programs, "kind")
    assert kind.up() == kind.kubeconfig()
    play(programs, "kind", prints="componentrun")
    kind.up()
    create = f"create cluster --name componentrun --kubeconfig {kind.kubeconfig()} --wait 3m"
    assert told.read_text().splitlines() == [
        "podman get clusters",
        f"podman {create}",
        "podman get clusters",
        f"podman export kubeconfig --name componentrun --kubeconfig {kind.kubeconfig()}",
    ]


def test_only_a_cluster_that_is_there_is_deleted(programs: Path) -> None:
    play(programs, "docker")
    told = play(programs, "kind", prints="other")
    assert not kind.down()
    play(programs, "kind", prints="componentrun")
    assert kind.down()
    assert "delete cluster --name componentrun" in told.read_text()


def test_without_an_engine_kind_is_an_error(programs: Path) -> None:
    play(programs, "kind")
    with pytest.raises(ClusterError, match="needs Docker or Podman"):
        kind.up()


def test_without_kind_it_is_an_error(programs: Path) -> None:
    play(programs, "docker")
    with pytest.raises(ClusterError, match="kind is not installed"):
        kind.up()


def test_the_tests_and_the_demo_find_the_cluster_of_kind(programs: Path) -> None:
    play(programs, "podman")
    load = "env KIND_EXPERIMENTAL_PROVIDER=podman kind load image-archive {archive} --name componentrun"
    assert connection.stranger_kubeconfig(CHOSEN) == kind.kubeconfig()
    assert stranger.images(CHOSEN) == stranger.Images(None, load)
    assert stranger.images({**CHOSEN, "IMAGE_REGISTRY": "r:5000"}).registry == "r:5000"


def test_another_kind_of_cluster_is_an_error() -> None:
    with pytest.raises(ClusterError, match="CLUSTER is `k3d`"):
        kind.is_chosen({"CLUSTER": "k3d"})
