"""Results of `doctor` for a suitable store, temporary keys, and keys without the required permissions."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from minio.credentials.providers import AssumeRoleProvider

from componentrun.storage.access.doctor import check_store
from componentrun.storage.access.grants import Signer
from componentrun.storage.store.connection import open_store

if TYPE_CHECKING:
    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings

pytestmark = pytest.mark.store


async def test_a_good_store_passes_every_check_and_is_left_clean(store: Store, signer: Signer, kind: str) -> None:
    checks = await check_store(store, signer)
    failed = {check.name: check.detail for check in checks if not check.ok}
    if kind == "versitygw":
        # In versitygw 1.8.0, `..` in a form's key leads out of the folder. `doctor` must detect this.
        assert "by way of `..`" in failed.pop("no POST through `..`")
        assert "keeps no versions" in failed.pop("versions")
        assert [check.name for check in checks if not check.serious] == ["versions"]
    assert failed == {}
    assert [check.name for check in checks] == [
        "list",
        "create once",
        "compare and swap",
        "no lost update",
        "presigned GET",
        "POST into the own prefix",
        "no POST elsewhere",
        "no POST through `..`",
        "no POST beyond the size",
        "versions",
        "delete",
    ]
    assert [info.key async for info in store.objects(store.settings.prefix + "/")] == []


async def test_temporary_keys_with_a_token_are_as_good(settings: StoreSettings, kind: str) -> None:
    if kind == "versitygw":
        pytest.skip("versitygw has no AssumeRole")
    assert settings.endpoint is not None
    assert settings.access_key is not None
    assert settings.secret_key is not None
    role = AssumeRoleProvider(
        sts_endpoint=settings.endpoint,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        duration_seconds=3600,
        role_session_name="componentrun",  # required by SeaweedFS
    )
    keys = role.retrieve()
    temporary = dataclasses.replace(
        settings, access_key=keys.access_key, secret_key=keys.secret_key, session_token=keys.session_token
    )
    checks = await check_store(open_store(temporary), Signer(temporary))
    # SeaweedFS 4.48 rejects forms that are signed with temporary keys.
    refused = ["POST into the own prefix"] if kind == "seaweedfs" else []
    assert [check.name for check in checks if not check.ok] == refused


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"secret_key": "wrong"}, "the secret key does not belong to the access key"),
        ({"bucket": "componentrun-missing"}, "does not exist"),
    ],
)
async def test_a_store_that_can_not_be_listed_ends_the_checks(
    settings: StoreSettings, change: dict[str, str], told: str
) -> None:
    wrong = dataclasses.replace(settings, **change)  # type: ignore[arg-type]  # of any type
    checks = await check_store(open_store(wrong), Signer(wrong))
    assert [(check.name, check.ok) for check in checks] == [("list", False)]
    assert told in checks[0].detail


async def test_a_signer_with_other_keys_is_told_from_a_good_one(store: Store, settings: StoreSettings) -> None:
    checks = await check_store(store, Signer(dataclasses.replace(settings, secret_key="wrong")))
    # Not all stores support versioning, whichever keys sign the requests.
    failed = {check.name: check.detail for check in checks if not check.ok and check.name != "versions"}
    assert set(failed) == {"presigned GET", "POST into the own prefix"}
    assert "HTTP 403" in failed["presigned GET"]
    assert not any("X-Amz" in detail for detail in failed.values())
