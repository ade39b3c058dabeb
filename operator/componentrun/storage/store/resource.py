"""From Storage objects to their settings: which Storage a run uses, and which keys its Secrets need.

Used by the operator, the collector and the command line, each with objects that it read with its own permissions.
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
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Unreadable", "UnreadableStorageError", "catalog_settings_of", "choose", "name_of", "parse", "settings_of"]

ACCESS_KEY: Final = "accessKeyId"
SECRET_KEY: Final = "secretAccessKey"  # noqa: S105 - the name of a key in a Secret
SESSION_TOKEN: Final = "sessionToken"  # noqa: S105 - likewise
CLIENT_ID: Final = "clientId"
CLIENT_SECRET: Final = "clientSecret"  # noqa: S105 - likewise
TOKEN: Final = "token"  # noqa: S105 - likewise


class UnreadableStorageError(UserError):
    """A required Storage can't be read by this release."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A Storage that the API server accepted but this release can't read, for example because of a no-break space.

    It must not affect other Storages.
    """

    name: str
    problem: str

    def error(self) -> UnreadableStorageError:
        """The error for runs that need it."""
        message = f"Storage `{self.name}` can't be read by this release: {self.problem}"
        return UnreadableStorageError(message, Reason.INVALID_SPEC)


def parse(raw: Mapping[str, Any]) -> Storage | Unreadable:
    """Parse a Storage as returned by the API server."""
    try:
        return Storage.model_validate(raw)
    except ValidationError as error:
        return Unreadable(raw["metadata"]["name"], what_is_wrong(error))


def choose(storages: Iterable[Storage | Unreadable], storage_name: str | None, namespace: str) -> Storage:
    """Return the Storage that a run of this namespace uses.

    Args:
        storages: all Storages of the namespace.
        storage_name: the name in the run; None: the default Storage.
        namespace: for messages.

    Raises:
        UserError: (StorageNotFound) no Storage has that name, or there is no default; (InvalidSpec) several are
        default, or the Storage, or a candidate for the default, can't be read.
    """
    by_name = {name_of(item): item for item in storages}
    names = ", ".join(f"`{name}`" for name in sorted(by_name)) or "none"
    readable = [item for _, item in sorted(by_name.items()) if isinstance(item, Storage)]
    if storage_name is not None:
        if (match := by_name.get(storage_name)) is not None:
            return _read(match)
        raise UserError(
            f"no Storage `{storage_name}` in namespace `{namespace}` (found: {names})",
            Reason.STORAGE_NOT_FOUND,
            advice="Create it, or name another one in `spec.storage`.",
        )
    default = [item for item in readable if item.spec.default]
    if len(default) == 1:
        return default[0]
    for item in by_name.values() if not default else ():
        _read(item)
    if not default:
        raise UserError(
            f"no Storage of namespace `{namespace}` is the default (found: {names})",
            Reason.STORAGE_NOT_FOUND,
            advice="Set `default: true` in one of them, or name one in `spec.storage`.",
        )
    listing = ", ".join(f"`{item.metadata.name}`" for item in default)
    raise UserError(
        f"several Storages of namespace `{namespace}` have `default: true`: {listing}",
        Reason.INVALID_SPEC,
        advice="Keep it in one of them only.",
    )


def settings_of(storage: Storage, secret: Mapping[str, Any] | None, *, endpoint: str | None = None) -> StoreSettings:
    """Return the connection settings of this Storage's store, without its catalog.

    Args:
        storage: the object.
        secret: the Secret object that `spec.credentials` names, as returned by the API server; None if it names none,
        or if the Secret does not exist.
        endpoint: overrides the Storage's endpoint, for clients that reach the store at another address.

    Raises:
        UserError: (SecretNotFound) the Secret, or a key of it, is missing or not base64; (InvalidSpec) a value is
            malformed.
    """
    credentials = storage.spec.credentials
    keys: dict[str, str | None] = dict.fromkeys((ACCESS_KEY, SECRET_KEY, SESSION_TOKEN))
    if credentials is not None:
        title = f"Secret `{credentials.secret_name}` of {_title(storage)}"
        if secret is None:
            raise UserError(
                f"{title} does not exist",
                Reason.SECRET_NOT_FOUND,
                advice=f"Create it with the keys `{ACCESS_KEY}` and `{SECRET_KEY}`.",
            )
        keys = _values(secret, title, keys)
        if missing := [name for name in (ACCESS_KEY, SECRET_KEY) if not keys[name]]:
            raise UserError(
                f"{title} lacks the key `{missing[0]}` (it has: {_keys_of(secret)})", Reason.SECRET_NOT_FOUND
            )
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


def catalog_settings_of(storage: Storage, secret: Mapping[str, Any] | None) -> CatalogSettings | None:
    """Return the connection settings of this Storage's catalog; None if it has none.

    Args:
        storage: the object.
        secret: the Secret object that `spec.catalog.credentials` names; None if it names none, or if the Secret does
        not exist.

    Raises:
        UserError: as `settings_of`.
    """
    catalog = storage.spec.catalog
    if catalog is None:
        return None
    keys: dict[str, str | None] = dict.fromkeys((CLIENT_ID, CLIENT_SECRET, TOKEN))
    if catalog.credentials is not None:
        title = f"Secret `{catalog.credentials.secret_name}` of the catalog of {_title(storage)}"
        if secret is None:
            raise UserError(
                f"{title} does not exist",
                Reason.SECRET_NOT_FOUND,
                advice=f"Create it with {_CATALOG_KEYS}.",
            )
        keys = _values(secret, title, keys)
        _check_catalog_keys(keys, title, _keys_of(secret))
    signature = catalog.sig_v4
    return CatalogSettings(
        uri=catalog.uri,
        warehouse=catalog.warehouse,
        namespace_prefix=catalog.namespace_prefix,
        client_id=keys[CLIENT_ID],
        client_secret=keys[CLIENT_SECRET],
        token=keys[TOKEN],
        oauth2_server_uri=catalog.oauth2_server_uri or "",
        scope=catalog.scope,
        ca_bundle=catalog.ca_bundle or storage.spec.ca_bundle,
        sigv4_service=signature.service if signature is not None else None,
        sigv4_region=(signature.region or storage.spec.region) if signature is not None else None,
        name=storage.metadata.name,
        thins_history=storage.spec.maintenance is None or storage.spec.maintenance.engine != "None",
    )


_CATALOG_KEYS: Final = (
    f"the keys `{CLIENT_ID}` and `{CLIENT_SECRET}` (OAuth2), or with the key `{TOKEN}` (bearer token)"
)


def _check_catalog_keys(keys: Mapping[str, str | None], title: str, names: str) -> None:
    pair = [name for name in (CLIENT_ID, CLIENT_SECRET) if keys[name]]
    if pair and keys[TOKEN]:
        raise UserError(
            f"{title} has both `{pair[0]}` and `{TOKEN}`",
            Reason.INVALID_SPEC,
            advice=f"Create it with {_CATALOG_KEYS}.",
        )
    if keys[TOKEN] and not pair:
        return
    if len(pair) == 1:
        missing = CLIENT_SECRET if pair == [CLIENT_ID] else CLIENT_ID
        raise UserError(f"{title} lacks the key `{missing}` (it has: {names})", Reason.SECRET_NOT_FOUND)
    if not pair:
        raise UserError(
            f"{title} has none of the required keys (it has: {names})",
            Reason.SECRET_NOT_FOUND,
            advice=f"Create it with {_CATALOG_KEYS}.",
        )


def name_of(storage: Storage | Unreadable) -> str:
    """Its name."""
    return storage.metadata.name if isinstance(storage, Storage) else storage.name


def _read(storage: Storage | Unreadable) -> Storage:
    if isinstance(storage, Unreadable):
        raise storage.error()
    return storage


def _title(storage: Storage) -> str:
    return f"Storage `{storage.metadata.name}` in namespace `{storage.metadata.namespace}`"


def _keys_of(secret: Mapping[str, Any]) -> str:
    """The names of the keys that a Secret has, for messages."""
    return ", ".join(f"`{name}`" for name in sorted(secret.get("data") or {})) or "none"


def _values(secret: Mapping[str, Any], title: str, names: Iterable[str]) -> dict[str, str | None]:
    data = secret.get("data") or {}
    return {name: _value(data, name, title) for name in names}


def _value(data: Mapping[str, str], name: str, subject: str) -> str | None:
    if name not in data:
        return None
    try:
        return base64.b64decode(data[name], validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UserError(f"{subject}: the value of `{name}` is not base64 of text", Reason.SECRET_NOT_FOUND) from error
