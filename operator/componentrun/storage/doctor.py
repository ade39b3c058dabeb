"""Can this store do what ComponentRun needs? Tried on the store itself, in a folder that is deleted afterwards."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import urllib3

from componentrun.errors import ComponentRunError, PlatformError
from componentrun.storage.connection import quoted_etag
from componentrun.storage.failures import ExistsError, StaleError
from componentrun.storage.tables import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from componentrun.exchange import PostPolicy
    from componentrun.storage.connection import Store
    from componentrun.storage.grants import Signer

__all__ = ["Check", "check_store"]

_EXPIRES: Final = timedelta(minutes=5)
_TIMEOUT_SECONDS: Final = 15.0
_OK: Final = range(200, 300)
_MAX_BYTES: Final = 64
_WRITERS: Final = 16


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried."""

    name: str
    ok: bool
    detail: str
    """What was seen, and where it failed what to do. Never a key or a signed URL."""


async def check_store(store: Store, signer: Signer) -> tuple[Check, ...]:
    """Try everything that runs need. Once the bucket can't even be listed, the rest is not tried."""
    probe = _Probe(store, signer)
    checks = [await _attempt("list", probe.can_list)]
    if not checks[0].ok:
        return tuple(checks)
    steps = (
        ("create once", probe.creates_once),
        ("compare and swap", probe.swaps),
        ("no lost update", probe.loses_no_update),
        ("presigned GET", probe.reads_by_url),
        ("POST into the own prefix", probe.posts),
        ("no POST elsewhere", probe.refuses_elsewhere),
        ("no POST through `..`", probe.refuses_traversal),
        ("no POST beyond the size", probe.refuses_size),
    )
    try:
        checks += [await _attempt(name, step) for name, step in steps]
    finally:
        checks.append(await _attempt("delete", probe.clean_up))
    return tuple(checks)


async def _attempt(name: str, step: Callable[[], Coroutine[None, None, str]]) -> Check:
    try:
        return Check(name, ok=True, detail=await step())
    except ComponentRunError as error:
        return Check(name, ok=False, detail=error.message)


class _Probe:
    """The attempts; each returns what was seen, or raises a PlatformError that says what is missing."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self._signer = signer
        self._name = uuid.uuid4().hex
        self._key = self._own("swap.json")

    def _own(self, name: str) -> str:
        return self._store.layout.doctor(self._name, name)

    async def can_list(self) -> str:
        async for _ in self._store.objects(self._own("")):
            break
        return f"{self._store.settings.where()} can be listed"

    async def creates_once(self) -> str:
        await self._store.create(self._key, b"1")
        try:
            await self._store.create(self._key, b"2")
        except ExistsError:
            return "a second create of the same object was refused"
        raise PlatformError("the store replaces an object that was to be created: it ignores `If-None-Match`")

    async def swaps(self) -> str:
        stale = (await self._store.get(self._key)).etag
        await self._store.swap(self._key, b"3", stale)
        try:
            await self._store.swap(self._key, b"4", stale)
        except StaleError:
            return "a write with an old ETag was refused"
        raise PlatformError("the store replaces an object whose ETag has changed: it ignores `If-Match`")

    async def loses_no_update(self) -> str:
        """Writers that read and swap at once: a store whose ETag and content are not one thing shows it here."""
        key = self._own("counter.json")
        await self._store.create(key, b"0")

        async def count_up(_writer: int) -> None:
            for _ in range(_WRITERS * _WRITERS):
                stored = await self._store.get(key)
                try:
                    await self._store.swap(key, b"%d" % (int(stored.data) + 1), stored.etag)
                except StaleError:
                    continue
                return
            raise PlatformError("the store refuses every change of an object that several write at once")

        await gather_bounded(count_up, range(_WRITERS))
        found = int((await self._store.get(key)).data)
        if found != _WRITERS:
            raise PlatformError(
                f"of {_WRITERS} changes to one object at once, {_WRITERS - found} were lost although the store "
                "confirmed them: its compare-and-swap is not safe, and tables would lose loads. Do not use it"
            )
        return f"{_WRITERS} changes to one object at once all arrived"

    async def reads_by_url(self) -> str:
        await self._signer.refresh()
        current = await self._store.head(self._key)
        url = self._signer.sign_get(self._key, _EXPIRES)
        good = await self._send("GET", url, headers={"If-Match": current.etag if current is not None else ""})
        bad = await self._send("GET", url, headers={"If-Match": quoted_etag("0" * 32)})
        if good not in _OK or bad in _OK:
            raise PlatformError(
                f"a presigned URL answered HTTP {good} with the right ETag (expected 200) and {bad} with a wrong one "
                "(expected 412). Check `region` and `endpoint` of the Storage, and this machine's clock"
            )
        return "a presigned URL reads its object, and only the version it is asked for"

    async def posts(self) -> str:
        status = await self._post(self._own("posts/") + "a.csv", b"1\n")
        if status not in _OK:
            raise PlatformError(
                f"a POST policy for the object's own prefix was answered with HTTP {status}, expected 204: "
                "the store has no POST policies, or a proxy before it refuses forms"
            )
        return "a signed form stores below its prefix"

    async def refuses_elsewhere(self) -> str:
        status = await self._post(self._own("elsewhere/") + "a.csv", b"1\n")
        if status in _OK:
            raise PlatformError("a POST policy stored an object outside its prefix: runs would not be kept apart")
        return f"a key outside the prefix was refused (HTTP {status})"

    async def refuses_traversal(self) -> str:
        status = await self._post(self._own("posts/") + "../traversed.csv", b"1\n")
        if await self._store.head(self._own("traversed.csv")) is not None:
            raise PlatformError(
                "a POST policy stored an object outside its prefix by way of `..` in its key: whoever gets hold of a "
                "run's grant could write anywhere in the bucket. Update the store, or keep to runs that you trust"
            )
        return f"a key that leads out of the prefix by `..` stored nothing there (HTTP {status})"

    async def refuses_size(self) -> str:
        status = await self._post(self._own("posts/") + "b.csv", b"1" * (_MAX_BYTES + 1))
        if status in _OK:
            raise PlatformError("a POST policy stored an object larger than it allows")
        return f"an object beyond the limit was refused (HTTP {status})"

    async def clean_up(self) -> str:
        keys = [info.key async for info in self._store.objects(self._own(""))]
        await self._store.delete(keys)
        return f"{len(keys)} objects of this check deleted"

    async def _post(self, key: str, data: bytes) -> int:
        policy: PostPolicy = self._signer.post_policy(self._own("posts/"), _MAX_BYTES, _EXPIRES)
        return await self._send("POST", policy.url, fields={**policy.fields, "key": key, "file": ("a.csv", data)})

    async def _send(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        fields: dict[str, str | tuple[str, bytes]] | None = None,
    ) -> int:
        """HTTP status of a request that carries no credentials but its signature."""

        def request() -> int:
            with _pool(self._store) as pool:
                response = pool.request(method, url, headers=headers, fields=fields, retries=False)
                return int(response.status)

        try:
            return await asyncio.to_thread(request)
        except urllib3.exceptions.HTTPError as error:
            host = self._store.settings.bucket_url
            raise PlatformError(f"a {method} to {host} got no answer ({type(error).__name__})") from None


def _pool(store: Store) -> urllib3.PoolManager:
    context = ssl.create_default_context()
    if store.settings.ca_bundle is not None:
        context.load_verify_locations(cadata=store.settings.ca_bundle)
    return urllib3.PoolManager(timeout=_TIMEOUT_SECONDS, ssl_context=context)
