"""Verifies the signature of a digest that is about to be used, unless the Component's status says that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.core.images.channels import verified_digests
from componentrun.registry.verification import verify_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.channels import ChannelStatus
    from componentrun.controller.images.logins import Logins
    from componentrun.core.images.reference import Repository
    from componentrun.core.images.signingkey import SigningKey
    from componentrun.registry.client import RegistryClient

__all__ = ["verify_digest"]


async def verify_digest(
    client: RegistryClient,
    repository: Repository,
    digest: str,
    key: SigningKey,
    statuses: Sequence[ChannelStatus],
    logins: Logins,
) -> None:
    """Verify the signature of a digest.

    Args:
        client: the registry.
        repository: repository of the image.
        digest: digest of the image.
        key: key with which it must be signed.
        statuses: channels in the Component's status; a digest that they call verified with this key is not checked.
        logins: credentials to try.

    Raises:
        UserError: (ImageUnverified) it has no valid signature.
        RegistryAwayError: the registry can't answer now.
        ImageError: the signatures may not be read.
    """
    if digest not in verified_digests(repository, key, statuses):
        await verify_image(client, repository, digest, key, logins.usable, logins.known)
