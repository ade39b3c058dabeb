"""Tests what restricts a run's grant to its prefix on a store, once for each Storage and then periodically.

Signed forms are preferred if the store enforces them: they need no request for a run and also limit the size.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from componentrun.core.storages.scope import Scope, ScopeMethod
from componentrun.errors import PlatformError, TransientError
from componentrun.storage.access.probing import FormProbe, Place, SessionProbe
from componentrun.storage.store.errors import NoAnswerError
from componentrun.storage.store.objectversions import Versions

if TYPE_CHECKING:
    from componentrun.storage.access.grants import Signer
    from componentrun.storage.store.connection import Store

__all__ = ["find_scope"]


async def find_scope(store: Store, signer: Signer) -> Scope:
    """Run the test. A refusal by the store is a valid result.

    Raises:
        PlatformError: the keys, the bucket or the endpoint are wrong.
        TransientError: the store is away.
    """
    place = Place(store)
    await place.can_list()
    await signer.refresh()
    try:
        method, message = await _means(place, signer)
    except NoAnswerError:
        raise  # the clean-up would get no response either
    except PlatformError:
        await place.clean_up()
        raise
    await place.clean_up()
    versioned = await _versioned(store)
    if versioned:
        await _forget(place)
    return Scope(method, message, versioned)


async def _forget(place: Place) -> None:
    """Delete the versions that the tests left behind, if the keys have the permission."""
    versions = Versions(place.store.settings, place.store.timeouts)
    with contextlib.suppress(PlatformError):
        await versions.delete(await versions.below(place.key("")))


async def _means(place: Place, signer: Signer) -> tuple[ScopeMethod, str]:
    probe = FormProbe(place, signer)
    try:
        for attempt in (probe.posts, probe.refuses_elsewhere, probe.refuses_traversal, probe.refuses_size):
            await attempt()
    except TransientError:
        raise
    except PlatformError as error:
        return await _without_forms(place, signer, error.message)
    return ScopeMethod.FORM, "A signed form was refused outside its prefix, by way of `..`, and beyond its size."


async def _without_forms(place: Place, signer: Signer, problem: str) -> tuple[ScopeMethod, str]:
    if place.store.settings.sts_endpoint is None:
        return ScopeMethod.NONE, problem
    try:
        return ScopeMethod.SESSION, await SessionProbe(place, signer).holds()
    except TransientError:
        raise
    except PlatformError as error:
        return ScopeMethod.NONE, f"{problem}; with its `sts`: {error.message}"


async def _versioned(store: Store) -> bool:
    """Return whether the bucket keeps versions; False if the keys are not allowed to ask."""
    try:
        return await Versions(store.settings, store.timeouts).kept()
    except TransientError:
        raise
    except PlatformError:
        return False
