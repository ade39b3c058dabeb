"""Deletion of images, on a registry with a real socket."""

from __future__ import annotations

import pytest
from aiohttp import web

from componentrun.core.images.pullsecrets import Login
from componentrun.registry.errors import ImageError, Problem
from componentrun.registry.removal import RegistryRemover
from tests.unit.registry.fakeregistry import FakeRegistry, image_manifest

ANN = Login("ann", "pw", "prune")


@pytest.mark.parametrize("by_token", [False, True])
async def test_an_image_is_deleted_with_its_tags(by_token: bool) -> None:
    async with FakeRegistry(users={"ann": "pw"}, by_token=by_token) as registry:
        digest = registry.push("one", image_manifest("a"))
        registry.push("two", image_manifest("a"))
        registry.push("three", image_manifest("b"))
        async with RegistryRemover(registry.settings) as remover:
            assert await remover.delete(registry.repository(), digest, ANN)
            assert not await remover.delete(registry.repository(), digest, ANN), "it is gone"
        assert [name for name in registry.manifests["team/app"] if ":" not in name] == ["three"]


async def test_a_registry_that_deletes_nothing_says_so() -> None:
    async with FakeRegistry(deletes=False) as registry:
        digest = registry.push("one", image_manifest("a"))
        async with RegistryRemover(registry.settings) as remover:
            with pytest.raises(ImageError, match=f"registry `{registry.host}` does not delete images over its API"):
                await remover.delete(registry.repository(), digest, None)
        assert "one" in registry.manifests["team/app"]


@pytest.mark.parametrize(
    ("login", "status", "problem"),
    [
        (ANN, 403, Problem.ACCESS_DENIED),
        (Login("ann", "wrong", "prune"), 0, Problem.WRONG_PASSWORD),
        (None, 0, Problem.NO_PASSWORD),
        (ANN, 418, Problem.NOT_A_REGISTRY),
    ],
)
async def test_a_refusal_says_why(login: Login | None, status: int, problem: Problem) -> None:
    async with FakeRegistry(users={"ann": "pw"}) as registry:

        async def answer(_: web.Request) -> web.Response | None:
            return web.Response(status=status) if status else None

        digest = registry.push("one", image_manifest("a"))
        registry.answer = answer
        async with RegistryRemover(registry.settings) as remover:
            with pytest.raises(ImageError) as caught:
                await remover.delete(registry.repository(), digest, login)
        assert caught.value.problem is problem
