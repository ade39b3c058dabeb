"""Components that require signatures, on the real cluster: signed images run, and no others."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from componentrun.api.common import GROUP, VERSION
from componentrun.core.images.signingkey import parse_signing_key
from e2e.tenant.tenant import SMALL
from tests.integration.registry.signed import attach_bundles, attach_simple
from tests.signing import Signer

if TYPE_CHECKING:
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import Place, Tags


def add_component(place: Place, tags: Tags, signer: Signer, **channel: Any) -> None:
    spec = {
        "image": tags.name,
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


def test_only_signed_images_run_and_a_new_key_asks_anew(registry_place: Place, tags: Tags) -> None:
    tag, first, second = f"s-{uuid.uuid4().hex[:8]}", Signer(), Signer()
    fingerprints = [parse_signing_key(signer.public, "key").fingerprint for signer in (first, second)]
    digest = tags.move(tag, uuid.uuid4().hex)
    add_component(registry_place, tags, first, tag=tag)
    how = f"cosign sign --key cosign.key {tags.name}@{digest}"
    refused(registry_place, f"expected a signature with the key {fingerprints[0]}; found none", how)

    attach_bundles(tags.repository, digest, second.bundle(digest))
    refused(registry_place, "it was made with another key", how)

    attach_bundles(tags.repository, digest, second.bundle(digest), first.bundle(digest))
    ran(registry_place, digest)
    assert verified_by(registry_place.tenant) == [fingerprints[0]]

    # The signatures are gone, and nobody asks: the digest is verified.
    attach_bundles(tags.repository, digest)
    ran(registry_place, digest)

    # The tag moves. The pinned digest stays and must be signed with the new key.
    moved = tags.move(tag, uuid.uuid4().hex)
    attach_bundles(tags.repository, moved, second.bundle(moved))
    change_key(registry_place, second)
    refused(registry_place, f"expected a signature with the key {fingerprints[1]}", digest)
    attach_bundles(tags.repository, digest, second.bundle(digest))
    ran(registry_place, digest)
    assert verified_by(registry_place.tenant) == [fingerprints[1]]


def test_a_digest_in_the_spec_must_be_signed(registry_place: Place, tags: Tags) -> None:
    digest, signer = tags.move(f"s-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex), Signer()
    add_component(registry_place, tags, signer, digest=digest)
    refused(registry_place, "found none")
    attach_simple(tags.repository, digest, signer.payload(digest))
    ran(registry_place, digest)


def test_a_signature_of_another_image_does_not_count(registry_place: Place, tags: Tags) -> None:
    tag, signer = f"s-{uuid.uuid4().hex[:8]}", Signer()
    signed, digest = tags.move(f"{tag}-other", uuid.uuid4().hex), tags.move(tag, uuid.uuid4().hex)
    add_component(registry_place, tags, signer, tag=tag)
    attach_bundles(tags.repository, digest, signer.bundle(signed))
    refused(registry_place, f"it is a signature of `{signed}`; expected `{digest}`")
