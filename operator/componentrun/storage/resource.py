"""From Storage objects to `StoreSettings`: which Storage a run means, and what its Secret must hold.

Used by the operator, the collector and the command line, each with objects that it read with its own rights.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from componentrun.api.storage import Storage
from componentrun.api.unreadable import what_is_wrong
from componentrun.errors import Reason, UserError
from componentrun.storage.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Unreadable", "UnreadableStorageError", "choose", "name_of", "parse", "settings_of"]

ACCESS_KEY: Final = "accessKeyId"
SECRET_KEY: Final = "secretAccessKey"  # noqa: S105 - the name of a key in a Secret
SESSION_TOKEN: Final = "sessionToken"  # noqa: S105 - likewise


class UnreadableStorageError(UserError):
    """A Storage is needed that this release can't read."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A Storage that the API server took and this release can't read: it counts a no-break space as none, say.

    It must keep nobody from the other ones.
    """

    name: str
    problem: str

    def error(self) -> UnreadableStorageError:
        """For whoever needs it."""
        said = f"Storage `{self.name}` can't be read by this release: {self.problem}"
        return UnreadableStorageError(said, Reason.INVALID_SPEC)


def parse(raw: Mapping[str, Any]) -> Storage | Unreadable:
    """A Storage as the API server sends it."""
    try:
        return Storage.model_validate(raw)
    except ValidationError as error:
        return Unreadable(raw["metadata"]["name"], what_is_wrong(error))


def choose(storages: Iterable[Storage | Unreadable], wanted: str | None, namespace: str) -> Storage:
    """The Storage that a run of this namespace means.

    Args:
        storages: all Storages of the namespace.
        wanted: the name that the run gives; None: the default one.
        namespace: for messages.

    Raises:
        UserError: (StorageNotFound) there is none of that name, or no default; (InvalidSpec) several are default, or
            the one that is meant, or may be, can't be read.
    """
    found = {name_of(item): item for item in storages}
    names = ", ".join(f"`{name}`" for name in sorted(found)) or "none"
    there = [item for _, item in sorted(found.items()) if isinstance(item, Storage)]
    if wanted is not None:
        if (named := found.get(wanted)) is not None:
            return _read(named)
        raise UserError(
            f"no Storage `{wanted}` in namespace `{namespace}` (there: {names}); create it, or name another one in "
            "spec.storage",
            Reason.STORAGE_NOT_FOUND,
        )
    default = [item for item in there if item.spec.default]
    if len(default) == 1:
        return default[0]
    for item in found.values() if not default else ():
        _read(item)
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


def name_of(storage: Storage | Unreadable) -> str:
    """Its name."""
    return storage.metadata.name if isinstance(storage, Storage) else storage.name


def _read(storage: Storage | Unreadable) -> Storage:
    if isinstance(storage, Unreadable):
        raise storage.error()
    return storage


def _value(data: Mapping[str, str], name: str, told: str) -> str | None:
    if name not in data:
        return None
    try:
        return base64.b64decode(data[name], validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UserError(f"{told}: the value of `{name}` is not base64 of text", Reason.SECRET_NOT_FOUND) from error
