"""The registry client against a real HTTP server in this process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from componentrun.core.images.pullsecrets import Login
from componentrun.errors import Reason
from componentrun.registry import client as client_module
from componentrun.registry.client import RegistryClient
from componentrun.registry.errors import ImageError, Problem, RegistryAwayError, RegistryError
from componentrun.registry.manifest import digest_of
from componentrun.registry.settings import RegistrySettings
from tests.unit.registry.fakeregistry import INDEX, FakeRegistry, image_manifest, index_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web import Request, StreamResponse

ANN = Login("ann", "pass:wörd", "pull")
WRONG = Login("ann", "guess", "old")
CONTENT = image_manifest("one")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as fake:
        fake.push("1.0", CONTENT)
        yield fake


async def problem_of(client: RegistryClient, fake: FakeRegistry, tag: str = "1.0", *logins: Login) -> Problem:
    with pytest.raises(RegistryError) as caught:
        await client.digest(fake.repository(), tag, logins)
    message = caught.value.message
    assert "guess" not in message
    assert "wörd" not in message
    assert caught.value.advice
    return caught.value.problem


def replying(**response: object) -> object:
    async def answer(_: Request) -> StreamResponse:
        return web.Response(**response)  # type: ignore[arg-type]  # arguments of a response

    return answer


async def test_a_tag_costs_one_head_request(registry: FakeRegistry) -> None:
    async with RegistryClient(registry.settings) as client:
        assert await client.digest(registry.repository(), "1.0", ()) == digest_of(CONTENT)
    assert registry.log == [("HEAD", "/v2/team/app/manifests/1.0", "")]


async def test_a_registry_that_announces_no_digest_is_read(registry: FakeRegistry) -> None:
    async def answer(_: Request) -> StreamResponse:
        return web.Response(body=CONTENT, content_type="application/vnd.oci.image.manifest.v1+json")

    registry.answer = answer
    async with RegistryClient(registry.settings) as client:
        assert await client.digest(registry.repository(), "1.0", ()) == digest_of(CONTENT)


@pytest.mark.parametrize("by_token", [False, True])
async def test_a_login_is_asked_for_once_and_remembered(registry: FakeRegistry, by_token: bool) -> None:
    registry.users, registry.by_token = {"ann": ANN.password}, by_token
    async with RegistryClient(registry.settings) as client:
        await client.digest(registry.repository(), "1.0", [ANN])
        first = len(registry.log)
        await client.digest(registry.repository(), "1.0", [ANN])
    assert first == (3 if by_token else 2)
    assert len(registry.log) == first + 1


async def test_a_token_is_renewed_when_it_has_expired(registry: FakeRegistry) -> None:
    registry.users, registry.by_token = {"ann": ANN.password}, True
    now = 0.0
    async with RegistryClient(registry.settings, lambda: now) as client:
        await client.digest(registry.repository(), "1.0", [ANN])
        now = 295.0
        await client.digest(registry.repository(), "1.0", [ANN])
    assert [path.partition("?")[0] for _, path, _ in registry.log].count("/token") == 2


@pytest.mark.parametrize("by_token", [False, True])
async def test_logins_are_tried_in_turn(registry: FakeRegistry, by_token: bool) -> None:
    registry.users, registry.by_token = {"ann": ANN.password}, by_token
    async with RegistryClient(registry.settings) as client:
        assert await client.digest(registry.repository(), "1.0", [WRONG, ANN]) == digest_of(CONTENT)


@pytest.mark.parametrize("by_token", [False, True])
@pytest.mark.parametrize(("logins", "expected"), [((), Problem.NO_PASSWORD), ((WRONG,), Problem.WRONG_PASSWORD)])
async def test_a_refused_login_is_told_apart_from_none(
    registry: FakeRegistry, by_token: bool, logins: tuple[Login, ...], expected: Problem
) -> None:
    registry.users, registry.by_token = {"ann": ANN.password}, by_token
    async with RegistryClient(registry.settings) as client:
        assert await problem_of(client, registry, "1.0", *logins) is expected


async def test_one_tenants_login_does_not_serve_another(registry: FakeRegistry) -> None:
    registry.users, registry.by_token = {"ann": ANN.password}, True
    async with RegistryClient(registry.settings) as client:
        await client.digest(registry.repository(), "1.0", [ANN])
        assert await problem_of(client, registry) is Problem.NO_PASSWORD
        assert await problem_of(client, registry, "1.0", WRONG) is Problem.WRONG_PASSWORD


async def test_a_login_without_rights_is_denied(registry: FakeRegistry) -> None:
    async def answer(request: Request) -> StreamResponse | None:
        return web.Response(status=403) if request.headers.get("Authorization") else None

    registry.users, registry.answer = {"ann": ANN.password}, answer
    async with RegistryClient(registry.settings) as client:
        assert await problem_of(client, registry, "1.0", ANN) is Problem.ACCESS_DENIED


async def test_a_missing_tag_is_told_apart_from_a_missing_repository(registry: FakeRegistry) -> None:
    async with RegistryClient(registry.settings) as client:
        assert await problem_of(client, registry, "2.0") is Problem.NO_SUCH_TAG
        registry.manifests.clear()
        assert await problem_of(client, registry, "2.0") is Problem.NO_SUCH_REPOSITORY


@pytest.mark.parametrize(
    ("response", "problem", "reason"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, Problem.RATE_LIMITED, Reason.REGISTRY_UNAVAILABLE),
        ({"status": 503}, Problem.AWAY, Reason.REGISTRY_UNAVAILABLE),
        ({"text": "<html>", "content_type": "text/html"}, Problem.NOT_A_REGISTRY, Reason.IMAGE_PULL_FAILED),
        (
            {"text": "<html>", "content_type": "text/html", "status": 404},
            Problem.NOT_A_REGISTRY,
            Reason.IMAGE_PULL_FAILED,
        ),
        ({"text": "{}", "content_type": "application/json"}, Problem.NOT_A_REGISTRY, Reason.IMAGE_PULL_FAILED),
        ({"status": 418}, Problem.NOT_A_REGISTRY, Reason.IMAGE_PULL_FAILED),
        ({"status": 302}, Problem.NOT_A_REGISTRY, Reason.IMAGE_PULL_FAILED),
        ({"status": 302, "headers": {"Location": "/v2/"}}, Problem.NOT_A_REGISTRY, Reason.IMAGE_PULL_FAILED),
        ({"status": 307, "headers": {"Location": "file:///etc/passwd"}}, Problem.NOT_A_REGISTRY, None),
        ({"status": 307, "headers": {"Location": "http://[::1"}}, Problem.NOT_A_REGISTRY, None),
        ({"status": 307, "headers": {"Location": "http://other.example.com/"}}, Problem.NOT_A_REGISTRY, None),
        ({"status": 401, "headers": {"WWW-Authenticate": "Negotiate"}}, Problem.NO_PASSWORD, None),
        ({"status": 401, "headers": {"WWW-Authenticate": "Bearer service=x"}}, Problem.NOT_A_REGISTRY, None),
        ({"status": 401, "headers": {"WWW-Authenticate": 'Bearer realm="http://a.b/t"'}}, Problem.NOT_A_REGISTRY, None),
    ],
)
async def test_other_answers_have_a_cause_each(
    registry: FakeRegistry, response: dict[str, object], problem: Problem, reason: Reason | None
) -> None:
    registry.answer = replying(**response)  # type: ignore[assignment]  # see there
    async with RegistryClient(registry.settings) as client:
        with pytest.raises(RegistryError) as caught:
            await client.digest(registry.repository(), "1.0", ())
    assert caught.value.problem is problem
    assert reason is None or caught.value.reason is reason


async def test_the_time_that_a_registry_asks_to_wait_is_known(registry: FakeRegistry) -> None:
    registry.answer = replying(status=429, headers={"Retry-After": "7"})  # type: ignore[assignment]  # see there
    async with RegistryClient(registry.settings) as client:
        with pytest.raises(RegistryAwayError, match="wait 7 s") as caught:
            await client.digest(registry.repository(), "1.0", ())
    assert caught.value.retry_after == 7


async def test_a_registry_that_does_not_listen_is_away() -> None:
    fake = FakeRegistry()
    async with fake:
        pass
    async with RegistryClient(fake.settings) as client:
        assert await problem_of(client, fake) is Problem.AWAY


async def test_a_registry_that_hangs_takes_no_connections_of_others(registry: FakeRegistry) -> None:
    arrived, released = asyncio.Event(), asyncio.Event()

    async def answer(_: Request) -> StreamResponse:
        arrived.set()
        await released.wait()
        return web.Response()

    async with FakeRegistry(answer=answer) as hung:
        hosts = hung.settings.plain_http | registry.settings.plain_http
        async with RegistryClient(replace(hung.settings, plain_http=hosts, request_seconds=5.0)) as client:
            asked = [asyncio.ensure_future(client.digest(hung.repository(), str(tag), ())) for tag in range(100)]
            await arrived.wait()
            try:
                assert await client.digest(registry.repository(), "1.0", ())
                assert not any(task.done() for task in asked)
            finally:
                released.set()
                await asyncio.gather(*asked, return_exceptions=True)


async def test_a_registry_that_does_not_answer_in_time_is_away(registry: FakeRegistry) -> None:
    released = asyncio.Event()

    async def answer(_: Request) -> StreamResponse:
        await released.wait()
        return web.Response()

    registry.answer = answer
    settings = RegistrySettings(frozenset({registry.host}), connect_seconds=0.2, request_seconds=0.2)
    async with RegistryClient(settings) as client:
        assert await problem_of(client, registry) is Problem.AWAY
    released.set()


async def test_plain_http_is_for_hosts_of_the_setting_only(registry: FakeRegistry) -> None:
    async with RegistryClient(RegistrySettings(request_seconds=2.0)) as client:
        assert await problem_of(client, registry) in {Problem.UNTRUSTED, Problem.AWAY}
    assert registry.log == []


@pytest.mark.parametrize("by_token", [False, True])
async def test_a_redirect_to_another_host_gets_no_login(registry: FakeRegistry, by_token: bool) -> None:
    async with FakeRegistry() as other:
        other.push("1.0", CONTENT)

        async def answer(request: Request) -> StreamResponse | None:
            if not request.headers.get("Authorization") or request.path == "/token":
                return None
            raise web.HTTPTemporaryRedirect(f"http://{other.host}{request.path}")

        registry.users, registry.by_token, registry.answer = {"ann": ANN.password}, by_token, answer
        both = RegistrySettings(registry.settings.plain_http | other.settings.plain_http)
        async with RegistryClient(both) as client:
            assert await client.digest(registry.repository(), "1.0", [ANN]) == digest_of(CONTENT)
        assert [authorization for _, _, authorization in other.log] == [""]


async def test_a_redirect_target_that_wants_a_login_does_not_get_one(registry: FakeRegistry) -> None:
    async with FakeRegistry(users={"ann": ANN.password}) as other:

        async def answer(request: Request) -> StreamResponse:
            raise web.HTTPTemporaryRedirect(f"http://{other.host}{request.path}")

        registry.answer = answer
        both = RegistrySettings(registry.settings.plain_http | other.settings.plain_http)
        async with RegistryClient(both) as client:
            assert await problem_of(client, registry, "1.0", ANN) is Problem.NOT_A_REGISTRY
        assert {authorization for _, _, authorization in other.log} == {""}


async def test_a_redirect_on_the_same_host_keeps_the_login(registry: FakeRegistry) -> None:
    async def answer(request: Request) -> StreamResponse | None:
        if request.path == "/v2/team/app/manifests/1.0":
            raise web.HTTPTemporaryRedirect("/v2/team/app/manifests/moved")
        return None

    registry.push("moved", CONTENT)
    registry.users, registry.answer = {"ann": ANN.password}, answer
    async with RegistryClient(registry.settings) as client:
        # The first response of the target is 401, whose login is then sent to the same host.
        assert await client.digest(registry.repository(), "1.0", [ANN]) == digest_of(CONTENT)


async def test_a_manifest_is_what_its_digest_says(registry: FakeRegistry) -> None:
    content = index_manifest("linux/amd64", "linux/arm64")
    digest = registry.push("multi", content, media_type=INDEX)
    async with RegistryClient(registry.settings) as client:
        manifest = await client.manifest(registry.repository(), digest, ())
        assert (manifest.digest, manifest.is_index) == (digest, True)
        assert [child.platform for child in manifest.children] == ["linux/amd64", "linux/arm64"]


@pytest.mark.parametrize("by_digest", [False, True])
async def test_a_registry_that_lies_about_a_digest_is_refused(registry: FakeRegistry, by_digest: bool) -> None:
    real = registry.push("1.0", CONTENT)
    lie = digest_of(b"something else")
    headers = {"Docker-Content-Digest": lie, "Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    registry.answer = replying(body=CONTENT, headers=headers)  # type: ignore[assignment]  # see there
    async with RegistryClient(registry.settings) as client:
        with pytest.raises(ImageError) as caught:
            await client.manifest(registry.repository(), lie if by_digest else "1.0", ())
    assert caught.value.problem is Problem.WRONG_DIGEST
    assert lie in caught.value.message
    assert real in caught.value.message


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"layers": 1}', b'{"layers": [{}], "config": {}}', b"\xff", b"[" * 9999]
)
async def test_a_malformed_manifest_is_no_registrys(registry: FakeRegistry, body: bytes) -> None:
    registry.push("1.0", body)
    async with RegistryClient(registry.settings) as client:
        with pytest.raises(ImageError) as caught:
            await client.manifest(registry.repository(), "1.0", ())
    assert caught.value.problem is Problem.NOT_A_REGISTRY


async def test_a_manifest_that_is_too_large_is_not_read_to_its_end(registry: FakeRegistry) -> None:
    registry.push("1.0", b" " * (4 * 2**20 + 1))
    async with RegistryClient(registry.settings) as client:
        with pytest.raises(ImageError) as caught:
            await client.manifest(registry.repository(), "1.0", ())
    assert caught.value.problem is Problem.TOO_LARGE


async def test_blobs_are_verified_and_bounded(registry: FakeRegistry) -> None:
    digest = digest_of(b"content")
    registry.blobs = {digest: b"content", digest_of(b"other"): b"lie"}
    async with RegistryClient(registry.settings) as client:
        assert await client.blob(registry.repository(), digest, (), limit=7) == b"content"
        with pytest.raises(ImageError, match="more than 6 bytes"):
            await client.blob(registry.repository(), digest, (), limit=6)
        with pytest.raises(ImageError, match="other content than announced"):
            await client.blob(registry.repository(), digest_of(b"other"), (), limit=7)


async def test_tags_are_listed_page_by_page(registry: FakeRegistry) -> None:
    for number in range(7):
        registry.push(f"1.{number}", CONTENT)
    registry.page = 3
    async with RegistryClient(registry.settings) as client:
        assert await client.tags(registry.repository(), ()) == tuple(f"1.{number}" for number in range(7))
        registry.manifests.clear()
        with pytest.raises(ImageError) as caught:
            await client.tags(registry.repository(), ())
    assert caught.value.problem is Problem.NO_SUCH_REPOSITORY


async def test_a_list_of_tags_without_end_ends(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = 0

    async def answer(_: Request) -> StreamResponse:
        nonlocal pages
        pages += 1
        headers = {"Link": '</v2/team/app/tags/list?last=x>; rel="next"'}
        return web.json_response({"tags": [f"{pages}.{number}" for number in range(10)]}, headers=headers)

    registry.answer = answer
    monkeypatch.setattr(client_module, "MOST_TAGS", 25)
    async with RegistryClient(registry.settings) as client:
        with pytest.raises(ImageError, match="more than 25 tags"):
            await client.tags(registry.repository(), ())
    assert pages == 3


async def test_a_login_is_not_sent_to_a_token_service_over_plain_http(registry: FakeRegistry) -> None:
    async with FakeRegistry(users={"ann": ANN.password}, by_token=True) as service:
        realm = f'Bearer realm="http://{service.host}/token",service="x"'
        registry.answer = replying(status=401, headers={"WWW-Authenticate": realm})  # type: ignore[assignment]  # see there
        async with RegistryClient(registry.settings) as client:
            assert await problem_of(client, registry, "1.0", ANN) is Problem.NOT_A_REGISTRY
        assert service.log == []
