"""Reads the parameters of a run from a ConfigMap when an attempt starts."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any, Final

from componentrun.contract import MAX_PARAMETERS_BYTES
from componentrun.errors import Reason, UserError
from componentrun.process.kubernetes.errors import NotFoundError
from componentrun.process.kubernetes.resources import CONFIG_MAPS

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.process.kubernetes.client import Kube

__all__ = ["referenced_parameters", "text_of"]

_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = 31
"""zlib's `wbits` for gzip."""


async def referenced_parameters(kube: Kube, run: ComponentRun) -> str | None:
    """The text that `configuration.parametersFrom` refers to; None if it is not set.

    Raises:
        UserError: (ConfigMapNotFound) the ConfigMap or the key is missing; (InvalidSpec) its value is not text.
        TransientError: the API server is unavailable.
    """
    source = run.spec.configuration.parameters_from
    if source is None:
        return None
    ref, namespace = source.config_map_key_ref, run.metadata.namespace
    where = f"spec.configuration.parametersFrom: key `{ref.key}` of ConfigMap `{namespace}/{ref.name}`"
    try:
        found = await kube.get(CONFIG_MAPS, namespace, ref.name)
    except NotFoundError:
        raise UserError(
            f"{where}: there is no such ConfigMap",
            Reason.CONFIG_MAP_NOT_FOUND,
            advice="Create it, or name another one.",
        ) from None
    return text_of(found, ref.key, where)


def text_of(config_map: dict[str, Any], key: str, where: str) -> str:
    """The value of a key: `data` unchanged, `binaryData` decompressed if it is gzip.

    Raises:
        UserError: (ConfigMapNotFound) the key is missing; (InvalidSpec) its value is not text, or too large.
    """
    data: dict[str, str] = config_map.get("data") or {}
    binary: dict[str, str] = config_map.get("binaryData") or {}
    if key in data:
        return data[key]
    if key not in binary:
        there = ", ".join(f"`{name}`" for name in sorted([*data, *binary])) or "none"
        raise UserError(
            f"{where}: there is no such key (it has: {there})",
            Reason.CONFIG_MAP_NOT_FOUND,
            advice="Add it, or name another one.",
        )
    content = base64.b64decode(binary[key])
    try:
        return (_decompressed(content, where) if content.startswith(_GZIP) else content).decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: found bytes that are not UTF-8 text; expected JSON, as it is or compressed with gzip",
            Reason.INVALID_SPEC,
        ) from error


def _decompressed(content: bytes, where: str) -> bytes:
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        found = stream.decompress(content, MAX_PARAMETERS_BYTES + 1)
    except zlib.error as error:
        raise UserError(
            f"{where}: found data that begins as gzip and can't be decompressed ({error})",
            Reason.INVALID_SPEC,
            advice="Compress the file again.",
        ) from error
    if len(found) > MAX_PARAMETERS_BYTES:
        raise UserError(
            f"{where}: it has more than {MAX_PARAMETERS_BYTES // 2**20} MiB when decompressed",
            Reason.INVALID_SPEC,
            advice="Pass data of this size as an input file or table.",
        )
    if not stream.eof:
        raise UserError(f"{where}: the gzip stream ends early", Reason.INVALID_SPEC, advice="Compress the file again.")
    return found
