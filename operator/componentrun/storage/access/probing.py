"""Tests on the store whether a grant is restricted to its own prefix. Uses HTTP without keys, like an attacker.

Each test returns what was found, or raises a PlatformError that says what is missing.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import urllib3

from componentrun.errors import AWAY_STATUSES, PlatformError
from componentrun.storage.store.errors import unavailable
from componentrun.wire.signatures import put_headers, put_url

if TYPE_CHECKING:
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.store.connection import Store
    from componentrun.wire.grants import PostPolicy

__all__ = ["EXPIRES", "OK", "FormProbe", "Place", "SessionProbe", "fetch", "send"]

EXPIRES: Final = timedelta(minutes=5)
OK: Final = range(200, 300)
_TIMEOUT_SECONDS: Final = 15.0
_MAX_BYTES: Final = 64


class Place:
    """A temporary folder below `doctor/` for the objects of the tests."""

    def __init__(self, store: Store) -> None:
        """Nothing is written yet."""
        self.store = store
        self._name = uuid.uuid4().hex

    def key(self, name: str) -> str:
        """Key of an object in it."""
        return self.store.layout.doctor(self._name, name)

    async def can_list(self) -> str:
        """Check that keys, bucket and store are usable."""
        async for _ in self.store.objects(self.key("")):
            break
        return f"{self.store.settings.where()} can be listed"

    async def clean_up(self) -> str:
        """Delete its objects."""
        keys = [info.key async for info in self.store.objects(self.key(""))]
        await self.store.delete(keys)
        return f"{len(keys)} objects of this check deleted"


class FormProbe:
    """Tests of a signed form."""

    def __init__(self, place: Place, signer: Signer) -> None:
        """Nothing is sent yet."""
        self._place = place
        self._signer = signer

    async def posts(self) -> str:
        """An object below the prefix must be stored."""
        status = await self._post(self._place.key("posts/") + "a.csv", b"1\n")
        if status not in OK:
            raise PlatformError(
                f"a POST policy for the object's own prefix was answered with HTTP {status}, expected 204: "
                "the store does not support POST policies, or a proxy in front of it refuses forms"
            )
        return "a signed form stores objects below its prefix"

    async def refuses_elsewhere(self) -> str:
        """An object outside the prefix must be refused."""
        status = await self._post(self._place.key("elsewhere/") + "a.csv", b"1\n")
        if status in OK:
            raise PlatformError("a POST policy stored an object outside its prefix: runs would not be isolated")
        return f"a key outside the prefix was refused (HTTP {status})"

    async def refuses_traversal(self) -> str:
        """`..` in a key must not lead out of the prefix."""
        status = await self._post(self._place.key("posts/") + "../traversed.csv", b"1\n")
        if await self._place.store.head(self._place.key("traversed.csv")) is not None:
            raise PlatformError(
                "a POST policy stored an object outside its prefix by way of `..` in its key: whoever steals "
                "a run's grant could write anywhere in the bucket",
                advice="Update the store, or execute only runs that you trust.",
            )
        return f"a key that leads out of the prefix by `..` stored nothing there (HTTP {status})"

    async def refuses_size(self) -> str:
        """An object larger than the form allows must be refused."""
        status = await self._post(self._place.key("posts/") + "b.csv", b"1" * (_MAX_BYTES + 1))
        if status in OK:
            raise PlatformError("a POST policy stored an object larger than it allows")
        return f"an object beyond the limit was refused (HTTP {status})"

    async def _post(self, key: str, data: bytes) -> int:
        policy: PostPolicy = self._signer.post_policy(self._place.key("posts/"), _MAX_BYTES, EXPIRES)
        fields: dict[str, str | tuple[str, bytes]] = {**policy.fields, "key": key, "file": ("a.csv", data)}
        return await send(self._place.store, "POST", policy.url, fields=fields)


class SessionProbe:
    """Tests of temporary keys with a policy of their own."""

    def __init__(self, place: Place, signer: Signer) -> None:
        """Nothing is sent yet."""
        self._place = place
        self._signer = signer

    async def holds(self) -> str:
        """The keys must store objects below the prefix only.

        Raises:
            PlatformError: they store others as well, or no keys were issued.
        """
        prefix = self._place.key("session/")
        grant = await self._signer.session(prefix, _MAX_BYTES, EXPIRES)
        if (status := await self._put(grant, prefix + "a.csv")) not in OK:
            raise PlatformError(f"temporary keys could not store below their prefix (HTTP {status})")
        for name in ("elsewhere/a.csv", "session/../traversed.csv"):
            status = await self._put(grant, self._place.key(name))
            if status in OK:
                raise PlatformError(f"temporary keys stored an object outside their prefix (HTTP {status})")
        return "Temporary keys were refused outside their prefix, and by way of `..`."

    async def _put(self, grant: PostPolicy, key: str) -> int:
        if grant.session is None:
            raise PlatformError("the token service issued no keys")
        headers = put_headers(grant.session, key, datetime.now(UTC))
        return await send(self._place.store, "PUT", put_url(grant.session, key), headers=headers, body=b"1\n")


async def send(
    store: Store,
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    fields: dict[str, str | tuple[str, bytes]] | None = None,
    body: bytes | None = None,
) -> int:
    """Return the HTTP status of a request without credentials other than its signature.

    Raises:
        TransientError: (StorageUnavailable) the store is away.
    """
    status, _ = await asyncio.to_thread(_ask, store, method, url, headers=headers, fields=fields, body=body)
    return status


def fetch(store: Store, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return HTTP status and body of a signed GET. Blocks.

    Raises:
        TransientError: (StorageUnavailable) the store is away.
    """
    return _ask(store, "GET", url, headers=headers)


def _ask(store: Store, method: str, url: str, **request: Any) -> tuple[int, bytes]:
    failure = f"can't send a {method} to {store.settings.where()}"
    try:
        with _pool(store) as pool:
            response = pool.request(method, url, retries=False, **request)
            status, content = int(response.status), response.data
    except urllib3.exceptions.HTTPError as error:
        raise unavailable(failure, store.settings, None, type(error).__name__) from None
    if status in AWAY_STATUSES:
        raise unavailable(failure, store.settings, status, "")
    return status, content


def _pool(store: Store) -> urllib3.PoolManager:
    context = ssl.create_default_context()
    if store.settings.ca_bundle is not None:
        context.load_verify_locations(cadata=store.settings.ca_bundle)
    timeout = min(_TIMEOUT_SECONDS, store.timeouts.response)
    return urllib3.PoolManager(timeout=timeout, ssl_context=context)
