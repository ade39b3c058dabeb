"""Channels on the real cluster: the operator resolves tags of the cluster's registry, and nodes run digests."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import Place, Tags

AGED = {"source": {"git": {"url": "https://git.example.com/app.git"}}, "maxAge": "30d"}


def component(tenant: Tenant) -> dict[str, Any]:
    return dict(tenant.custom.get_namespaced_custom_object(GROUP, VERSION, tenant.namespace, "components", "app"))


def add_component(place: Place, tags: Tags, *channels: dict[str, Any]) -> None:
    spec = {"image": tags.name, "args": ["true"], "channels": list(channels), "resources": SMALL}
    place.tenant.apply("Component", "app", spec)


def ran(place: Place, **spec: Any) -> dict[str, Any]:
    """Status of a run of the Component, which must succeed."""
    name = place.run(image=None, component="app", **({"resources": None} | spec))
    status = dict(place.tenant.wait(name)["status"])
    assert status["phase"] == "Succeeded", status
    return status


def test_a_tag_moves_under_a_running_system(registry_place: Place, tags: Tags) -> None:
    """`release` stays, `master` follows, a promotion and a rollback change what later runs get."""
    tag = f"t-{uuid.uuid4().hex[:8]}"
    first = tags.move(tag, "first")
    add_component(registry_place, tags, {"name": "release", "tag": tag}, {"name": "master", "tag": tag})
    assert ran(registry_place)["imageID"].endswith(first)
    second = tags.move(tag, "second")
    assert first != second
    assert ran(registry_place)["imageID"].endswith(first)
    status = ran(registry_place, channel="master")
    assert status["imageID"].endswith(second)
    assert status["image"] == f"{tags.name}@{second}"
    assert (status["imageResolution"]["source"], status["imageResolution"]["tag"]) == ("Registry", tag)
    assert (
        registry_place.tenant.cli("component", "promote", "app", "--from", "master", "--to", "release").returncode == 0
    )
    assert ran(registry_place)["imageID"].endswith(second)
    assert registry_place.tenant.cli("component", "rollback", "app").returncode == 0
    status = ran(registry_place)
    assert status["imageID"].endswith(first)
    assert status["imageResolution"]["source"] == "Spec"
    history = {item["name"]: item["history"] for item in component(registry_place.tenant)["status"]["channels"]}
    assert {entry["digest"] for entry in history["release"]} == {first, second}


def test_a_missing_tag_is_found_before_a_pod_exists(registry_place: Place, tags: Tags) -> None:
    add_component(registry_place, tags, {"name": "release", "tag": "no-such-tag"})
    name = registry_place.run(image=None, component="app", resources=None)
    status = registry_place.failed(name, "ImagePullFailed", "has no tag `no-such-tag`")
    assert not status.get("attempts")
    assert not registry_place.tenant.pods(name)


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"name": "a"}, "exactly one of tag, semver, digest and build"),
        ({"name": "a", "tag": "1", "semver": "^1"}, "exactly one of tag, semver, digest and build"),
        ({"name": "a", "digest": f"sha256:{'a' * 64}", "follow": "EachRun"}, "a digest never changes"),
        ({"name": "a", "tag": f"sha256:{'a' * 64}"}, "spec.channels[0].tag"),
        ({"name": "a", "tag": "1", "interval": "1h"}, "interval goes with follow Interval"),
        ({"name": "a", "build": AGED}, "build.maxAge goes with follow EachRun or Interval"),
        ({"name": "master", "build": AGED, "follow": "Pinned"}, "build.maxAge goes with follow EachRun or Interval"),
    ],
)
def test_the_api_server_refuses_a_contradictory_channel(tenant: Tenant, channel: dict[str, Any], words: str) -> None:
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Component",
        "metadata": {"name": "app"},
        "spec": {"image": "registry.example.com/app", "channels": [channel]},
    }
    refused = tenant.kubectl("create", "-f", "-", stdin=json.dumps(body), check=False)
    assert refused.returncode != 0
    assert words in refused.stderr
