"""Private images of two tenants on one node, and what a run says if its image can't be pulled.

The registries have TLS and a login: by htpasswd, and by tokens of a service.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from e2e import tenant as tenants
from e2e.faults import Registry
from e2e.tenant.tenant import SMALL
from tests.integration.controller.conftest import OperatorProcess, Place
from tests.integration.registry.onthenode import read_image, serving, trusted_by_the_node
from tests.integration.registry.realregistry import NEXT_PASSWORD, PASSWORD, USER, Image, RealRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection

LOGIN = "registry-login"


@pytest.fixture(scope="module", params=["htpasswd", "tokens"])
def registry(
    request: pytest.FixtureRequest, connection: Connection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealRegistry]:
    if not connection.own:
        pytest.skip("its nodes can't reach a registry on this machine's loopback address")
    folder = tmp_path_factory.mktemp("registry")
    with serving(folder, tokens=request.param == "tokens") as running, trusted_by_the_node(running):
        yield running


@pytest.fixture(scope="module")
def limited(connection: Connection) -> Iterator[Registry]:
    """A registry that refuses requests."""
    if not connection.own:
        pytest.skip("its nodes can't reach a registry on this machine's loopback address")
    with Registry() as made:
        yield made


@pytest.fixture(scope="module")
def runnable(images: dict[str, str]) -> Image:
    """The image of the tests' components."""
    return read_image(images["test-components"])


@pytest.fixture(scope="module")
def places(
    registry: RealRegistry,
    limited: Registry,
    runnable: Image,
    connection: Connection,
    settings: dict[str, str],
    images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Place, Place]]:
    """Two tenants with the same operator."""
    made = [tenants.create(connection, "private") for _ in range(2)]
    environment = settings | {
        "COMPONENTRUN_NAMESPACES": ",".join(tenant.namespace for tenant in made),
        "COMPONENTRUN_REGISTRY_CA_BUNDLE": registry.authority.certificate_file.read_text(),
        "COMPONENTRUN_REGISTRY_PLAIN_HTTP": limited.address,
        "COMPONENTRUN_REGISTRY_ARCHITECTURES": runnable.config["architecture"],
        "COMPONENTRUN_IMAGE_PULL_SECONDS": "8",
        "COMPONENTRUN_START_RETRY_SECONDS": "5",
    }
    operator = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    operator.start()
    operator.wait_ready()
    first, second = (Place(tenant, operator, images["test-components"]) for tenant in made)
    yield first, second
    operator.end()
    for tenant in made:
        tenant.delete()


def add_login(place: Place, registry: RealRegistry, name: str, password: str) -> None:
    """Create a pull secret, or replace it."""
    text = json.dumps({"auths": {registry.host: {"username": USER, "password": password}}})
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(text.encode()).decode()},
    }
    place.tenant.kubectl("apply", "--filename=-", stdin=json.dumps(body))


def push(registry: RealRegistry, image: Image, tag: str = "1.0", path: str = "team/app", *, index: bool = False) -> str:
    return asyncio.run(registry.push_image(tag, image, path, index=index))


def start(place: Place, secret: str | None = None, **spec: Any) -> str:
    """Start a run with a pull secret of its own."""
    template = {"imagePullSecrets": [{"name": secret}]} if secret else None
    return place.run(*(() if "component" in spec else ("true",)), podTemplate=template, **spec)


def succeeded(place: Place, name: str) -> dict[str, Any]:
    status = dict(place.tenant.wait(name)["status"])
    assert status["phase"] == "Succeeded", status["message"]
    return status


@dataclass(frozen=True)
class Shared:
    """A Component of both tenants with a private image, which the first one has run.

    The second one's has the status of the first one's. So has a ClusterComponent for all tenants, which an operator for
    two namespaces does not use.
    """

    name: str
    repository: str
    digest: str


