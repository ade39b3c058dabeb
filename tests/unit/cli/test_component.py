"""`component`: list, history, promote, rollback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS

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
    assert "has no channel `beta`; expected one of `master`" in done.stderr


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
    promoted = world.run("component", "history", "app", "--channel", "release").stdout
    assert promoted.splitlines()[1].split() == ["*", "release", "spec", digest(9), "-"]
    unknown = world.run("component", "history", "app", "--channel", "beta")
    assert unknown.exit_code == 1
    assert "has no channel `beta`; expected one of `master`, `release`" in unknown.stderr


def add_cluster_component(world: World, *channels: dict[str, Any], status: list[dict[str, Any]]) -> None:
    spec = {"image": "h.io/team/app", "channels": list(channels)}
    world.cluster.add(CLUSTER_COMPONENTS, "shared", spec, status={"channels": status})


def cluster_channels(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.cluster.objects["clustercomponents"]["shared"]["spec"]["channels"]
    return found


def test_a_clustercomponent_is_promoted_and_rolled_back(world: World) -> None:
    release = {"name": "release", "tag": "1.3"}
    add_cluster_component(world, MASTER, release, status=[MASTER_STATUS, RELEASE_STATUS])
    promote = ("component", "promote", "shared", "--from", "master", "--to", "release", "--cluster-wide")
    done = world.run(*promote)
    assert done.exit_code == 0, done.stderr
    assert "channel `release` of ClusterComponent `shared` now has the digest" in done.stderr
    assert cluster_channels(world) == [MASTER, {"name": "release", "digest": digest(2)}]
    assert world.run("component", "rollback", "shared", "--cluster-wide").exit_code == 0
    assert cluster_channels(world) == [MASTER, {"name": "release", "digest": digest(1)}]


def test_components_of_the_same_name_are_not_confused(world: World) -> None:
    add_cluster_component(world, MASTER, status=[MASTER_STATUS])
    world.cluster.add(COMPONENTS, "shared", {"image": "h.io/team/app", "channels": [{"name": "release", "tag": "1.3"}]},
                      status={"channels": [RELEASE_STATUS]})  # fmt: skip
    assert world.run("component", "rollback", "shared").exit_code == 0
    assert cluster_channels(world) == [MASTER]
    own = world.run("component", "history", "shared", "-o", "json")
    wide = world.run("component", "history", "shared", "--cluster-wide", "-o", "json")
    assert {item["channel"] for item in json.loads(own.stdout)} == {"release"}
    assert {item["channel"] for item in json.loads(wide.stdout)} == {"master"}


@pytest.mark.parametrize(
    ("name", "flag", "advice"),
    [
        ("shared", (), "There is a ClusterComponent of this name. Pass `--cluster-wide`."),
        ("app", ("--cluster-wide",), "There is a Component of this name. Leave out `--cluster-wide`."),
    ],
)
def test_a_name_of_the_other_kind_is_found(world: World, name: str, flag: tuple[str, ...], advice: str) -> None:
    add(world, MASTER)
    add_cluster_component(world, MASTER, status=[])
    done = world.run("component", "history", name, *flag)
    assert done.exit_code == 1
    assert advice in done.stderr


def test_a_name_of_neither_kind_has_no_such_advice(world: World) -> None:
    done = world.run("component", "history", "gone")
    assert done.exit_code == 1
    assert "--cluster-wide" not in done.stderr


def test_a_promoted_digest_is_the_current_one_before_a_run_uses_it(world: World) -> None:
    add(world, {"name": "release", "digest": digest(9)}, status=[RELEASE_STATUS])
    lines = [line.split() for line in world.run("component", "history", "app").stdout.splitlines()[1:]]
    assert lines[0] == ["*", "release", "spec", digest(9), "-"]
    assert [line[0] for line in lines[1:]] == ["release"] * 3


def test_a_digest_of_a_range_says_which(world: World) -> None:
    ranged = {**entry(2, "1.4.2"), "semver": "^1.4"}
    status = {"name": "stable", "digest": digest(2), "tag": "1.4.2", "history": [ranged]}
    add(world, {"name": "stable", "semver": "^1.4"}, status=[status])
    assert "1.4.2 (^1.4)" in world.run("component", "history", "app").stdout
    (item,) = json.loads(world.run("component", "history", "app", "--output", "json").stdout)
    assert item == {
        "channel": "stable",
        "digest": digest(2),
        "current": True,
        "image": "h.io/team/app",
        "tag": "1.4.2",
        "semver": "^1.4",
        "time": "2026-12-01T12:00:00Z",
    }


def test_list_has_clustercomponents_and_formats(world: World) -> None:
    add(world, MASTER, status=[MASTER_STATUS])
    add_cluster_component(world, MASTER, status=[])
    wide = [line.split() for line in world.run("component", "list", "-o", "wide").stdout.splitlines()[1:]]
    assert [(line[0], line[4], line[5]) for line in wide] == [
        ("app", "Component", "h.io/team/app"),
        ("shared", "ClusterComponent", "h.io/team/app"),
    ]
    assert world.run("component", "list", "-o", "name").stdout.split() == ["app", "shared"]
    documents = json.loads(world.run("component", "list", "-o", "json").stdout)
    assert [item["kind"] for item in documents] == ["Component", "ClusterComponent"]
    assert documents[0]["status"]["channels"][0]["digest"] == digest(2)
    assert not [item for item in documents if "managedFields" in item["metadata"]]
