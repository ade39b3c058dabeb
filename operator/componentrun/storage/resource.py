"""From Storage objects to `StoreSettings`: which Storage a run means, and what its Secret must hold.

Used by the operator, the collector and the command line, each with objects that it read with its own rights.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from componentrun.errors import Reason, UserError
from componentrun.storage.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.api.storage import Storage

__all__ = ["choose", "settings_of"]

ACCESS_KEY: Final = "accessKeyId"
SECRET_KEY: Final = "secretAccessKey"  # noqa: S105 - the name of a key in a Secret
SESSION_TOKEN: Final = "sessionToken"  # noqa: S105 - likewise


def choose(storages: Iterable[Storage], wanted: str | None, namespace: str) -> Storage:
    """The Storage that a run of this namespace means.

    Args:
        storages: all Storages of the namespace.
        wanted: the name that the run gives; None: the default one.
        namespace: for messages.

    Raises:
        UserError: (StorageNotFound) there is none of that name, or no default; (InvalidSpec) several are default.
    """
    there = sorted(storages, key=lambda item: item.metadata.name)
    names = ", ".join(f"`{item.metadata.name}`" for item in there) or "none"
    if wanted is not None:
        for item in there:
            if item.metadata.name == wanted:
                return item
        raise UserError(
            f"no Storage `{wanted}` in namespace `{namespace}` (there: {names}); create it, or name another one in "
            "spec.storage",
            Reason.STORAGE_NOT_FOUND,
        )
    default = [item for item in there if item.spec.default]
    if len(default) == 1:
        return default[0]
    if not default:
        raise UserError(
            f"no Storage of namespace `{namespace}` is the default one (there: {names}); set `default: true` in one, "
            "or name one in spec.storage",
            Reason.STORAGE_NOT_FOUND,
        )
    several = ", ".join(f"`{item.metadata.name}`" for item in default)
    raise UserError(
        f"several Storages of namespace `{namespace}` say `default: true`: {several}; leave it in one of them",
        Reason.INVALID_SPEC,
    )


def settings_of(storage: Storage, secret: Mapping[str, Any] | None, *, endpoint: str | None = None) -> StoreSettings:
    """How to reach this Storage.

    Args:
        storage: the object.
        secret: the Secret object that `spec.credentials` names, as the API server returns it; None where it names
            none, or where there is no such Secret.
        endpoint: used instead of the Storage's own, by clients that know the store by another name.

    Raises:
        UserError: (SecretNotFound) the Secret, or a key of it, is missing or not base64; (InvalidSpec) a value is
            malformed.
    """
    credentials = storage.spec.credentials
    keys: dict[str, str | None] = dict.fromkeys((ACCESS_KEY, SECRET_KEY, SESSION_TOKEN))
    if credentials is not None:
        told = (
            f"Secret `{credentials.secret_name}` of Storage `{storage.metadata.name}`"
            f" in namespace `{storage.metadata.namespace}`"
        )
        if secret is None:
            raise UserError(
                f"{told} is not there; create it with the keys `{ACCESS_KEY}` and `{SECRET_KEY}`",
                Reason.SECRET_NOT_FOUND,
            )
        data = secret.get("data") or {}
        keys = {name: _value(data, name, told) for name in keys}
        if missing := [name for name in (ACCESS_KEY, SECRET_KEY) if not keys[name]]:
            there = ", ".join(f"`{name}`" for name in sorted(data)) or "none"
            raise UserError(f"{told} lacks the key `{missing[0]}` (it has: {there})", Reason.SECRET_NOT_FOUND)
    return StoreSettings(
        bucket=storage.spec.bucket,
        endpoint=endpoint or storage.spec.endpoint,
        prefix=storage.spec.prefix,
        region=storage.spec.region,
        access_key=keys[ACCESS_KEY],
        secret_key=keys[SECRET_KEY],
        session_token=keys[SESSION_TOKEN],
        ca_bundle=storage.spec.ca_bundle,
        sts_endpoint=storage.spec.sts.endpoint if storage.spec.sts is not None else None,
        sts_role=storage.spec.sts.role_arn if storage.spec.sts is not None else None,
        compression=storage.spec.compression,
        name=storage.metadata.name,
    )


def _value(data: Mapping[str, str], name: str, told: str) -> str | None:
    if name not in data:
        return None
    try:
        return base64.b64decode(data[name], validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UserError(f"{told}: the value of `{name}` is not base64 of text", Reason.SECRET_NOT_FOUND) from error
