"""The image of a channel with `build`: it is there, or a ComponentBuild makes it and the run waits.

1. The branch and the parent's tag are looked up. What goes into the build gives its name.
2. If the registry has an image of this name, it is used: no pod, no ComponentBuild.
3. Otherwise a ComponentBuild of this name is created. The API server makes all runs that need it share one.
4. The run stays in phase Building with the name in its status, and is reconciled when the build has ended. It keeps the
   commit, even if its branch has moved meanwhile.

A build that has failed, or whose image was deleted from the registry, is tried again for runs that are created after
its end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from componentrun.api.componentrun import RunBuild
from componentrun.controller.images.awayhosts import registry_timeout
from componentrun.controller.images.logins import read_logins
from componentrun.controller.watching.cachekeys import Key
from componentrun.core.builds.lifecycle.request import new_build, read_request
from componentrun.core.builds.lifecycle.status import has_ended
from componentrun.core.builds.lifecycle.waiting import failure_of, waiting_message, was_unwanted
from componentrun.core.images.channels import Resolved
from componentrun.core.lifecycle.status import is_terminal
from componentrun.errors import UnsupportedError
from componentrun.registry.errors import ImageError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.build.componentbuild import ComponentBuild
    from componentrun.api.component import Component
    from componentrun.controller.images.awayhosts import AwayHosts
    from componentrun.controller.images.gitcommits import GitCommits
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.builds.lifecycle.request import ParentChoice
    from componentrun.core.builds.settings import BuildSettings
    from componentrun.core.images.channels import ImageChoice
    from componentrun.core.images.reference import Repository
    from componentrun.process.kubernetes.client import Kube
    from componentrun.registry.client import RegistryClient

__all__ = ["BuildPendingError", "BuiltImages", "KnownBuilds"]

_MAY_WAIT: Final = frozenset({None, "Queued", "Building"})
"""Phases of a run that may wait for a build, also for one that its status does not name: that of a processor."""
_NOT_THERE: Final = frozenset({Problem.NO_SUCH_TAG, Problem.NO_SUCH_REPOSITORY})


class KnownBuilds(Protocol):
    """ComponentBuilds, as a watch reports them."""

    def get(self, key: Key) -> ComponentBuild | None:
        """The build of this key; None if no watch has reported it."""

    async def read(self, key: Key) -> ComponentBuild | None:
        """The build as the API server has it now; None if there is none."""

    async def create(self, build: ComponentBuild) -> ComponentBuild:
        """Create a build, or return the present one of its name."""

    async def replace(self, build: ComponentBuild, ended: ComponentBuild) -> ComponentBuild:
        """Delete a build that has ended, and create it again, unless another caller has: the new build."""

    def listen(self, listener: Callable[[Key], object]) -> None:
        """Call `listener` with the key of each build that has changed."""


class BuildPendingError(Exception):
    """The image of a run is being built. The run is reconciled again when the build has changed."""

    def __init__(self, build: ComponentBuild) -> None:
        """`build` has not ended."""
        self.uid = build.metadata.uid
        self.build = RunBuild(name=build.metadata.name, component=build.spec.component)
        self.message = waiting_message(build)
        super().__init__(self.message)


class BuiltImages:
    """Images of channels with `build`."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        client: RegistryClient,
        commits: GitCommits,
        objects: KnownBuilds,
        settings: BuildSettings,
        away: AwayHosts,
        allowed: tuple[str, ...],
        look: Callable[[Key], object],
        clock: Callable[[], datetime],
    ) -> None:
        """`look` is called with each run that waited for a build that has changed."""
        self.settings = settings
        self._kube = kube
        self._caches = caches
        self._client = client
        self._commits = commits
        self._objects = objects
        self._away = away
        self._allowed = allowed
        self._look = look
        self._clock = clock
        self._waiting: dict[Key, set[Key]] = {}
        """Runs that wait, by build."""
        objects.listen(self._changed)

    async def resolve(
        self, choice: ImageChoice, component: Component, names: tuple[str, ...], created: datetime
    ) -> Resolved:
        """The image of a channel, for a run that has not waited for a build yet.

        Args:
            choice: the channel; its repository is that of the image.
            component: the Component.
            names: pull secrets for the parent image.
            created: when the run was created.

        Raises:
            BuildPendingError: the image is being built.
            UserError, PlatformError: it can't be built.
            TransientError: the git host, a registry or the API server does not respond.
        """
        request = read_request(component, choice.channel, self.settings, self._allowed)
        found, parent, bases = await asyncio.gather(
            self._commits.find(request),
            self._parent(request.namespace, request.parent, names),
            asyncio.gather(*(self._digest(request.namespace, base, names) for _, base in request.bases)),
        )
        build = new_build(request, found, parent, self.settings, bases, self._clock())
        digest = await self._pushed(build, request.target)
        if digest is not None:
            return Resolved(digest, build.metadata.name, "Build", self._clock())
        present = await self._objects.create(build)
        if has_ended(present.status) and (was_unwanted(present) or _is_past(present, created)):
            # Also one with an image: the registry does not have it any more.
            present = await self._objects.replace(build, present)
        if not has_ended(present.status):
            raise BuildPendingError(present)
        return self._result(present)

    async def waited(self, namespace: str, build: RunBuild) -> Resolved | None:
        """The image of a build that a run has waited for; None if the build was deleted, or stopped for want of runs.

        Raises:
            BuildPendingError: it has not ended.
            UserError, PlatformError: it has failed.
            KubeError: the API server is unavailable.
        """
        key = Key(namespace, build.name)
        present = self._objects.get(key)
        if present is None or (has_ended(present.status) and failure_of(present) is not None):
            # The watch may lag behind, and may know an earlier build of this name that has failed.
            present = await self._objects.read(key)
        if present is None or was_unwanted(present):
            return None
        if not has_ended(present.status):
            raise BuildPendingError(present)
        return self._result(present)

    def _result(self, build: ComponentBuild) -> Resolved:
        failure = failure_of(build)
        if failure is not None:
            raise failure
        return Resolved(build.status.digest or "", build.metadata.name, "Build", self._clock())

    async def _parent(self, namespace: str, parent: ParentChoice | None, names: tuple[str, ...]) -> str | None:
        return None if parent is None else await self._digest(namespace, parent, names)

    async def _digest(self, namespace: str, parent: ParentChoice, names: tuple[str, ...]) -> str:
        # A digest is looked up, too: the pod has logins of the platform, and must not use what the tenant can't read.
        async with self._away.asking(namespace, parent.repository.host, registry_timeout):
            logins = await read_logins(self._kube, namespace, names, parent.repository)
            return await self._client.digest(
                parent.repository, parent.digest or parent.tag or "", logins.usable, logins.known
            )

    async def _pushed(self, build: ComponentBuild, target: Repository) -> str | None:
        """The digest of the image with the name of the build; None if there is none."""
        settings = self.settings
        names = (settings.push_secret,) if settings.push_secret else ()
        async with self._away.asking(build.metadata.namespace, target.host, registry_timeout):
            logins = await read_logins(self._kube, settings.namespace, names, target)
            try:
                return await self._client.digest(target, build.metadata.name, logins.usable, logins.known)
            except ImageError as error:
                if error.problem in _NOT_THERE:
                    return None
                raise

    def is_target(self, image: str) -> bool:
        """Whether an image is in a repository that builds are pushed to, which only the platform can write."""
        return self.settings.is_enabled and image.startswith(f"{self.settings.repository}/")

    def wait(self, run: Key, pending: BuildPendingError) -> None:
        """Note that a run waits for a build of its namespace."""
        key = Key(run.namespace, pending.build.name)
        self._waiting.setdefault(key, set()).add(run)
        try:
            present = self._objects.get(key)
        except UnsupportedError:
            return
        if present is not None and present.metadata.uid == pending.uid and has_ended(present.status):
            # It ended between the answer that the run has to wait and now.
            self._look(run)

    def is_wanted(self, key: Key, _build: ComponentBuild) -> bool:
        """Whether a run waits for a build. True as long as it is not known that runs have waited and do not any more.

        An operator that has just started does not know yet which runs wait.
        """
        runs = self._waiting.get(key)
        if runs is None:
            return True
        runs -= {run for run in runs if not self._waits(run)}
        return bool(runs)

    def _waits(self, key: Key) -> bool:
        try:
            run = self._caches.runs.get(key)
        except UnsupportedError:
            return True  # another release may have changed it, and the build must not be lost for that
        if run is None or is_terminal(run.status) or run.spec.cancel or run.metadata.deletion_timestamp is not None:
            return False
        return run.status.phase in _MAY_WAIT

    def _changed(self, key: Key) -> None:
        runs = self._waiting.get(key)
        if runs is None:
            return
        for run in runs:
            self._look(run)
        try:
            present = self._objects.get(key)
        except UnsupportedError:
            return
        if present is None or has_ended(present.status):
            # A run that goes on waiting says so again.
            self._waiting.pop(key, None)


def _is_past(build: ComponentBuild, created: datetime) -> bool:
    """Whether a build had ended when a run was created."""
    return build.status.completion_time is not None and build.status.completion_time < created
