"""Which program builds images, and what it is told; docker and podman are played by a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.cluster.errors import ClusterError
from dev.images import IMAGES, engines

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = "registry.example.com/small:0123"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH; logs of builds go below the same folder."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("COMPONENTRUN_HOME", str(tmp_path / "home"))
    engines.base_problem.cache_clear()
    return folder


def play(programs: Path, name: str, *, works: bool = True, builds: bool = True, runs: bool = True) -> Path:
    """Put a program there; returns the file where its arguments will be."""
    told = programs / f"{name}.told"
    script = programs / name
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {told}\n'
        f'[ "$1" = info ] && exit {0 if works else 1}\n'
        f'[ "$1" = run ] && {{ echo "Trying to pull" >&2; echo "no such host" >&2; exit {0 if runs else 125}; }}\n'
        f'[ "$1" = build ] && {{ echo "no such package"; exit {0 if builds else 1}; }}\n'
        "exit 0\n"
    )
    script.chmod(0o755)
    return told


def test_docker_builds_where_its_engine_runs(programs: Path, tmp_path: Path) -> None:
    told = play(programs, "docker")
    play(programs, "podman")
    engine = engines.find()
    engine.build(tmp_path, REFERENCE, "")
    engine.build(tmp_path, REFERENCE, "loader")
    engine.push(REFERENCE)
    engine.save(REFERENCE, tmp_path / "image.tar")
    assert told.read_text().splitlines() == [
        "info",
        "run --rm debian:bookworm-slim true",
        f"build --tag {REFERENCE} {tmp_path}",
        f"build --target loader --tag {REFERENCE} {tmp_path}",
        f"push {REFERENCE}",
        f"save --output {tmp_path}/image.tar {REFERENCE}",
    ]


def test_a_docker_without_an_engine_is_passed_over(programs: Path) -> None:
    play(programs, "docker", works=False)
    play(programs, "podman")
    assert engines.find() == engines.DockerLike("podman")


def test_buildah_builds_where_neither_works(programs: Path) -> None:
    play(programs, "docker", works=False)
    play(programs, "buildah")
    assert isinstance(engines.find(), engines.Buildah)


def test_an_engine_is_tried_once(programs: Path) -> None:
    told = play(programs, "podman")
    assert engines.find() == engines.find() == engines.DockerLike("podman")
    assert told.read_text().splitlines().count("run --rm debian:bookworm-slim true") == 1


def test_an_engine_that_can_not_run_the_base_is_passed_over(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    play(programs, "docker", works=False)
    play(programs, "podman", runs=False)
    play(programs, "buildah")
    assert isinstance(engines.find(), engines.Buildah)
    told = capsys.readouterr().err
    assert "podman can't run debian:bookworm-slim, so images are built with buildah: no such host" in told


def test_podman_builds_where_docker_can_not_run_the_base(programs: Path) -> None:
    play(programs, "docker", runs=False)
    play(programs, "podman")
    assert engines.find() == engines.DockerLike("podman")


def test_the_dockerfiles_name_the_base_that_is_asked_for() -> None:
    for image in IMAGES.values():
        bases = [
            line for line in (image.context / "Dockerfile").read_text().splitlines() if line.startswith("ARG BASE")
        ]
        assert bases == [f"ARG BASE={engines.PUBLIC_BASE}"], image.name


def test_a_build_that_fails_shows_the_end_of_its_log(programs: Path, tmp_path: Path) -> None:
    play(programs, "docker", builds=False)
    with pytest.raises(
        ClusterError, match=r"(?s)image `small` could not be built.*no such package.*all of it: .*image-small\.log"
    ):
        engines.find().build(tmp_path, REFERENCE, "")
