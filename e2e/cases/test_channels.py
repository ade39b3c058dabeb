"""Channels with the installed operator: which image runs get, and what their status and events say about it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from e2e.tenant.repository import Repository
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant


@dataclass(frozen=True)
class App:
    """A Component with two channels, whose tags tests can move.

    Attributes:
        tags: tags of the channels `release` and `master`.
        digests: what they pointed to when the Component was created.
    """

    tenant: Tenant
    repository: Repository
    source: str
    tags: tuple[str, str]
    digests: tuple[str, str]

    def ran(self, **spec: Any) -> dict[str, Any]:
        """A run that must succeed. Its pod names a digest only."""
        name = f"r-{uuid.uuid4().hex[:8]}"
        self.tenant.apply("ComponentRun", name, {"component": "app", "timeout": "2m", **spec})
        run = self.tenant.wait(name)
        assert run["status"]["phase"] == "Succeeded", run["status"]
        for pod in self.tenant.pods(name):
            (image,) = [item.image for item in pod.spec.containers if item.name == "component"]
            assert image == run["status"]["image"]
        return run


@pytest.fixture
def app(connection: Connection, tenant: Tenant, components: str) -> App:
    if not connection.own or connection.registry is None:
        pytest.skip("the operator knows only the registry of our own cluster")
    repository, source = Repository.of(components)
    tags = f"t-{uuid.uuid4().hex[:8]}", f"t-{uuid.uuid4().hex[:8]}"
    digests = repository.move(source, tags[0], "release"), repository.move(source, tags[1], "master")
    channels = [{"name": name, "tag": tag} for name, tag in zip(("release", "master"), tags, strict=True)]
    spec = {"image": repository.name, "args": ["true"], "channels": channels, "resources": SMALL}
    tenant.apply("Component", "app", spec)
    return App(tenant, repository, source, tags, digests)


@pytest.mark.parametrize("chosen", ["nothing", "channel", "tag"])
def test_status_and_events_say_which_image_ran_and_why(app: App, chosen: str) -> None:
    wanted = 0 if chosen == "nothing" else 1
    spec = {"nothing": {}, "channel": {"channel": "master"}, "tag": {"tag": app.tags[1]}}[chosen]
    run = app.ran(**spec)
    status, digest = run["status"], app.digests[wanted]
    assert status["image"] == f"{app.repository.name}@{digest}"
    assert status["imageID"].endswith(f"@{digest}")
    channel = ("release", "master")[wanted]
    resolution = {key: value for key, value in status["imageResolution"].items() if key != "time"}
    assert resolution == {"channel": channel, "tag": app.tags[wanted], "source": "Registry"}
    app.tenant.wait(run["metadata"]["name"], lambda run: "events" in run["status"] and is_delivered(run), timeout=60)
    (running,) = [
        event for event in app.tenant.events(run["metadata"]["name"]) if event.params.get("phase") == "Running"
    ]
    said = {name: running.params[name] for name in ("image", "imageID", "channel", "tag", "resolved")}
    assert said == {
        "image": status["image"],
        "imageID": status["imageID"],
        "channel": channel,
        "tag": app.tags[wanted],
        "resolved": "Registry",
    }
    assert f"channel `{channel}`, tag `{app.tags[wanted]}`" in running.message


def is_delivered(run: dict[str, Any]) -> bool:
    conditions = {item["type"]: item["status"] for item in run["status"]["conditions"]}
    return conditions.get("EventsDelivered") == "True"


def test_a_tag_that_moves_reaches_runs_of_the_channel_that_follows_it(app: App) -> None:
    for channel, digest in zip(("release", "master"), app.digests, strict=True):
        assert app.ran(channel=channel)["status"]["imageID"].endswith(digest)
    moved = [app.repository.move(app.source, tag, "moved") for tag in app.tags]
    assert app.ran()["status"]["imageID"].endswith(app.digests[0])
    assert app.ran(channel="master")["status"]["imageID"].endswith(moved[1])