@pytest.fixture(scope="module")
def shared(registry: RealRegistry, places: tuple[Place, Place], runnable: Image) -> Shared:
    first, second = places
    name = f"acme.{first.tenant.namespace}"
    repository = f"{registry.host}/{name}"
    digest = push(registry, runnable.noted(name), path=name)
    spec = {
        "image": repository,
        "args": ["true"],
        "channels": [{"name": "release", "tag": "1.0"}],
        "imagePullSecrets": [{"name": LOGIN}],
        "resources": SMALL,
    }
    for place in places:
        place.tenant.apply("Component", name, spec)
    add_login(first, registry, LOGIN, PASSWORD)
    status = succeeded(first, start(first, image=None, component=name, resources=None))
    assert status["imageResolution"]["source"] == "Registry"
    channels = first.tenant.custom.get_namespaced_custom_object(
        GROUP, VERSION, first.tenant.namespace, "components", name
    )["status"]["channels"]
    second.tenant.custom.patch_namespaced_custom_object_status(
        GROUP, VERSION, second.tenant.namespace, "components", name, {"status": {"channels": channels}}
    )
    return Shared(name, repository, digest)


def use(place: Place, shared: Shared, secret: str | None = None) -> str:
    """Start a run of the Component."""
    return start(place, secret, image=None, component=shared.name, resources=None)


@pytest.fixture
def second(places: tuple[Place, Place], registry: RealRegistry, shared: Shared) -> Place:
    """The second tenant, with a right and a wrong login, and without the Secret that the Component names."""
    assert shared.digest
    _, place = places
    add_login(place, registry, "right", PASSWORD)
    add_login(place, registry, "wrong", "guess")
    return place


def test_a_digest_that_another_tenant_resolved_opens_no_image(second: Place, shared: Shared) -> None:
    """The digest is in the status of the Component, and the image on the node; the kubelet asks the registry."""
    without = "no pull secret has one", "the pull secrets have no login that may read"
    names = {
        use(second, shared): without,
        start(second, image=f"{shared.repository}@{shared.digest}"): without,
        use(second, shared, "missing"): without,
        use(second, shared, "wrong"): ("the registry refuses the user name or password",),
    }
    for name, sentences in names.items():
        status = second.failed(name, "ImagePullFailed", shared.repository)
        assert status["image"] == f"{shared.repository}@{shared.digest}"
        assert any(sentence in status["message"] for sentence in sentences), status["message"]
        assert "guess" not in status["message"]


def test_a_right_secret_runs_an_image_of_the_node_without_the_registry(
    second: Place, registry: RealRegistry, shared: Shared
) -> None:
    registry.stop()
    try:
        names = [use(second, shared), use(second, shared, "wrong")]
        status = succeeded(second, use(second, shared, "right"))
        assert status["imageResolution"]["source"] == "Pinned"
        for name in names:
            second.failed(
                name, "RegistryUnavailable", f"registry `{registry.host}` does not respond: connection refused"
            )
    finally:
        registry.start()


def test_a_changed_password_needs_the_registry_once_if_its_secret_is_new(
    places: tuple[Place, Place], second: Place, registry: RealRegistry, shared: Shared
) -> None:
    """A kubelet recognises a Secret that it has used, also with another password, and a password that it has used."""
    first, _ = places
    add_login(second, registry, "next", NEXT_PASSWORD)
    registry.stop()
    try:
        registry.change_password(NEXT_PASSWORD)
        second.failed(use(second, shared, "next"), "RegistryUnavailable")
        registry.start()
        succeeded(second, use(second, shared, "next"))
        registry.stop()
        # Before the first tenant's Secret changes: if the kubelet has never used `right`, it recognises it by the
        # password that both Secrets have.
        for name in [use(second, shared, "next"), use(second, shared, "right")]:
            succeeded(second, name)
        add_login(first, registry, LOGIN, "changed, and never used")
        succeeded(first, use(first, shared))
    finally:
        registry.stop()
        registry.change_password(PASSWORD)
        registry.start()


def test_a_storage_names_the_default_for_its_namespace(second: Place, shared: Shared) -> None:
    """Needs the CustomResourceDefinitions of this work tree."""
    spec = second.tenant.storage_spec
    own = {"default": False, "prefix": f"{spec['prefix']}/private", "imagePullSecrets": [{"name": "right"}]}
    second.tenant.apply("Storage", "private", {key: value for key, value in spec.items() if key != "catalog"} | own)
    name = start(second, image=None, component=shared.name, resources=None, storage="private")
    succeeded(second, name)


