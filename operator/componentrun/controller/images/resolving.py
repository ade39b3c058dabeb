"""The image of a run whose Component has channels.

1. An attempt after the first one keeps the digest of the run.
2. A digest that the Component's status keeps is used without a request, if the channel allows it.
3. Otherwise the registry is asked, and the signature is verified if the Component requires one. Runs of a Component
   that begin within a second share the requests and the write.
4. The status of the Component is written before a pod is created: an operator that is killed in between finds the
   pinned digest there. Nothing is written if nothing is new.

The image of a channel with `build` is built if it is not there (`building`), and its runs wait meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from componentrun.api.componentrun import ComponentRunSpec
from componentrun.controller.images.asking import ask_registry
from componentrun.controller.images.awayhosts import AwayHosts, registry_timeout
from componentrun.controller.images.building import BuildPendingError, BuiltImages
from componentrun.controller.images.channels import ChannelWriter
from componentrun.controller.images.gitcommits import GitCommits
from componentrun.controller.images.logins import read_logins
from componentrun.controller.images.verifying import verify_digest
from componentrun.controller.storages.sharedreads import SharedReads
from componentrun.controller.watching.cachekeys import Key
from componentrun.core.builds.errors import GitAwayError
from componentrun.core.builds.lifecycle.request import with_target
from componentrun.core.builds.lifecycle.starts import awaited_build
from componentrun.core.images.allowed import check_allowed
from componentrun.core.images.channels import (
    DEFAULT_CHANNEL,
    ImageChoice,
    Resolved,
    channel_digest,
    choose_image,
    kept_digest,
    known_digests,
    last_digest,
    required_key,
    unverified_digest,
    verified_digests,
    with_resolved,
)
from componentrun.core.images.reference import parse_reference
from componentrun.core.request.image import image_reference
from componentrun.core.request.resolve import ResolvedImage
from componentrun.errors import Reason, TransientError, UserError
from componentrun.git.settings import GitSettings
from componentrun.registry.errors import RegistryAwayError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from componentrun.api.channels import BuildStart, ChannelStatus
    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRun
    from componentrun.controller.images.building import KnownBuilds
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.builds.settings import BuildSettings
    from componentrun.core.images.signingkey import SigningKey
    from componentrun.process.kubernetes.client import Kube
    from componentrun.registry.client import RegistryClient

__all__ = ["ImageSettings", "Images", "make_images"]

_SHARED: Final = timedelta(seconds=1)
_MOST_WRITES: Final = 5
_ARCHITECTURE: Final = "kubernetes.io/arch"
"""Label of nodes."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Settings for all images."""

    allowed: tuple[str, ...] = ()
    """Allowed registries, in the form of `normal_prefix`; empty: all."""
    architectures: frozenset[str] = frozenset()
    """Architectures of the cluster's nodes; empty: unknown."""


