"""Where a catalogue comes from: a folder, the file of a bundle, or a registry."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from componentrun.cli.catalogues.registries import SCHEME, RegistryOptions, pull_bundle
from componentrun.cli.errors import BadRequestError

if TYPE_CHECKING:
    from componentrun.catalogue.entry import Catalogue

__all__ = ["read_source"]

_EXPECTED = "a folder with Components, a bundle that `componentrun catalogue build` wrote, or `oci://HOST/PATH:TAG`"


def read_source(
    source: str, *, image_prefix: str = "", plain_http: bool = False, verify_key: Path | None = None
) -> Catalogue:
    """Read a catalogue. What is wrong with its Components is in its findings.

    Args:
        source: path of a folder or of a bundle, or `oci://` with the reference of a bundle.
        image_prefix: where the images of imported repositories are.
        plain_http: whether registries are reached over HTTP without TLS.
        verify_key: file with the public key with which a bundle in a registry must be signed; None: it need not be.

    Raises:
        UserError: there is no catalogue, or it is not signed as required.
        EnvironmentFault: the registry does not respond.
    """
    from componentrun.catalogue.bundle import read_bundle  # noqa: PLC0415 - loads the models
    from componentrun.catalogue.folder import read_folder  # noqa: PLC0415 - likewise

    if source.startswith(SCHEME):
        bundle, _ = pull_bundle(source, RegistryOptions(plain_http, verify_key))
        return read_bundle(bundle, f"`{source}`")
    if verify_key is not None:
        raise BadRequestError(
            f"`{source}` can't be verified: found a path with `--verify-key`; expected `oci://HOST/PATH:TAG`, because "
            "signatures are in registries",
            "Remove `--verify-key`, or use the catalogue in the registry.",
        )
    path = Path(source)
    if path.is_dir():
        return read_folder(path, image_prefix=image_prefix)
    return read_bundle(_content(path), f"`{path}`")


def _content(path: Path) -> bytes:
    """The bytes of a file that may be a bundle.

    Raises:
        BadRequestError: there is none, or it is too large.
    """
    from componentrun.catalogue.limits import MAX_BUNDLE_BYTES, MAX_FRAME_BYTES  # noqa: PLC0415 - with the other one

    try:
        information = path.stat()
        if not stat.S_ISREG(information.st_mode):
            raise BadRequestError(f"`{path}` is no regular file; expected {_EXPECTED}", "Check the path.")
        if information.st_size > MAX_BUNDLE_BYTES + MAX_FRAME_BYTES:
            raise BadRequestError(
                f"`{path}` has {information.st_size} bytes; a bundle has at most {MAX_BUNDLE_BYTES}",
                "Check that the file is a bundle, or split the catalogue.",
            )
        return path.read_bytes()
    except OSError as error:
        raise BadRequestError(
            f"can't read `{path}`: {error.strerror}; expected {_EXPECTED}", "Check the path."
        ) from error