@dataclass(frozen=True)
class Cause:
    """Why an image can't be pulled, and what a run says about it: from a kubelet, and from the operator."""

    reason: str
    kubelet: str
    operator: str
    tag: str = "1.0"
    secret: str | None = "right"
    is_below: bool = False
    """Whether it is about a repository that does not exist."""
    host: str = ""


CAUSES = {
    "no password": Cause("ImagePullFailed", "pull secret", "and no pull secret has one", secret=None),
    "wrong password": Cause(
        "ImagePullFailed",
        "the registry refuses the user name or password for `{}` from the pull secrets",
        "the registry refuses the user name or password for `{}` from Secret `wrong`",
        secret="wrong",
    ),
    "no such tag": Cause(
        "ImagePullFailed",
        "repository `{}` has no tag `2.0`, or there is no such repository",
        "repository `{}` has no tag `2.0`",
        tag="2.0",
    ),
    "no such repository": Cause(
        "ImagePullFailed",
        "repository `{}` has no tag `1.0`, or there is no such repository",
        "the registry has no repository `{}`",
        is_below=True,
    ),
    "away": Cause(
        "RegistryUnavailable", "does not respond: connection refused", "does not respond: ", host="127.0.0.1:1",
    ),
    "rate limit": Cause("RegistryUnavailable", *["refuses more requests for now (429)"] * 2, host="limited"),
    "wrong architecture": Cause(
        "ImagePullFailed", "does not exist for the node's architecture", "exists for linux/s390x, and the run needs ",
        tag="mainframe",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def failing(places: tuple[Place, Place], registry: RealRegistry, limited: Registry) -> dict[str, tuple[str, str, str]]:
    """For each cause the repository, and the names of two runs that are started together: without and with channels."""
    _, place = places
    add_login(place, registry, "right", PASSWORD)
    add_login(place, registry, "wrong", "guess")
    path = f"causes/{uuid.uuid4().hex[:8]}"
    push(registry, Image.empty("app"), path=path)
    push(registry, Image.empty("mainframe", "s390x"), "mainframe", path, index=True)
    names = {}
    for number, (title, cause) in enumerate(CAUSES.items()):
        host = {"": registry.host, "limited": f"{limited.address}/limited"}.get(cause.host, cause.host)
        repository = f"{host}/{path}/none" if cause.is_below else f"{host}/{path}"
        channel = {"name": "release", "tag": cause.tag}
        place.tenant.apply("Component", f"app-{number}", {"image": repository, "channels": [channel]})
        names[title] = (
            repository,
            start(place, cause.secret, image=f"{repository}:{cause.tag}"),
            start(place, cause.secret, image=None, component=f"app-{number}", resources=None),
        )
    return names


@pytest.mark.parametrize("title", CAUSES)
def test_each_cause_has_its_sentence(
    places: tuple[Place, Place], failing: dict[str, tuple[str, str, str]], title: str
) -> None:
    _, place = places
    cause, (repository, by_kubelet, by_operator) = CAUSES[title], failing[title]
    place.failed(by_kubelet, cause.reason, cause.kubelet.format(repository))
    status = place.failed(by_operator, cause.reason, cause.operator.format(repository))
    assert not status.get("attempts")
    assert not place.tenant.pods(by_operator)


def test_a_single_image_for_another_architecture_is_found_before_a_pod_exists(
    places: tuple[Place, Place], registry: RealRegistry
) -> None:
    """A container runtime starts such an image, and only its program fails."""
    _, place = places
    add_login(place, registry, "right", PASSWORD)
    push(registry, Image.empty("single", "s390x"), "single", "team/single")
    channel = {"name": "release", "tag": "single"}
    place.tenant.apply("Component", "single", {"image": f"{registry.host}/team/single", "channels": [channel]})
    name = start(place, "right", image=None, component="single", resources=None)
    place.failed(name, "ImagePullFailed", "exists for linux/s390x, and the run needs ")
    assert not place.tenant.pods(name)