class Images:
    """Resolves images."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        client: RegistryClient,
        settings: ImageSettings,
        away: AwayHosts,
        built: BuiltImages,
        clock: Callable[[], datetime],
    ) -> None:
        """`clock` returns the API server's time."""
        self._kube = kube
        self._client = client
        self._settings = settings
        self._clock = clock
        self._writer = ChannelWriter(kube, caches)
        self._shared: SharedReads[Resolved] = SharedReads(clock)
        self._away = away
        self.built = built
        """Images of channels with `build`."""

    async def of(self, run: ComponentRun, component: Component | None, names: tuple[str, ...]) -> ResolvedImage | None:
        """The image of a run with its digest; None if the node resolves the tag.

        Args:
            run: the run.
            component: its Component; None if it names none, or if it does not exist.
            names: its pull secrets, see `pull_secret_names`.

        Raises:
            UserError: the run or the Component asks for something impossible, or there is no such image.
            TransientError: the registry or the API server does not respond.
            PlatformError: the API server refused.
            BuildPendingError: the image is being built.
        """
        # An image that nothing verifies must not run.
        signing_key = required_key(component) if component is not None else None
        if run.status.image_resolution is not None and run.status.image is not None:
            if not self.built.is_target(run.status.image):
                self._check_allowed(run.status.image, "status.image")
            if component is not None and signing_key is not None:
                await self._verify_kept(run, component, signing_key, names)
            return ResolvedImage(run.status.image, run.status.image_resolution)
        if component is None or not component.spec.channels:
            self._check_other(run, component)
            return None
        choice = self._choice(run.spec, component)
        resolved = self._kept(choice, component)
        if resolved is None:
            resolved = await self._new(choice, run, component, names)
        warnings = (resolved.warning,) if resolved.warning else ()
        return ResolvedImage(choice.repository.at(resolved.digest), resolved.resolution(choice), warnings)

    def _choice(self, spec: ComponentRunSpec, component: Component) -> ImageChoice:
        choice = with_target(choose_image(spec, component), component, self.built.settings)
        if choice.build is None:  # otherwise the parent is checked, and the platform has chosen the target
            check_allowed(choice.repository, self._settings.allowed)
        return choice

    async def _new(
        self, choice: ImageChoice, run: ComponentRun, component: Component, names: tuple[str, ...]
    ) -> Resolved:
        """Resolve a choice. A run that waits for a build keeps it, even if the branch has moved since."""
        namespace, build = run.metadata.namespace, run.status.build
        try:
            wanted = component.metadata.name, choice.channel, choice.build
            if build is not None and (build.component, build.channel, build.build_hash) == wanted:
                waited = await self.built.waited(namespace, build)
                if waited is not None:
                    return await self._write(choice, component, waited)
            created = run.metadata.creation_timestamp or self._clock()
            return await self._shared_resolve(choice, component, namespace, names, self._architectures(run), created)
        except BuildPendingError as pending:
            pending.build = pending.build.model_copy(update={"channel": choice.channel, "build_hash": choice.build})
            self.built.wait(Key(namespace, run.metadata.name), pending)
            raise

    async def _verify_kept(
        self, run: ComponentRun, component: Component, key: SigningKey, names: tuple[str, ...]
    ) -> None:
        """Verify the digest of an earlier attempt again if the Component's key has changed since."""
        image, statuses = run.status.image or "", component.status.channels
        repository, digest = parse_reference(image, "status.image"), image.partition("@")[2]
        if digest in verified_digests(repository, key, statuses):
            return
        namespace = run.metadata.namespace
        async with self._away.asking(namespace, repository.host, registry_timeout):
            logins = await read_logins(self._kube, namespace, names, repository)
            await verify_digest(self._client, repository, digest, key, statuses, logins)

    async def of_channel(self, component: Component, channel: str, namespace: str, names: tuple[str, ...]) -> str:
        """The image that a channel points to now, with its digest. The registry is asked only if that is not known.

        Args:
            component: has this channel.
            channel: its name.
            namespace: of the pull secrets.
            names: of the pull secrets.

        Raises:
            UserError, TransientError, PlatformError: as of `of`.
        """
        spec = ComponentRunSpec(component=component.metadata.name, channel=channel)
        choice = self._choice(spec, component)
        digest = channel_digest(choice, component.status.channels)
        if digest is None:
            architectures, now = self._settings.architectures, self._clock()
            digest = (await self._shared_resolve(choice, component, namespace, names, architectures, now)).digest
        return choice.repository.at(digest)

    async def built_for(self, component: Component, channel: str, start: BuildStart, names: tuple[str, ...]) -> str:
        """The image of a channel with `build`, with its digest, for a request to build it.

        Args:
            component: has this channel.
            channel: its name.
            start: the request, and the build that it waits for.
            names: of the pull secrets.

        Raises:
            BuildPendingError: the image is being built.
            UserError, TransientError, PlatformError: as of `of`.
        """
        metadata, now = component.metadata, self._clock()
        choice = self._choice(ComponentRunSpec(component=metadata.name, channel=channel), component)
        if choice.build is None:
            raise UserError(
                f"Component `{metadata.name}`: channel `{channel}` names an image; expected `build`",
                Reason.INVALID_SPEC,
                advice="Name a channel with `build`.",
            )
        resolved = self._kept(choice, component)
        awaited = awaited_build(metadata.name, channel, start, choice.build)
        try:
            if resolved is None and awaited is not None:
                waited = await self.built.waited(metadata.namespace, awaited)
                resolved = None if waited is None else await self._write(choice, component, waited)
            if resolved is None:
                architectures = self._settings.architectures
                resolved = await self._shared_resolve(choice, component, metadata.namespace, names, architectures, now)
        except BuildPendingError as pending:
            pending.build = pending.build.model_copy(update={"channel": channel, "build_hash": choice.build})
            raise
        return choice.repository.at(resolved.digest)

    def _check_other(self, run: ComponentRun, component: Component | None) -> None:
        """Refuse an image that the node resolves, if it comes from a registry that is not allowed."""
        if not self._settings.allowed or bool(run.spec.component) != (component is not None):
            return
        owner = "spec.image" if component is None else f"Component `{component.metadata.name}`: spec.image"
        self._check_allowed(image_reference(run.spec, component), owner)

    def _check_allowed(self, image: str, owner: str) -> None:
        """Refuse an image that is not allowed. Without a list, everything is, even what no runtime understands."""
        if self._settings.allowed:
            check_allowed(parse_reference(image, owner), self._settings.allowed)

    def _kept(self, choice: ImageChoice, component: Component) -> Resolved | None:
        """A digest that needs neither a request nor a write."""
        now, statuses = self._clock(), component.status.channels
        kept = kept_digest(choice, statuses, now)
        if kept is None or _next_channels(component, choice, kept, now) != statuses:
            return None
        return kept

    async def _shared_resolve(
        self,
        choice: ImageChoice,
        component: Component,
        namespace: str,
        names: tuple[str, ...],
        architectures: frozenset[str],
        created: datetime,
    ) -> Resolved:
        """Like `_resolve`, once for all that ask within a second."""
        resolve = partial(self._resolve, choice, component, namespace, names, architectures, created)
        # Runs of a ClusterComponent in different namespaces have different pull secrets.
        key = (component.metadata.uid, component.metadata.generation, choice, namespace, names, architectures)
        return await self._shared.read(key, resolve, self._clock() - _SHARED)

    async def _resolve(
        self,
        choice: ImageChoice,
        component: Component,
        namespace: str,
        names: tuple[str, ...],
        architectures: frozenset[str],
        created: datetime,
    ) -> Resolved:
        """Resolve a choice, and write the status of the Component if something is new."""
        now = self._clock()
        asked = kept_digest(choice, component.status.channels, now)
        if asked is None:
            asked = await self._ask(choice, component, namespace, names, architectures, created)
        return await self._write(choice, component, asked)

    async def _write(self, choice: ImageChoice, component: Component, asked: Resolved) -> Resolved:
        """Write the status of the Component if something is new."""
        now = self._clock()
        for _ in range(_MOST_WRITES):
            statuses = component.status.channels
            # Meanwhile another run, or another operator, may have pinned it.
            resolved = kept_digest(choice, statuses, now) or asked
            wanted = _next_channels(component, choice, resolved, now)
            if resolved.source == "Last" or wanted == statuses:
                return resolved
            present = await self._writer.write(component, wanted)
            if present is None:
                return resolved
            component = present
        raise _too_busy(component)

    async def _ask(
        self,
        choice: ImageChoice,
        component: Component,
        namespace: str,
        names: tuple[str, ...],
        architectures: frozenset[str],
        created: datetime,
    ) -> Resolved:
        statuses, repository = component.status.channels, choice.repository
        known = known_digests(repository, statuses)
        try:
            if choice.build is not None:
                return await self.built.resolve(choice, component, names, created)
            async with self._away.asking(namespace, repository.host, registry_timeout):
                logins = await read_logins(self._kube, namespace, names, repository)
                resolved = unverified_digest(choice, statuses, self._clock())
                if resolved is None:
                    resolved = await ask_registry(self._client, choice, logins, known, architectures, self._clock())
                if choice.key is not None:
                    await verify_digest(self._client, repository, resolved.digest, choice.key, statuses, logins)
        except (RegistryAwayError, GitAwayError) as error:
            last = last_digest(choice, statuses, error.summary)
            if last is None:
                raise
            return last
        return resolved

    def _architectures(self, run: ComponentRun) -> frozenset[str]:
        template = run.spec.pod_template
        chosen = ((template.node_selector if template else None) or {}).get(_ARCHITECTURE)
        return frozenset({chosen}) if chosen else self._settings.architectures


