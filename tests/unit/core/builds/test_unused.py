"""Which images nothing names any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from componentrun.core.builds.lifecycle.unused import BuiltTag, find_uses, targets_of, verdicts

NOW = datetime(2026, 12, 3, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
OLD, RECENT = "2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z"
REPOSITORY = "r.io/builds/team/app"
BUILD, DIGEST = "build-" + "a" * 40, "sha256:" + "1" * 64
OTHER, OTHER_DIGEST = "build-" + "b" * 40, "sha256:" + "2" * 64


def component(name: str = "app", *channels: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team"}, "spec": spec, "status": {"channels": list(channels)}}


def build(name: str = BUILD, target: str = REPOSITORY, **status: Any) -> dict[str, Any]:
    spec = {"component": "app", "target": target}
    return {"metadata": {"name": name, "namespace": "team"}, "spec": spec, "status": status}


def run(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "load", "namespace": "team"}, "spec": {"component": "app"}, "status": status}


ENTRY = {"digest": DIGEST, "tag": BUILD, "image": REPOSITORY, "build": "0" * 16}
IMAGE = f"{REPOSITORY}@{DIGEST}"


@pytest.mark.parametrize(
    ("components", "builds", "runs", "why"),
    [
        ([], [], [], ""),
        (
            [component("app", {"name": "master", "digest": DIGEST})],
            [],
            [],
            "channel `master` of Component `app` points",
        ),
        ([component("app", {"name": "master", "tag": BUILD})], [], [], "channel `master` of Component `app` points"),
        ([component("app", {"name": "master", "history": [ENTRY]})], [], [], "the history of channel `master`"),
        ([component("app", {"name": "master", "buildStart": {"image": IMAGE}})], [], [], "the history of channel"),
        ([component("other", channels=[{"name": "release", "digest": DIGEST}])], [], [], "Component `other` names it"),
        ([], [build()], [], "has not ended"),
        ([], [build(completionTime=RECENT)], [], "ended at 2026-12-01"),
        ([], [build(completionTime=OLD)], [], ""),
        ([], [build(OTHER, completionTime=RECENT, digest=DIGEST)], [], "ended at 2026-12-01"),
        ([], [], [run(image=IMAGE)], "ComponentRun `load` has not ended"),
        ([], [], [run(build={"name": BUILD})], "has not ended"),
        ([], [], [run(image=IMAGE, completionTime=RECENT)], "ended at 2026-12-01"),
        ([], [], [run(image=IMAGE, completionTime=OLD)], ""),
        ([], [], [run(steps=[{"image": IMAGE}], completionTime=RECENT)], "ended at 2026-12-01"),
        ([], [], [run(newField={"deep": [IMAGE]})], "has not ended"),
    ],
)
def test_what_is_named_is_kept(
    components: list[dict[str, Any]], builds: list[dict[str, Any]], runs: list[dict[str, Any]], why: str
) -> None:
    uses = find_uses(components, builds, runs, NOW, MONTH)
    used, unused = verdicts(
        [BuiltTag(REPOSITORY, BUILD, DIGEST), BuiltTag(REPOSITORY, "build-" + "c" * 40, OTHER_DIGEST)], uses
    )
    assert unused.kept_because == ""
    assert (why in used.kept_because) if why else used.kept_because == ""


def test_a_tag_is_kept_with_the_image_that_another_one_points_to() -> None:
    """Deleting the image would delete both."""
    uses = find_uses([component("app", {"name": "master", "tag": OTHER})], [], [], NOW, MONTH)
    first, second = verdicts([BuiltTag(REPOSITORY, BUILD, DIGEST), BuiltTag(REPOSITORY, OTHER, DIGEST)], uses)
    assert first.kept_because.startswith("the same image has another tag: channel `master`")
    assert second.kept_because.startswith("channel `master`")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, {REPOSITORY: "team/app", "r.io/builds/team/other": "team/other"}),
        ("app", {REPOSITORY: "team/app"}),
        ("third", {}),
    ],
)
def test_the_repositories_are_those_that_builds_and_histories_name(
    wanted: str | None, expected: dict[str, str]
) -> None:
    there = {"name": "master", "history": [ENTRY | {"image": "r.io/builds/team/other"}]}
    not_built = {"name": "release", "history": [{"image": "r.io/team/other", "digest": DIGEST}]}
    builds = [build(), build(OTHER, "r.io/builds/somebody/else")]
    assert targets_of([component("other", there, not_built)], builds, wanted) == expected
