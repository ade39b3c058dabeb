"""Scope check on real stores: which of them restrict a run's grant to its prefix."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from componentrun.core.storages.scope import ScopeMethod
from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.scope import find_scope
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.objectversions import Versions

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings

pytestmark = pytest.mark.store


async def test_signed_forms_leak_on_versitygw_and_hold_on_the_others(store: Store, signer: Signer, kind: str) -> None:
    found = await find_scope(store, signer)
    if kind == "versitygw":
        assert (found.means, found.versioned) == (ScopeMethod.NONE, False)
        assert "by way of `..`" in found.message
    else:
        assert (found.means, found.versioned) == (ScopeMethod.FORM, True)
    left = await Versions(store.settings).below(store.settings.prefix + "/")
    assert left == ()


async def test_a_store_that_is_away_is_no_answer(settings: StoreSettings) -> None:
    away = dataclasses.replace(settings, endpoint="http://127.0.0.1:9")
    with pytest.raises(TransientError):
        await find_scope(open_store(away), Signer(away))


async def test_keys_that_are_wrong_are_no_answer(settings: StoreSettings) -> None:
    wrong = dataclasses.replace(settings, secret_key="wrong")
    with pytest.raises(PlatformError) as refused:
        await find_scope(open_store(wrong), Signer(wrong))
    assert refused.value.reason == Reason.STORAGE_ACCESS_DENIED