def make_images(
    kube: Kube,
    caches: Caches,
    client: RegistryClient,
    settings: ImageSettings,
    builds: BuildSettings,
    known_builds: KnownBuilds,
    look: Callable[[Key], object],
    clock: Callable[[], datetime],
) -> Images:
    """The images of an operator.

    Args:
        kube: the API server.
        caches: of the operator.
        client: reads registries.
        settings: for all images.
        builds: for images that are built.
        known_builds: ComponentBuilds, as a watch reports them.
        look: called with each run that waited for a build that has changed.
        clock: returns the API server's time.
    """
    away = AwayHosts(clock)
    commits = GitCommits(kube, GitSettings(ca_bundle=builds.ca_bundle), away)
    built = BuiltImages(kube, caches, client, commits, known_builds, builds, away, settings.allowed, look, clock)
    return Images(kube, caches, client, settings, away, built, clock)


def _next_channels(
    component: Component, choice: ImageChoice, resolved: Resolved, now: datetime
) -> tuple[ChannelStatus, ...]:
    """The channels to have in the status: those of the spec, the default channel first, which `kubectl get` shows."""
    spec = component.spec
    default = spec.default_channel or DEFAULT_CHANNEL
    order = sorted((channel.name for channel in spec.channels), key=lambda name: name != default)
    statuses = {status.name: status for status in with_resolved(component.status.channels, choice, resolved, now)}
    return tuple(statuses[name] for name in order if name in statuses)


def _too_busy(component: Component) -> TransientError:
    return TransientError(
        f"the status of {component.KIND} `{component.metadata.name}` keeps changing while it is written", Reason.QUEUED
    )
