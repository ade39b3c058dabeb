"""Asks a registry for the digest of a choice. A digest that is new is read once, so that it is what it seems to be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from componentrun.core.images import problems
from componentrun.core.images.channels import ImageChoice, Resolved
from componentrun.core.images.semver import parse_range
from componentrun.registry import errors

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.controller.images.logins import Logins
    from componentrun.registry.client import RegistryClient
    from componentrun.registry.manifest import Manifest

__all__ = ["ask_registry"]

_CONFIG_BYTES: Final = 2**20
_UNKNOWN: Final = "unknown"
"""Architecture of manifests that are no images, such as attestations."""


async def ask_registry(
    client: RegistryClient,
    choice: ImageChoice,
    logins: Logins,
    known: frozenset[str],
    architectures: frozenset[str],
    now: datetime,
) -> Resolved:
    """The digest of a choice now.

    Args:
        client: the registry.
        choice: what the run uses.
        logins: credentials to try.
        known: digests that were read before.
        architectures: of the nodes that may run it; empty: unknown.
        now: the time.

    Raises:
        RegistryAwayError: the registry can't answer now.
        ImageError: there is no such image, it may not be read, or it has none of the architectures.
    """
    repository = choice.repository
    tag = choice.tag if choice.semver is None else await _highest(client, choice, logins)
    digest = choice.digest or await client.digest(repository, tag or "", logins.usable, logins.known)
    if digest not in known:
        manifest = await client.manifest(repository, digest, logins.usable, logins.known)
        await _check_architecture(client, choice, manifest, logins, architectures)
    return Resolved(digest, None if choice.digest else tag, "Spec" if choice.digest else "Registry", now)


async def _highest(client: RegistryClient, choice: ImageChoice, logins: Logins) -> str:
    text = choice.semver or ""
    tags = await client.tags(choice.repository, logins.usable, logins.known)
    highest = parse_range(text, f"channel `{choice.channel}`: semver").highest(tags)
    if highest is None:
        raise errors.no_version(choice.repository.name, text, len(tags))
    return highest


async def _check_architecture(
    client: RegistryClient, choice: ImageChoice, manifest: Manifest, logins: Logins, architectures: frozenset[str]
) -> None:
    """Refuse an image that no node can run."""
    if not architectures:
        return
    if manifest.is_index:
        there = {child.platform for child in manifest.children if child.platform}
    elif manifest.config is not None:
        content = await client.blob(
            choice.repository, manifest.config.digest, logins.usable, limit=_CONFIG_BYTES, known=logins.known
        )
        there = _platform(content)
    else:
        there = set()
    there = {platform for platform in there if _UNKNOWN not in platform}
    if there and not there & {f"linux/{architecture}" for architecture in architectures}:
        raise errors.image_error(
            problems.wrong_architecture(
                choice.repository.at(manifest.digest), ", ".join(sorted(there)), " or ".join(sorted(architectures))
            )
        )


def _platform(content: bytes) -> set[str]:
    """Platform of an image; empty if its configuration names none."""
    try:
        config = json.loads(content)
        return {f"{config['os']}/{config['architecture']}"}
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()
