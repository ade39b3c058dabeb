"""Pushes against a registry in this process, which misbehaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from componentrun.builder.retrying import with_retries
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.registry.errors import ImageError, Problem, RegistryAwayError, rate_limited
from componentrun.registry.manifest import digest_of
from tests.unit.builder.images import build, parent_layer, push_parent, write_code
from tests.unit.registry.fakeregistry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiohttp.web import Request, StreamResponse

    from componentrun.builder.pushing import Pushed

TARGET = "builds/tenant/app"


@pytest.fixture
async def registry(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeRegistry]:
    monkeypatch.setattr("componentrun.builder.retrying._WAITS", (0.0, 0.0, 0.0))
    async with FakeRegistry() as fake:
        yield fake


async def pushed(fake: FakeRegistry, folder: Path, text: str = "print(1)", tag: str = "build-1") -> Pushed:
    repository = fake.repository("library/python")
    parent = await push_parent(fake.settings, repository)
    return await build(fake.settings, (repository, parent), fake.repository(TARGET), write_code(folder, text), tag)


def changes(fake: FakeRegistry) -> list[str]:
    """What was written to the target."""
    return [path.split("/", 5)[5] for method, path, _ in fake.log if method == "PUT" and TARGET in path]


async def test_the_manifest_comes_last(registry: FakeRegistry, tmp_path: Path) -> None:
    done = await pushed(registry, tmp_path / "code")
    assert done.digest in registry.manifests[TARGET]
    assert changes(registry)[-1] == "manifests/build-1"
    assert len(changes(registry)) == 5
    assert (done.copied, done.mounted) == (1, 0), "this registry mounts nothing"


async def test_a_tag_that_is_there_is_not_pushed_again(registry: FakeRegistry, tmp_path: Path) -> None:
    first = await pushed(registry, tmp_path / "one")
    before = len(changes(registry))
    second = await pushed(registry, tmp_path / "two", "print(2)")
    assert (second.digest, second.was_there) == (first.digest, True)
    assert len(changes(registry)) == before


async def test_a_tag_that_another_build_pushed_meanwhile_wins(registry: FakeRegistry, tmp_path: Path) -> None:
    """The registry has immutable tags, and the other build's manifest arrives right before this one."""
    other = await pushed(registry, tmp_path / "one", tag="other")

    async def answer(request: Request) -> StreamResponse | None:
        if request.method != "PUT" or not request.path.endswith("manifests/build-1"):
            return None
        await request.read()
        content, kind = registry.manifests[TARGET]["other"]
        registry.push("build-1", content, TARGET, kind)
        return web.json_response({"errors": [{"code": "TAG_IMMUTABLE"}]}, status=409)

    registry.answer = answer
    assert (await pushed(registry, tmp_path / "two", "print(2)")).digest == other.digest


async def test_a_manifest_that_is_refused_is_an_error(registry: FakeRegistry, tmp_path: Path) -> None:
    async def answer(request: Request) -> StreamResponse | None:
        if request.method == "PUT" and request.path.endswith("manifests/build-1"):
            await request.read()
            return web.json_response({}, status=400)
        return None

    registry.answer = answer
    with pytest.raises(ImageError, match="answered 400 to an upload"):
        await pushed(registry, tmp_path / "code")


async def test_a_login_that_may_not_push_is_named(registry: FakeRegistry, tmp_path: Path) -> None:
    async def answer(request: Request) -> StreamResponse | None:
        if TARGET in request.path and request.method == "POST":
            return web.json_response({}, status=403)
        return None

    registry.answer = answer
    with pytest.raises(ImageError) as caught:
        await pushed(registry, tmp_path / "code")
    assert caught.value.problem is Problem.NO_PASSWORD


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_registry_that_is_busy_for_a_while_gets_the_whole_image(
    registry: FakeRegistry, tmp_path: Path, status: int
) -> None:
    refused: list[str] = []

    async def answer(request: Request) -> StreamResponse | None:
        if TARGET in request.path and (key := f"{request.method} {request.path}") not in refused:
            refused.append(key)
            await request.read()
            return web.Response(status=status)
        return None

    registry.answer = answer
    done = await pushed(registry, tmp_path / "code")
    assert done.digest in registry.manifests[TARGET]
    assert len(refused) > 5


async def test_an_upload_that_breaks_off_is_repeated(registry: FakeRegistry, tmp_path: Path) -> None:
    broken: list[str] = []

    async def answer(request: Request) -> StreamResponse | None:
        if request.method == "PUT" and f"{TARGET}/blobs" in request.path and len(broken) < 2:
            broken.append(request.path_qs)
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=500)
        return None

    registry.answer = answer
    done = await pushed(registry, tmp_path / "code")
    assert len(broken) == 2
    assert done.digest in registry.manifests[TARGET]


@pytest.mark.parametrize("how", ["breaks off", "lies"])
async def test_a_layer_of_the_parent_that_breaks_off_is_read_again(
    registry: FakeRegistry, tmp_path: Path, how: str
) -> None:
    """Of a layer that was read in part, nothing may be left before the next attempt."""
    broken: list[str] = []

    async def answer(request: Request) -> StreamResponse | None:
        layer, _ = parent_layer()
        if request.method != "GET" or digest_of(layer) not in request.path or len(broken) == 2:
            return None
        broken.append(request.path)
        if how == "lies":
            return web.Response(body=b"x" * len(layer))
        response = web.StreamResponse(headers={"Content-Length": str(len(layer))})
        await response.prepare(request)
        await response.write(layer[: len(layer) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    registry.answer = answer
    if how == "lies":
        with pytest.raises(BuildError, match="delivered other content than announced") as caught:
            await pushed(registry, tmp_path / "code")
        assert caught.value.problem is BuildProblem.PARENT_REFUSED
        return
    done = await pushed(registry, tmp_path / "code")
    assert len(broken) == 2
    assert (done.copied, done.digest in registry.manifests[TARGET]) == (1, True)


async def test_a_registry_that_stays_away_is_an_error_at_last(registry: FakeRegistry, tmp_path: Path) -> None:
    async def answer(request: Request) -> StreamResponse | None:
        return web.Response(status=503) if request.method == "PUT" and TARGET in request.path else None

    registry.answer = answer
    with pytest.raises(RegistryAwayError, match="answered 503"):
        await pushed(registry, tmp_path / "code")
    assert TARGET not in registry.manifests


async def test_layers_of_another_registry_are_copied(registry: FakeRegistry, tmp_path: Path) -> None:
    async with FakeRegistry() as other:
        source = other.repository("library/python")
        parent = await push_parent(other.settings, source)
        settings = registry.settings
        both = type(settings)(plain_http=settings.plain_http | other.settings.plain_http)
        done = await build(
            both, (source, parent), registry.repository(TARGET), write_code(tmp_path / "code"), "build-1"
        )
    assert (done.copied, done.mounted) == (1, 0)
    assert done.digest in registry.manifests[TARGET]


async def test_a_registry_that_asks_to_wait_is_given_time() -> None:
    waits: list[float] = []
    attempts = iter([rate_limited("host", 7.0), rate_limited("host", 3600.0), None])

    async def attempt() -> str:
        error = next(attempts)
        if error is not None:
            raise error
        return "done"

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    assert await with_retries(attempt, pause) == "done"
    assert waits == [7.0, 60.0]
