"""Bundles in registries, with the logins of the person who typed the command."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import BadRequestError
from componentrun.cli.userlogins import carried_out, user_logins

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.catalogue.entry import Catalogue
    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.core.images.signingkey import SigningKey
    from componentrun.registry.settings import RegistrySettings

__all__ = ["SCHEME", "RegistryOptions", "pull_bundle", "push_bundle"]

SCHEME: Final = "oci://"
"""Prefix of catalogues in registries."""
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_TITLE: Final = "org.opencontainers.image.title"
_KEY_BYTES: Final = 16 * 1024
"""Number of bytes of a public key that are read."""
_SECONDS: Final = 120.0
"""For one request: a bundle has at most 64 MiB."""


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How to reach registries."""

    plain_http: bool = False
    """Whether HTTP without TLS is used."""
    verify_key: Path | None = None
    """File with the public key with which a bundle must be signed; None: it need not be."""


@dataclass(frozen=True, slots=True)
class _Reference:
    repository: Repository
    version: str
    """A tag or a digest."""


def pull_bundle(reference: str, options: RegistryOptions) -> tuple[bytes, str]:
    """The bundle that a reference names, and its digest `sha256:…` in the registry.

    Raises:
        BadRequestError: there is no such bundle, or it may not be read.
        UserError: it is not signed as required.
        EnvironmentFault: the registry does not respond.
    """
    parsed = _parse(reference)
    key = _signing_key(options.verify_key) if options.verify_key is not None else None
    return carried_out(_pull(parsed, _settings(parsed, options), *user_logins(parsed.repository), key))


def push_bundle(catalogue: Catalogue, reference: str, options: RegistryOptions) -> str:
    """Upload a catalogue as a bundle. Returns its digest in the registry.

    Raises:
        BadRequestError: the registry refuses it, or the reference has no tag.
        EnvironmentFault: the registry does not respond.
    """
    from componentrun.catalogue.bundle import ARTIFACT_TYPE, LAYER_TYPE, build_bundle  # noqa: PLC0415 - loads the models
    from componentrun.registry.upload import Artifact, RegistryUploader  # noqa: PLC0415 - likewise

    parsed = _parse(reference)
    if ":" in parsed.version:
        raise BadRequestError(f"`{reference}` names a digest; expected a tag", f"For example: `{SCHEME}HOST/PATH:1.0`.")
    annotations = {_TITLE: catalogue.name} if catalogue.name else {}
    artifact = Artifact(ARTIFACT_TYPE, build_bundle(catalogue), LAYER_TYPE, annotations)
    logins, known = user_logins(parsed.repository)
    login = next(iter(logins), None)

    async def upload() -> str:
        async with RegistryUploader(_settings(parsed, options), parsed.repository, login, known) as uploader:
            return await uploader.upload(artifact, parsed.version)

    return carried_out(upload())


async def _pull(
    reference: _Reference, settings: RegistrySettings, logins: tuple[Login, ...], known: str, key: SigningKey | None
) -> tuple[bytes, str]:
    from componentrun.catalogue.bundle import LAYER_TYPE  # noqa: PLC0415 - loads the models
    from componentrun.catalogue.limits import MAX_BUNDLE_BYTES, MAX_FRAME_BYTES  # noqa: PLC0415 - likewise
    from componentrun.registry.client import RegistryClient  # noqa: PLC0415 - likewise
    from componentrun.registry.verification import verify_image  # noqa: PLC0415 - likewise

    name = reference.repository.name
    async with RegistryClient(settings) as client:
        manifest = await client.manifest(reference.repository, reference.version, logins, known)
        if key is not None:
            await verify_image(client, reference.repository, manifest.digest, key, logins, known)
        layers = manifest.children
        if manifest.is_index or len(layers) != 1 or layers[0].media_type != LAYER_TYPE:
            raise BadRequestError(
                f"`{name}` has something else than a catalogue at `{reference.version}`; expected one layer of type "
                f"`{LAYER_TYPE}`",
                "Use what `componentrun catalogue push` uploaded.",
            )
        if layers[0].size > MAX_BUNDLE_BYTES + MAX_FRAME_BYTES:
            raise BadRequestError(
                f"the bundle `{name}` at `{reference.version}` has {layers[0].size} bytes; expected at most "
                f"{MAX_BUNDLE_BYTES}",
                "Split the catalogue.",
            )
        limit = MAX_BUNDLE_BYTES + MAX_FRAME_BYTES
        bundle = await client.blob(reference.repository, layers[0].digest, logins, limit=limit)
    return bundle, manifest.digest


def _signing_key(path: Path) -> SigningKey:
    """The public key in a file.

    Raises:
        BadRequestError: the file can't be read.
        UserError: it has no public key.
    """
    from componentrun.core.images.signingkey import parse_signing_key  # noqa: PLC0415 - few commands need it

    try:
        with path.open("rb") as file:
            text = file.read(_KEY_BYTES).decode(errors="replace")
    except OSError as error:
        raise BadRequestError(
            f"can't read `{path}`: {error.strerror}; expected a public key, such as `cosign.pub`", "Check the path."
        ) from error
    return parse_signing_key(text, f"`{path}`")


def _parse(reference: str) -> _Reference:
    """`oci://HOST/PATH:TAG` or `oci://HOST/PATH@DIGEST`.

    Raises:
        BadRequestError: it is neither.
    """
    from componentrun.core.images.reference import DIGEST, parse_repository  # noqa: PLC0415 - few commands need it

    text = reference.removeprefix(SCHEME)
    name, at, digest = text.partition("@")
    if not at:
        # A colon before the last slash belongs to the port.
        head, slash, last = text.rpartition("/")
        last, _, version = last.partition(":")
        name = f"{head}{slash}{last}"
    else:
        version = digest
    if not (DIGEST if at else _TAG).fullmatch(version):
        raise BadRequestError(
            f"`{reference}` has no tag and no digest"
            if not version
            else f"`{reference}`: `{version}` is no tag or digest",
            f"For example: `{SCHEME}registry.example.com/catalogues/sales:1.0`.",
        )
    return _Reference(parse_repository(name, f"`{reference}`"), version)


def _settings(reference: _Reference, options: RegistryOptions) -> RegistrySettings:
    from componentrun.registry.settings import RegistrySettings  # noqa: PLC0415 - few commands need it

    hosts = frozenset({reference.repository.host} if options.plain_http else ())
    return RegistrySettings(plain_http=hosts, request_seconds=_SECONDS)
