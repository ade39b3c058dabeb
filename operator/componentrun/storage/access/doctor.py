"""Checks whether a store meets ComponentRun's requirements, in a folder of the store that is deleted afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import ComponentRunError, PlatformError
from componentrun.storage.access.probing import EXPIRES, OK, FormProbe, Place, send
from componentrun.storage.store.connection import quoted_etag
from componentrun.storage.store.errors import ExistsError, StaleError
from componentrun.storage.store.gather import gather_bounded
from componentrun.storage.store.objectversions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from componentrun.storage.access.grants import Signer
    from componentrun.storage.store.connection import Store

__all__ = ["Check", "check_store"]

_WRITERS: Final = 16


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    ok: bool
    detail: str
    """What was found, and what to do after a failure. Never contains a key or a signed URL."""
    serious: bool = True
    """Whether runs depend on it."""


async def check_store(store: Store, signer: Signer) -> tuple[Check, ...]:
    """Run all checks; if the bucket can't be listed, the rest is skipped."""
    place = Place(store)
    probe, form = _Probe(place, signer), FormProbe(place, signer)
    checks = [await _attempt("list", place.can_list)]
    if not checks[0].ok:
        return tuple(checks)
    steps: tuple[tuple[str, Callable[[], Coroutine[None, None, str]]], ...] = (
        ("create once", probe.creates_once),
        ("compare and swap", probe.swaps),
        ("no lost update", probe.loses_no_update),
        ("presigned GET", probe.reads_by_url),
        ("POST into the own prefix", form.posts),
        ("no POST elsewhere", form.refuses_elsewhere),
        ("no POST through `..`", form.refuses_traversal),
        ("no POST beyond the size", form.refuses_size),
    )
    try:
        checks += [await _attempt(name, step) for name, step in steps]
        checks.append(await _attempt("versions", probe.keeps_versions, serious=False))
    finally:
        checks.append(await _attempt("delete", place.clean_up))
    return tuple(checks)


async def _attempt(name: str, step: Callable[[], Coroutine[None, None, str]], *, serious: bool = True) -> Check:
    try:
        return Check(name, ok=True, detail=await step())
    except ComponentRunError as error:
        return Check(name, ok=False, detail=error.message, serious=serious)


class _Probe:
    """The checks; each returns what was found, or raises a PlatformError that says what is missing."""

    def __init__(self, place: Place, signer: Signer) -> None:
        self._place = place
        self._store = place.store
        self._signer = signer
        self._key = place.key("swap.json")

    async def creates_once(self) -> str:
        await self._store.create(self._key, b"1")
        try:
            await self._store.create(self._key, b"2")
        except ExistsError:
            return "a second create of the same object was refused"
        raise PlatformError("the store replaced an existing object on creation: it ignores `If-None-Match`")

    async def swaps(self) -> str:
        stale = (await self._store.get(self._key)).etag
        await self._store.swap(self._key, b"3", stale)
        try:
            await self._store.swap(self._key, b"4", stale)
        except StaleError:
            return "a write with an old ETag was refused"
        raise PlatformError("the store replaced an object whose ETag had changed: it ignores `If-Match`")

    async def loses_no_update(self) -> str:
        """Swap an object concurrently, to detect stores that do not update ETag and content atomically."""
        key = self._place.key("counter.json")
        await self._store.create(key, b"0")

        async def count_up(_writer: int) -> None:
            for _ in range(_WRITERS * _WRITERS):
                counter = await self._store.get(key)
                try:
                    await self._store.swap(key, b"%d" % (int(counter.data) + 1), counter.etag)
                except StaleError:
                    continue
                return
            raise PlatformError("the store refuses all concurrent changes of an object")

        await gather_bounded(count_up, range(_WRITERS))
        total = int((await self._store.get(key)).data)
        if total != _WRITERS:
            raise PlatformError(
                f"of {_WRITERS} concurrent changes of an object, {_WRITERS - total} were lost although the "
                "store confirmed them: its compare-and-swap is not safe, and data would be lost",
                advice="Do not use this store.",
            )
        return f"{_WRITERS} concurrent changes of an object were all kept"

    async def reads_by_url(self) -> str:
        await self._signer.refresh()
        current = await self._store.head(self._key)
        url = self._signer.sign_get(self._key, EXPIRES)
        matching_status = await send(
            self._store, "GET", url, headers={"If-Match": current.etag if current is not None else ""}
        )
        other_status = await send(self._store, "GET", url, headers={"If-Match": quoted_etag("0" * 32)})
        if matching_status not in OK or other_status in OK:
            raise PlatformError(
                f"a presigned URL was answered with HTTP {matching_status} for the right ETag (expected 200) and "
                f"{other_status} for a wrong one (expected 412)",
                advice="Check `region` and `endpoint` of the Storage, and this machine's clock.",
            )
        return "a presigned URL reads its object, and only the requested version"

    async def keeps_versions(self) -> str:
        if not await Versions(self._store.settings).kept():
            raise PlatformError(
                "the bucket keeps no versions: whoever stole a run's grant can make files that the run "
                "published unreadable until the grant expires",
                advice="Enable versioning of the bucket; docs/security.md lists what else it needs.",
            )
        return "the bucket keeps versions, so published files can't be changed"
