"""cosign and the product agree, in both directions. Skipped unless `python -m dev.cluster build cosign` was called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.core.images.pullsecrets import Login
from componentrun.core.images.signingkey import parse_signing_key
from componentrun.errors import UserError
from componentrun.registry.client import RegistryClient
from componentrun.registry.verification import verify_image
from dev.cluster.build import builds
from tests.integration.registry.cosign import OLD, Cosign, signers
from tests.integration.registry.realregistry import PASSWORD, USER, Authority, RealRegistry
from tests.integration.registry.signed import attach_bundles, attach_simple
from tests.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(builds.missing(["cosign"])), reason="cosign is not built")
ANN = Login(USER, PASSWORD, "pull")


@pytest.fixture
def cosign(tmp_path: Path) -> Iterator[Cosign]:
    registry = RealRegistry(tmp_path, Authority.create(tmp_path))
    registry.start()
    yield Cosign(tmp_path, registry)
    registry.stop()


async def accepts(cosign: Cosign, signer: Signer, digest: str) -> bool:
    key = parse_signing_key(signer.public, "the key")
    async with RegistryClient(cosign.registry.settings) as client:
        try:
            await verify_image(client, cosign.registry.repository(), digest, key, [ANN])
        except UserError:
            return False
    return True


@pytest.mark.parametrize("options", [(), (OLD,)], ids=["bundle", "simple"])
@pytest.mark.parametrize("name", ["p256", "p384", "rsa"])
async def test_what_cosign_signs_is_accepted(cosign: Cosign, name: str, options: tuple[str, ...]) -> None:
    signer, other = signers()[name], Signer()
    cosign.import_key("own", signer)
    digest = await cosign.registry.push("1.0", "one")
    assert not await accepts(cosign, signer, digest)
    cosign.sign("own", f"{cosign.registry.host}/team/app@{digest}", *options)
    assert await accepts(cosign, signer, digest)
    assert not await accepts(cosign, other, digest)
    assert not await accepts(cosign, signer, await cosign.registry.push("2.0", "two"))


@pytest.mark.parametrize("name", ["p256", "p384", "rsa", "ed25519"])
async def test_cosign_accepts_the_signatures_of_the_tests(cosign: Cosign, name: str) -> None:
    signer = signers()[name]
    cosign.import_key("own", signer)
    cosign.import_key("other", Signer())
    digest = await cosign.registry.push("1.0", "one")
    image = f"{cosign.registry.host}/team/app@{digest}"
    assert not cosign.accepts("own", image)
    attach_bundles(cosign.registry.writable(), digest, signer.bundle(digest))
    assert cosign.accepts("own", image)
    assert not cosign.accepts("other", image)
    attach_simple(cosign.registry.writable(), digest, signer.payload(digest))
    assert cosign.accepts("own", image, OLD)
    assert not cosign.accepts("other", image, OLD)
