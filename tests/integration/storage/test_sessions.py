"""Temporary keys instead of signed forms: what they allow, and what a thief can do with them. Not for versitygw."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from minio import Minio
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from componentrun.agent.stagein.form import Form
from componentrun.agent.transfer import Client
from componentrun.core.storages.scope import ScopeMethod
from componentrun.errors import PlatformError
from componentrun.storage.access.attempt import AttemptRequest
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import prepare_attempt
from componentrun.storage.access.probing import FormProbe, Place, SessionProbe
from componentrun.storage.access.scope import find_scope
from componentrun.storage.store.connection import open_store
from componentrun.wire.agents import StageOutPlan, from_json
from componentrun.wire.signatures import put_headers, put_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.storage.store.connection import Store
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.grants import PostPolicy, SessionKeys
    from tests.integration.storage.conftest import Web

pytestmark = pytest.mark.store

HOUR = timedelta(hours=1)


@pytest.fixture
def with_sts(settings: StoreSettings, kind: str) -> StoreSettings:
    if kind == "versitygw":
        pytest.skip("versitygw has no AssumeRole")
    return dataclasses.replace(settings, sts_endpoint=settings.endpoint)


@pytest.fixture
async def grant(store: Store, with_sts: StoreSettings) -> PostPolicy:
    return await Signer(with_sts).session(store.layout.data("u1", 1), 1000, HOUR)


@pytest.fixture
def keys(grant: PostPolicy) -> SessionKeys:
    assert grant.session is not None
    return grant.session


@pytest.fixture
def thief(with_sts: StoreSettings, keys: SessionKeys) -> Minio:
    """A client with the stolen keys."""
    host = with_sts.base_url.partition("://")[2]
    return Minio(host, keys.access_key, keys.secret_key, keys.session_token, secure=False, region=with_sts.region)


async def test_an_agent_stores_with_them(store: Store, grant: PostPolicy) -> None:
    content = b"1,\xc3\xa4\n" * 50
    key = f"{grant.key_prefix}in.c-main/foo bar/0000.csv"
    with Client() as client:
        form = Form(
            grant, key, lambda length, offset: content[offset : offset + length],
            offset=0, size=len(content), tail=b"x\n", stop=client.stop, subject="foo.csv",
        )  # fmt: skip
        etag = client.send(form.request(), form.stored)
    stored = await store.get(key)
    assert stored.data == content + b"x\n"
    assert stored.etag.strip('"') == etag.strip('"')


async def test_stage_out_gets_them_where_forms_do_not_hold(store: Store, with_sts: StoreSettings, web: Web) -> None:
    asked = AttemptRequest("u1", "ns/run", 1, HOUR, HOUR, by_session=True)
    done = await prepare_attempt(store, Signer(with_sts), asked)
    assert done.grant_out.post.session is not None
    assert done.grant_out.post.fields == {}
    assert from_json(StageOutPlan, web.send("GET", done.grant_out.plan_url).data).run == "ns/run"
    told = repr(done.grant_out)
    assert done.grant_out.post.session.secret_key not in told
    assert done.grant_out.post.session.session_token not in told


ATTEMPTS: dict[str, Callable[[Minio, str, str], Any]] = {
    "reads another's output": lambda thief, bucket, prefix: thief.get_object(bucket, f"{prefix}/data/u0-1/a.csv"),
    "reads its own output": lambda thief, bucket, prefix: thief.get_object(bucket, f"{prefix}/data/u1-1/a.csv"),
    "looks at another's output": lambda thief, bucket, prefix: thief.stat_object(bucket, f"{prefix}/data/u0-1/a.csv"),
    "lists": lambda thief, bucket, prefix: list(thief.list_objects(bucket, f"{prefix}/", recursive=True)),
    "lists versions": lambda thief, bucket, prefix: list(
        thief.list_objects(bucket, f"{prefix}/", recursive=True, include_version=True)
    ),
    "deletes its own output": lambda thief, bucket, prefix: thief.remove_object(bucket, f"{prefix}/data/u1-1/a.csv"),
    "deletes another's": lambda thief, bucket, prefix: thief.remove_object(bucket, f"{prefix}/data/u0-1/a.csv"),
    "turns versioning off": lambda thief, bucket, _: thief.set_bucket_versioning(bucket, _suspended()),
    "lists buckets": lambda thief, _bucket, _prefix: thief.list_buckets() or denied(),
}


def _suspended() -> Any:
    return VersioningConfig("Suspended")


def denied() -> None:
    """MinIO returns the buckets that the keys may list, which are none."""
    raise LookupError


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_thief_only_stores_below_the_prefix(store: Store, thief: Minio, attempt: str) -> None:
    for run in ("u0", "u1"):
        await store.put(store.layout.data(run, 1) + "a.csv", b"1\n")
    with pytest.raises((S3Error, LookupError)) as refused:
        ATTEMPTS[attempt](thief, store.settings.bucket, store.settings.prefix)
    assert getattr(refused.value, "code", "AccessDenied") == "AccessDenied"
    for run in ("u0", "u1"):
        assert (await store.get(store.layout.data(run, 1) + "a.csv")).data == b"1\n"


@pytest.mark.parametrize(
    "key",
    [
        "data/u2-1/x.csv",
        "data/u1-2/x.csv",
        "data/u1-11/x.csv",
        "data/u1-1",
        "state/ex/main/12/state.json",
        "runs/u1/journal.json",
        "data/u1-1/../u2-1/x.csv",
        "data/u1-1/../../state/ex/main/12/state.json",
    ],
)
async def test_they_store_nothing_elsewhere(store: Store, keys: SessionKeys, web: Web, key: str) -> None:
    full = f"{store.settings.prefix}/{key}"
    answer = web.send("PUT", put_url(keys, full), headers=put_headers(keys, full, datetime.now(UTC)), body=b"1\n")
    assert answer.status in {400, 403}
    assert [info.key async for info in store.objects(store.settings.prefix + "/")] == []


async def test_another_store_key_does_not_sign_with_them(store: Store, keys: SessionKeys, web: Web) -> None:
    full = store.layout.data("u1", 1) + "x.csv"
    bare = dataclasses.replace(keys, session_token="")
    assert web.send("PUT", put_url(bare, full), headers=put_headers(bare, full, datetime.now(UTC))).status in {400, 403}


async def test_a_store_whose_forms_leak_is_used_by_session(
    with_sts: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leaks(_self: FormProbe) -> str:
        raise PlatformError("forms leak")

    monkeypatch.setattr(FormProbe, "refuses_traversal", leaks)
    found = await find_scope(open_store(with_sts), Signer(with_sts))
    assert found.means is ScopeMethod.SESSION


async def test_keys_that_are_good_for_more_than_their_prefix_are_found_out(
    with_sts: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, signer = open_store(with_sts), Signer(with_sts)
    wide = await signer.session(store.layout.doctor(""), 1000, HOUR)

    async def give(*_: Any) -> PostPolicy:
        return wide

    monkeypatch.setattr(signer, "session", give)
    with pytest.raises(PlatformError, match="outside their prefix"):
        await SessionProbe(Place(store), signer).holds()


async def test_a_token_service_that_refuses_is_told(store: Store, with_sts: StoreSettings) -> None:
    wrong = dataclasses.replace(with_sts, secret_key="wrong")
    with pytest.raises(PlatformError, match="issued no keys"):
        await Signer(wrong).session(store.layout.data("u1", 1), 1000, HOUR)
