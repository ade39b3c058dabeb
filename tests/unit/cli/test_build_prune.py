"""`build prune` with a registry on a real socket."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.process.kubernetes.resources import BUILDS, COMPONENTS, RUNS, SECRETS
from tests.unit.cli.test_catalogue_in_registry import Served
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

    from tests.unit.cli.world import World

PATH = "builds/team/app"
OLD, USED, NOW = (f"build-{letter * 40}" for letter in "abc")


@pytest.fixture(autouse=True)
def _no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with Served(FakeRegistry()) as served:
        for tag in (OLD, USED, NOW, "by-hand"):
            served.push(tag, image_manifest(tag), path=PATH)
        yield served


@pytest.fixture
def world(world: World, registry: FakeRegistry) -> World:
    """One image that a channel points to, one that a run uses, and one that nothing names."""
    image = f"{registry.host}/{PATH}"
    spec = {
        "component": "app",
        "git": {"url": "https://git.example.com/team/app.git", "commit": "a" * 40},
        "platform": "linux/amd64",
        "folder": "/code",
        "target": image,
    }
    world.cluster.add(BUILDS, OLD, spec, status={"completionTime": "2026-01-01T00:00:00Z"})
    channels = [{"name": "master", "tag": NOW}]
    world.cluster.add(COMPONENTS, "app", {"image": "r.io/python"}, status={"channels": channels})
    digest = registry.push(USED, image_manifest(USED), path=PATH)
    world.cluster.add(RUNS, "load", {"component": "app"}, status={"image": f"{image}@{digest}"})
    return world


def prune(world: World, *arguments: str) -> Result:
    return world.run("build", "prune", "--unused-for", "30d", "--plain-http", *arguments)


def tags(registry: FakeRegistry) -> list[str]:
    return sorted(name for name in registry.manifests[PATH] if ":" not in name)


@pytest.mark.parametrize("scope", [("--component", "app"), ("--all",), ("--all", "-A")])
def test_what_nothing_names_is_deleted(world: World, registry: FakeRegistry, scope: tuple[str, ...]) -> None:
    done = prune(world, *scope, "--yes")
    assert done.exit_code == 0, done.stderr
    assert tags(registry) == [USED, NOW, "by-hand"]
    assert "1 image deleted" in done.stderr


def test_a_dry_run_says_what_would_be_deleted_and_why_the_rest_is_kept(world: World, registry: FakeRegistry) -> None:
    done = prune(world, "--all", "--dry-run")
    rows = {line.split()[0].rpartition(":")[2]: line for line in done.stdout.splitlines()[1:]}
    assert "delete" in rows[OLD]
    assert "no run of the last 30d names it" in rows[OLD]
    assert "ComponentRun `load` has not ended" in rows[USED]
    assert "channel `master` of Component `app` points to it" in rows[NOW]
    assert len(rows) == 3
    assert "1 tag would be deleted; 2 tags kept" in done.stderr
    assert len(tags(registry)) == 4
    assert not [request for request in registry.log if request[0] == "DELETE"]


def test_a_registry_that_deletes_nothing_says_so(world: World, registry: FakeRegistry) -> None:
    registry.deletes = False
    done = prune(world, "--all", "--yes")
    assert done.exit_code == 1
    assert "does not delete images over its API: it answered 405" in done.stderr
    assert "storage.delete.enabled" in done.stderr


def test_nothing_is_deleted_without_a_yes(world: World, registry: FakeRegistry) -> None:
    done = prune(world, "--all")
    assert done.exit_code == 1
    assert "`--yes`" in done.stderr
    assert len(tags(registry)) == 4


def test_a_secret_can_have_the_login(world: World, registry: FakeRegistry) -> None:
    registry.users["ann"] = "pw"
    without = prune(world, "--all", "--yes")
    assert without.exit_code == 1
    assert "docker login" in without.stderr
    login = {"auths": {registry.host: {"username": "ann", "password": "pw"}}}
    world.cluster.api.add_namespace("builds")
    secret: dict[str, Any] = {
        "metadata": {"name": "remover", "namespace": "builds"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(login).encode()).decode()},
    }
    world.cluster.api.put(SECRETS.plural, secret)
    done = prune(world, "--all", "--yes", "--secret", "builds/remover")
    assert done.exit_code == 0, done.stderr
    assert OLD not in tags(registry)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "neither `--component` nor `--all`"),
        (("--all", "--component", "app"), "both `--component` and `--all`"),
        (("--component", "app", "-A"), "without `--all`"),
        (("--component", "other"), "nothing is known of images that were built for Component `other`"),
        (("--all", "--secret", "remover"), "expected `NAMESPACE/NAME`"),
        (("--all", "--unused-for", "soon"), "`--unused-for`: `soon` is no duration"),
    ],
)
def test_what_can_not_be_done_is_refused(world: World, arguments: tuple[str, ...], words: str) -> None:
    done = prune(world, *arguments)
    assert done.exit_code == 1
    assert words in done.stderr
