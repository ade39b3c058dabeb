"""Images as an operator resolves them, with ComponentBuilds that the test itself brings to their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from componentrun.api.build.componentbuild import ComponentBuild
from componentrun.controller.images import resolving
from componentrun.controller.watching.cachekeys import Key
from componentrun.core.builds.settings import BuildSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.controller.images.resolving import Images, ImageSettings
    from componentrun.controller.watching.caches import Caches
    from componentrun.process.kubernetes.client import Kube
    from componentrun.registry.client import RegistryClient

__all__ = ["FakeBuildObjects", "make_images"]


class FakeBuildObjects:
    """ComponentBuilds of one namespace. Nothing builds them."""

    def __init__(self) -> None:
        self.objects: dict[Key, ComponentBuild] = {}
        self.created: list[str] = []
        self._listeners: list[Callable[[Key], object]] = []

    def get(self, key: Key) -> ComponentBuild | None:
        return self.objects.get(key)

    async def read(self, key: Key) -> ComponentBuild | None:
        return self.objects.get(key)

    async def create(self, build: ComponentBuild) -> ComponentBuild:
        key = Key(build.metadata.namespace, build.metadata.name)
        if key not in self.objects:
            self.objects[key] = build
            self.created.append(key.name)
        return self.objects[key]

    async def replace(self, build: ComponentBuild, ended: ComponentBuild) -> ComponentBuild:  # noqa: ARG002 - the real one's
        del self.objects[Key(build.metadata.namespace, build.metadata.name)]
        return await self.create(build)

    def listen(self, listener: Callable[[Key], object]) -> None:
        self._listeners.append(listener)

    def end(self, key: Key, **status: Any) -> None:
        """Write the status of a build, and tell it."""
        outcome = {
            "type": "Succeeded",
            "status": str(status["phase"] == "Succeeded"),
            "reason": status.get("reason", "Succeeded"),
            "message": status.get("message", ""),
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        document = self.objects[key].to_dict() | {"status": {**status, "conditions": [outcome]}}
        self.objects[key] = ComponentBuild.model_validate(document)
        for listener in self._listeners:
            listener(key)


def make_images(
    kube: object,
    caches: Caches,
    client: RegistryClient,
    settings: ImageSettings,
    clock: Callable[[], datetime],
    *,
    builds: BuildSettings | None = None,
    objects: FakeBuildObjects | None = None,
    look: Callable[[Key], object] = lambda _: None,
) -> Images:
    """The images of an operator."""
    return resolving.make_images(
        cast("Kube", kube),
        caches,
        client,
        settings,
        builds or BuildSettings(),
        objects or FakeBuildObjects(),
        look,
        clock,
    )
