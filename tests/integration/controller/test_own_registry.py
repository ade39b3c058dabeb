"""Channels with a registry of the test's own, which wants a login, and which can be stopped."""

from __future__ import annotations

import base64
import re
import shutil
import ssl
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from dev.cluster import layout, waiting
from e2e import tenant as tenants
from e2e.tenant.holding import UNTIL_TOLD, let_go
from e2e.tenant.repository import Repository
from e2e.tenant.tenant import SMALL
from tests.integration.controller.conftest import OperatorProcess, Place
from tests.integration.registry.realregistry import PASSWORD, USER, Authority, RealRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection

SECRET = "pull"
BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def registry(connection: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    """A registry that the node and this machine reach, and nobody else."""
    if not connection.own:
        pytest.skip("the settings of a stranger's nodes can't be changed")
    folder = tmp_path_factory.mktemp("registry")
    made = RealRegistry(folder, Authority.create(folder))
    settings = layout.configs() / "registries" / made.host
    settings.mkdir()
    (settings / "hosts.toml").write_text(
        f'server = "https://{made.host}"\n[host."https://{made.host}"]\n  ca = "{made.authority.certificate_file}"\n'
    )
    made.start()
    yield made
    made.stop()
    shutil.rmtree(settings)


@pytest.fixture(scope="module")
def repository(registry: RealRegistry, images: dict[str, str]) -> Repository:
    """A repository with the tests' components at the tag `source`."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    context = ssl.create_default_context(cafile=str(registry.authority.certificate_file))
    made = Repository(registry.host, "team/app", context, {"Authorization": f"Basic {login}"})
    made.copy(*Repository.of(images["test-components"]), as_tag="source")
    return made


@pytest.fixture(scope="module")
def place(
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    registry: RealRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    tenant = tenants.create(connection, "chan")
    tenant.kubectl(
        "create", "secret", "docker-registry", SECRET,
        f"--docker-server={registry.host}", f"--docker-username={USER}", f"--docker-password={PASSWORD}",
    )  # fmt: skip
    environment = settings | {
        "COMPONENTRUN_NAMESPACES": tenant.namespace,
        "COMPONENTRUN_REGISTRY_CA_BUNDLE": registry.authority.certificate_file.read_text(),
        "COMPONENTRUN_START_RETRY_SECONDS": "3",
        "COMPONENTRUN_PRE_PULL": "true",
        "COMPONENTRUN_REGISTRY_TAG_CHECK_SECONDS": "0",  # a test counts requests
    }
    operator = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    operator.start()
    operator.wait_ready()
    yield Place(tenant, operator, images["test-components"])
    operator.end()
    tenant.delete()


def add_component(place: Place, repository: Repository, *channels: dict[str, Any], **spec: Any) -> str:
    """Create a Component with these channels. Returns its name."""
    name = f"app-{uuid.uuid4().hex[:8]}"
    place.tenant.apply(
        "Component",
        name,
        {
            "image": repository.name,
            "args": ["true"],
            "channels": list(channels),
            "imagePullSecrets": [{"name": SECRET}],
            "resources": SMALL,
            **spec,
        },
    )
    return name


def new_tag() -> str:
    return f"t-{uuid.uuid4().hex[:8]}"


def start(place: Place, component: str, **spec: Any) -> str:
    return place.run(image=None, component=component, resources=None, **spec)


def ran(place: Place, component: str, **spec: Any) -> dict[str, Any]:
    """Status of a run of the Component, which must succeed. Its pod names a digest only."""
    name = start(place, component, **spec)
    status = dict(place.tenant.wait(name)["status"])
    assert status["phase"] == "Succeeded", status
    assert BY_DIGEST.fullmatch(status["image"]), status["image"]
    for pod in place.tenant.pods(name):
        steps = [*pod.spec.init_containers, *pod.spec.containers]
        (image,) = [item.image for item in steps if item.name == "component"]
        assert image == status["image"]
    return status


def status_of(place: Place, component: str) -> dict[str, Any]:
    custom = place.tenant.custom
    found = custom.get_namespaced_custom_object(GROUP, VERSION, place.tenant.namespace, "components", component)
    return dict(found["status"])


def condition(place: Place, component: str, kind: str) -> dict[str, Any]:
    """The condition of this type; empty if the Component has none."""
    return next((item for item in status_of(place, component)["conditions"] if item["type"] == kind), {})


def requests(registry: RealRegistry, repository: Repository) -> int:
    """Number of requests for the repository that the registry has answered so far, of the operator and the node."""
    return registry.log.count(f" /v2/{repository.path}/")


def test_a_run_by_channel_by_tag_and_by_nothing(place: Place, repository: Repository) -> None:
    tag, other = new_tag(), new_tag()
    digest, master = repository.move("source", tag, "release"), repository.move("source", other, "master")
    app = add_component(place, repository, {"name": "release", "tag": tag}, {"name": "master", "tag": other})
    by_nothing, by_channel = ran(place, app), ran(place, app, channel="master")
    by_tag = ran(place, app, tag=other)
    found = [
        (status["image"].rpartition("@")[2], status["imageResolution"]["channel"], status["imageResolution"]["tag"])
        for status in (by_nothing, by_channel, by_tag)
    ]
    assert found == [(digest, "release", tag), (master, "master", other), (master, "master", other)]
    assert by_nothing["imageID"].endswith(digest)
    name = start(place, app, tag="no-such-tag")
    place.failed(name, "InvalidSpec", "spec.tag: `no-such-tag` is not allowed", f"`{tag}`", f"`{other}`")


def test_a_pinned_range_stays_and_another_follows_new_versions(place: Place, repository: Repository) -> None:
    major = uuid.uuid4().int % 10**6
    first = repository.move("source", f"{major}.9.0", "first")
    repository.move("source", f"{major}.10.0-rc.1", "candidate")
    app = add_component(
        place,
        repository,
        {"name": "stable", "semver": f"^{major}.0"},
        {"name": "newest", "semver": f"^{major}.0", "follow": "EachRun"},
    )
    assert [ran(place, app, channel=channel)["imageID"].rpartition("@")[2] for channel in ("stable", "newest")] == [
        first,
        first,
    ]
    second = repository.move("source", f"{major}.10.0", "second")
    assert ran(place, app, channel="stable")["imageID"].endswith(first)
    status = ran(place, app, channel="newest")
    assert status["imageID"].endswith(second)
    assert (status["imageResolution"]["tag"], status["imageResolution"]["source"]) == (f"{major}.10.0", "Registry")
    assert ran(place, app, tag=f"{major}.10.0")["imageID"].endswith(second)


def test_a_pinned_image_that_the_node_has_costs_no_request(
    place: Place, registry: RealRegistry, repository: Repository
) -> None:
    tag = new_tag()
    repository.move("source", tag, "pinned")
    app = add_component(place, repository, {"name": "release", "tag": tag}, {"name": "master", "tag": tag})
    assert ran(place, app)["imageResolution"]["source"] == "Registry"
    before = requests(registry, repository)
    assert before
    assert ran(place, app)["imageResolution"]["source"] == "Pinned"
    assert requests(registry, repository) == before
    ran(place, app, channel="master")
    assert requests(registry, repository) > before, "the count sees the requests of channels that follow"


def test_a_pinned_tag_that_moves_is_a_condition_and_changes_nothing(place: Place, repository: Repository) -> None:
    tag = new_tag()
    first = repository.move("source", tag, "first")
    app = add_component(place, repository, {"name": "release", "tag": tag})
    ran(place, app)
    second = repository.move("source", tag, "second")
    place.operator.end()
    place.operator.start(COMPONENTRUN_REGISTRY_TAG_CHECK_SECONDS="1")
    try:
        place.tenant.kubectl("wait", "--for=condition=TagMoved", f"component/{app}", "--timeout=60s")
        message = condition(place, app, "TagMoved")["message"]
        assert f"channel `release`: tag `{tag}` now points to `{second}`; runs use `{first}`" in message
        assert condition(place, app, "Ready")["status"] == "True"
        assert ran(place, app)["imageID"].endswith(first)
        assert repository.move("source", tag, "first") == first
        waiting.until(lambda: condition(place, app, "TagMoved").get("message"), what="the end of TagMoved", timeout=60)
    finally:
        place.operator.end()
        place.operator.start()
        place.operator.wait_ready()


def test_processors_run_the_digests_of_their_channels(place: Place, repository: Repository) -> None:
    tag, other = new_tag(), new_tag()
    release, master = repository.move("source", tag, "release"), repository.move("source", other, "master")
    two = {"name": "release", "tag": tag}, {"name": "master", "tag": other}
    processor = add_component(place, repository, *two, type="processor")
    app = add_component(place, repository, *two)
    after = [{"component": processor, "channel": "master"}, {"component": processor, "tag": tag}]
    status = ran(place, app, processors={"before": [{"component": processor}], "after": after})
    steps = {step["name"]: step for step in status["steps"]}
    expected = {"before-1": release, "component": release, "after-1": master, "after-2": release}
    assert {name: step["image"].rpartition("@")[2] for name, step in steps.items()} == expected
    assert {name: step["imageID"].rpartition("@")[2] for name, step in steps.items()} == expected
    assert steps["after-1"]["imageResolution"]["channel"] == "master"


def test_a_registry_is_stopped_and_started(place: Place, registry: RealRegistry, repository: Repository) -> None:
    tag = new_tag()
    digest = repository.move("source", tag, "first")
    follows: dict[str, Any] = {"tag": tag, "follow": "EachRun"}
    app = add_component(
        place,
        repository,
        {"name": "release", "tag": tag},
        {"name": "strict"} | follows,
        {"name": "lenient", "onFailure": "UseLast"} | follows,
    )
    for channel in ("release", "strict", "lenient"):
        ran(place, app, channel=channel)
    registry.stop()
    try:
        assert ran(place, app)["imageResolution"]["source"] == "Pinned"
        failed = start(place, app, channel="strict")
        status = place.failed(failed, "RegistryUnavailable", f"registry `{registry.host}` does not respond")
        assert not status.get("attempts")
        status = ran(place, app, channel="lenient")
        assert status["imageResolution"]["source"] == "Last"
        (warning,) = status["warnings"]
        assert "channel `lenient`: the last digest is used" in warning
        assert status["imageID"].endswith(digest)
    finally:
        registry.start()
    second = repository.move("source", tag, "second")
    place.tenant.wait(start(place, app, channel="strict"), timeout=60)  # the registry may still be taken for away
    for channel in ("strict", "lenient"):
        status = ran(place, app, channel=channel)
        assert status["imageID"].endswith(second)
        assert not status.get("warnings")
    assert ran(place, app)["imageID"].endswith(digest)


def test_promotion_and_rollback_while_runs_are_created(place: Place, repository: Repository) -> None:
    """Runs in progress stay, later ones use the new digest, and each has one of the two."""
    tag = new_tag()
    first = repository.move("source", tag, "first")
    script = f'case "$KBC_CONFIGID" in wait) {UNTIL_TOLD} ;; esac'
    app = add_component(
        place, repository, {"name": "release", "tag": tag}, {"name": "master", "tag": tag}, args=["sh", "-c", script]
    )
    in_progress = start(place, app, configuration={"id": "wait"})
    place.await_phase(in_progress, "Running")
    assert_succeed(place, [start(place, app, channel="master")], first)
    second = repository.move("source", tag, "second")
    assert_succeed(place, [start(place, app, channel="master")], second)
    for target, command in (
        (second, ("promote", app, "--from", "master", "--to", "release")),
        (first, ("rollback", app)),
    ):
        creator = Creator(place, app)
        creator.start()
        done = place.tenant.cli("component", *command)
        assert done.returncode == 0, done.stderr
        later = [start(place, app) for _ in range(3)]
        creator.join()
        assert_succeed(place, later, target)
        assert_succeed(place, creator.names, first, second)
    let_go(place.tenant, in_progress)
    assert_succeed(place, [in_progress], first)
    shown = place.tenant.cli("component", "history", app, "--channel", "release")
    assert [line.split()[0] == "*" for line in shown.stdout.splitlines()[1:]] == [False, True], shown
    assert [first in line for line in shown.stdout.splitlines()[1:]] == [False, True], shown
    digests = {item["name"]: item["digest"] for item in status_of(place, app)["channels"]}
    assert digests == {"release": first, "master": second}


def assert_succeed(place: Place, names: list[str], *digests: str) -> None:
    """Check that each run succeeds with one of the digests."""
    for name in names:
        status = place.tenant.wait(name)["status"]
        assert status["phase"] == "Succeeded", status
        assert status["image"].rpartition("@")[2] in digests, status


class Creator(threading.Thread):
    """Creates some runs of a Component, one after another."""

    def __init__(self, place: Place, component: str) -> None:
        super().__init__()
        self._place = place
        self._component = component
        self.names: list[str] = []

    def run(self) -> None:
        for _ in range(5):
            self.names.append(start(self._place, self._component))


def test_a_private_image_is_brought_to_nodes_with_the_components_pull_secret(
    place: Place, repository: Repository
) -> None:
    tag = new_tag()
    digest = repository.move("source", tag, "private")
    app = add_component(place, repository, {"name": "release", "tag": tag, "prePull": True})
    place.tenant.kubectl("wait", "--for=condition=PrePulled", f"component/{app}", "--timeout=120s")
    (brought,) = (channel["prePull"] for channel in status_of(place, app)["channels"])
    assert brought["digest"] == digest
    assert brought["ready"] == brought["desired"] > 0
