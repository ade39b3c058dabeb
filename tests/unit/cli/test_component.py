"""`component`: list, history, promote, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.process.kubernetes.resources import COMPONENTS

if TYPE_CHECKING:
    from tests.unit.cli.world import World


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def entry(number: int, tag: str, image: str = "h.io/team/app") -> dict[str, Any]:
    return {"digest": digest(number), "image": image, "tag": tag, "time": "2026-12-01T12:00:00Z"}


def add(world: World, *channels: dict[str, Any], status: list[dict[str, Any]] | None = None) -> None:
    spec = {"image": "h.io/team/app", "channels": list(channels)}
    world.cluster.add(COMPONENTS, "app", spec, status={"channels": status or []})


def channels(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.cluster.objects["components"]["app"]["spec"]["channels"]
    return found


MASTER = {"name": "master", "tag": "main"}
MASTER_STATUS = {"name": "master", "digest": digest(2), "tag": "main", "history": [entry(2, "main"), entry(1, "main")]}
RELEASE_STATUS = {
    "name": "release", "digest": digest(3), "tag": "1.3",
    "history": [entry(3, "1.3"), entry(2, "1.2"), entry(1, "1.1")],
}  # fmt: skip


def test_promote_writes_the_digest_in_place_of_the_tag(world: World) -> None:
    release = {"name": "release", "tag": "1.0", "follow": "Pinned", "onFailure": "UseLast"}
    add(world, MASTER, release, status=[MASTER_STATUS])
    assert world.run("component", "promote", "app", "--from", "master", "--to", "release").exit_code == 0
    assert channels(world) == [MASTER, {"name": "release", "onFailure": "UseLast", "digest": digest(2)}]


def test_promote_adds_a_channel(world: World) -> None:
    add(world, MASTER, status=[MASTER_STATUS])
    assert world.run("component", "promote", "app", "--from", "master", "--to", "release").exit_code == 0
    assert channels(world) == [MASTER, {"name": "release", "digest": digest(2)}]
    again = world.run("component", "promote", "app", "--from", "master", "--to", "release")
    assert "already" in again.stderr


@pytest.mark.parametrize(
    "status",
    [
        [],
        [MASTER_STATUS | {"tag": "other", "history": [entry(2, "other")]}],
        [MASTER_STATUS | {"history": [entry(2, "main", "h.io/former/app")]}],
    ],
    ids=["never ran", "another tag", "another repository"],
)
def test_a_digest_that_is_not_of_the_present_spec_is_not_promoted(world: World, status: list[dict[str, Any]]) -> None:
    add(world, MASTER, status=status)
    done = world.run("component", "promote", "app", "--from", "master", "--to", "release")
    assert (done.exit_code, channels(world)) == (1, [MASTER])
    assert "points to no digest yet" in done.stderr


def test_a_channel_that_does_not_exist_is_named(world: World) -> None:
    add(world, MASTER)
    done = world.run("component", "promote", "app", "--from", "beta", "--to", "release")
    assert done.exit_code == 1
    assert "has no channel `beta`; it has `master`" in done.stderr


def test_each_rollback_goes_one_digest_back(world: World) -> None:
    add(world, {"name": "release", "tag": "1.3"}, status=[RELEASE_STATUS])
    for expected in (2, 1):
        assert world.run("component", "rollback", "app").exit_code == 0
        assert channels(world) == [{"name": "release", "digest": digest(expected)}]
    done = world.run("component", "rollback", "app")
    assert done.exit_code == 1
    assert "no older digest" in done.stderr


@pytest.mark.parametrize("to", [digest(1), f"{1:064x}", digest(1)[:-1] + "1"])
def test_rollback_to_a_chosen_digest(world: World, to: str) -> None:
    add(world, {"name": "release", "tag": "1.3"}, status=[RELEASE_STATUS])
    assert world.run("component", "rollback", "app", "--to", to).exit_code == 0
    assert channels(world) == [{"name": "release", "digest": digest(1)}]


@pytest.mark.parametrize(("to", "why"), [("sha256:0", "several digests"), ("sha256:f", "no digest of its history")])
def test_a_digest_must_be_one_of_the_history(world: World, to: str, why: str) -> None:
    add(world, {"name": "release", "tag": "1.3"}, status=[RELEASE_STATUS])
    done = world.run("component", "rollback", "app", "--to", to)
    assert done.exit_code == 1
    assert why in done.stderr


def test_list_and_history(world: World) -> None:
    add(world, MASTER, {"name": "release", "digest": digest(9)}, status=[MASTER_STATUS])
    listed = world.run("component", "list").stdout
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["app", "master", "main", digest(2)[:19]],
        ["app", "release", "-", digest(9)[:19]],
    ]
    lines = world.run("component", "history", "app").stdout.splitlines()
    assert lines[1].split()[:4] == ["*", "master", "main", digest(2)]
    assert lines[2].split()[:3] == ["master", "main", digest(1)]
    assert (
        "no run has used channel `release`" in world.run("component", "history", "app", "--channel", "release").stderr
    )
