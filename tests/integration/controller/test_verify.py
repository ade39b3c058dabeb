"""Components that require signatures, on the real cluster: signed images run, and no others."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from componentrun.core.images.signingkey import parse_signing_key
from e2e.tenant.repository import Repository
from e2e.tenant.tenant import SMALL
from tests.integration.controller.conftest import Place
from tests.integration.registry.signed import attach_bundles, attach_simple
from tests.signing import Signer

if TYPE_CHECKING:
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess


@dataclass(frozen=True)
class Images:
    """Images that differ only in a label, in the cluster's registry."""

    repository: Repository
    source: str

    def push(self, tag: str) -> str:
        """Push one. Returns its digest."""
        return self.repository.move(self.source, tag, uuid.uuid4().hex)


@pytest.fixture
def made(connection: Connection, images: dict[str, str]) -> Images:
    if connection.registry is None:
        pytest.skip("the cluster has no registry that this machine can push to")
    return Images(*Repository.of(images["test-components"]))


@pytest.fixture
def place(tenant: Tenant, operator: OperatorProcess, images: dict[str, str], made: Images) -> Place:
    operator.start(COMPONENTRUN_REGISTRY_PLAIN_HTTP=made.repository.host)
    operator.wait_ready()
    return Place(tenant, operator, images["test-components"])


def add_component(place: Place, made: Images, signer: Signer, **channel: Any) -> None:
    spec = {
        "image": made.repository.name,
        "args": ["true"],
        "channels": [{"name": "release", **channel}],
        "verify": {"key": signer.public},
        "resources": SMALL,
    }
    place.tenant.apply("Component", "app", spec)


def change_key(place: Place, signer: Signer) -> None:
    """Require another key, and wait until the operator has seen that."""
    patch = json.dumps({"spec": {"verify": {"key": signer.public}}})
    place.tenant.kubectl("patch", "component", "app", "--type=merge", f"--patch={patch}")
    place.tenant.kubectl("wait", "component/app", "--for=jsonpath={.status.observedGeneration}=2", "--timeout=60s")


def verified_by(tenant: Tenant) -> list[str | None]:
    found = tenant.custom.get_namespaced_custom_object(GROUP, VERSION, tenant.namespace, "components", "app")
    return [entry.get("verifiedBy") for entry in found["status"]["channels"][0]["history"]]


def run(place: Place) -> str:
    return place.run(image=None, component="app", resources=None)


def ran(place: Place, digest: str) -> None:
    status = place.tenant.wait(run(place))["status"]
    assert status["phase"] == "Succeeded", status
    assert status["imageID"].endswith(digest)


def refused(place: Place, *words: str) -> None:
    name = run(place)
    status = place.failed(name, "ImageUnverified", words[0])
    assert all(word in status["message"] for word in words)
    assert not status.get("attempts")
    assert not place.tenant.pods(name)


def test_only_signed_images_run_and_a_new_key_asks_anew(place: Place, made: Images) -> None:
    tag, first, second = f"s-{uuid.uuid4().hex[:8]}", Signer(), Signer()
    fingerprints = [parse_signing_key(signer.public, "key").fingerprint for signer in (first, second)]
    digest = made.push(tag)
    add_component(place, made, first, tag=tag)
    how = f"cosign sign --key cosign.key {made.repository.name}@{digest}"
    refused(place, f"expected a signature with the key {fingerprints[0]}; found none", how)

    attach_bundles(made.repository, digest, second.bundle(digest))
    refused(place, "it was made with another key", how)

    attach_bundles(made.repository, digest, second.bundle(digest), first.bundle(digest))
    ran(place, digest)
    assert verified_by(place.tenant) == [fingerprints[0]]

    # The signatures are gone, and nobody asks: the digest is verified.
    attach_bundles(made.repository, digest)
    ran(place, digest)

    # The tag moves. The pinned digest stays and must be signed with the new key.
    moved = made.push(tag)
    attach_bundles(made.repository, moved, second.bundle(moved))
    change_key(place, second)
    refused(place, f"expected a signature with the key {fingerprints[1]}", digest)
    attach_bundles(made.repository, digest, second.bundle(digest))
    ran(place, digest)
    assert verified_by(place.tenant) == [fingerprints[1]]


def test_a_digest_in_the_spec_must_be_signed(place: Place, made: Images) -> None:
    digest, signer = made.push(f"s-{uuid.uuid4().hex[:8]}"), Signer()
    add_component(place, made, signer, digest=digest)
    refused(place, "found none")
    attach_simple(made.repository, digest, signer.payload(digest))
    ran(place, digest)


def test_a_signature_of_another_image_does_not_count(place: Place, made: Images) -> None:
    tag, signer = f"s-{uuid.uuid4().hex[:8]}", Signer()
    signed, digest = made.push(f"{tag}-other"), made.push(tag)
    add_component(place, made, signer, tag=tag)
    attach_bundles(made.repository, digest, signer.bundle(signed))
    refused(place, f"it is a signature of `{signed}`; expected `{digest}`")
