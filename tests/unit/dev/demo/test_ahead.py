"""Images are built while the cluster comes up."""

import threading

import pytest

from dev import images
from dev.cluster.errors import ClusterError
from dev.demo import ahead


def test_the_images_are_built_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster_is_up = threading.Event()
    built: list[tuple[str, ...]] = []

    def build(names: tuple[str, ...], _: str) -> None:
        assert cluster_is_up.wait(10)
        built.append(names)

    monkeypatch.setattr(images, "build", build)
    monkeypatch.setattr(ahead, "_prefix", lambda: "registry.example.com")
    with ahead.built(("componentrun",)):
        cluster_is_up.set()
    assert built == [("componentrun",)]


def test_images_that_could_not_be_built_ahead_end_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*_: object) -> None:
        raise ClusterError("no network")

    monkeypatch.setattr(images, "build", build)
    monkeypatch.setattr(ahead, "_prefix", lambda: "registry.example.com")
    with ahead.built(("componentrun",)):
        pass
    assert "tried again later: no network" in capsys.readouterr().err


def test_a_cluster_that_fails_does_not_wait_for_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(images, "build", lambda *_: release.wait(30))
    monkeypatch.setattr(ahead, "_prefix", lambda: "registry.example.com")
    with pytest.raises(ClusterError, match="not root"), ahead.built(("componentrun",)):
        raise ClusterError("not root")
    assert not release.is_set()
    release.set()
