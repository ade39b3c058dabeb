"""From a channel with `build` to the ComponentBuild that a run needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from componentrun.api import names
from componentrun.api.build.componentbuild import ComponentBuild, ComponentBuildSpec, GitCommit
from componentrun.api.common import ObjectMeta, duration_seconds
from componentrun.core.builds.dockerfile import DEFAULT_DOCKERFILE
from componentrun.core.builds.pod import build_inputs, check_parent, target_of
from componentrun.core.builds.settings import DEFAULT_TIMEOUT_SECONDS, FOLDER
from componentrun.core.builds.source import check_context_dir, check_ref, parse_git_url
from componentrun.core.images.allowed import check_allowed
from componentrun.core.images.freshness import fresh_since, max_age_of, not_before
from componentrun.core.images.reference import parse_reference
from componentrun.core.pod.metadata import label_value
from componentrun.core.request.image import component_image, split_tag
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from componentrun.api.build.source import Build
    from componentrun.api.component import Component
    from componentrun.core.builds.settings import BuildSettings
    from componentrun.core.builds.source import FoundCommit, GitUrl
    from componentrun.core.images.channels import ImageChoice
    from componentrun.core.images.reference import Repository

__all__ = ["BuildRequest", "ParentChoice", "new_build", "read_request", "with_target"]

_DEFAULT_TAG: Final = "latest"


@dataclass(frozen=True, slots=True)
class ParentChoice:
    """The parent image: exactly one of `tag` and `digest` is set."""

    repository: Repository
    tag: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What a channel asks for, checked."""

    namespace: str
    component: str
    build: Build
    url: GitUrl
    ref: str
    """Empty for the default branch."""
    context_dir: str
    secret: str | None
    """Name of the Secret with the login of the git host."""
    parent: ParentChoice | None
    """None with the engine `dockerfile`."""
    bases: tuple[tuple[str, ParentChoice], ...]
    """Names of images in the Dockerfile, and the images that replace them."""
    target: Repository
    timeout_seconds: int
    fresh: datetime | None = None
    """Images that were built for an earlier time are not used; None: all are."""
    max_age: timedelta | None = None
    """Images that are older are not used; None: all are."""


def with_target(choice: ImageChoice, component: Component, settings: BuildSettings) -> ImageChoice:
    """The choice with the repository that its images are pushed to; unchanged if it is not built.

    Raises:
        UserError: (InvalidSpec) builds are not enabled, or the Component is a ClusterComponent.
    """
    if choice.build is None:
        return choice
    metadata = component.metadata
    if not metadata.namespace:
        raise UserError(
            f"{component.KIND} `{metadata.name}`: channel `{choice.channel}`: found `build`; expected it in a "
            "Component, because each namespace has images of its own",
            Reason.INVALID_SPEC,
            advice="Create a Component of this name in the namespace of the run.",
        )
    if not settings.is_enabled:
        raise UserError(
            f"Component `{metadata.name}` has a channel with `build`, but builds are not enabled",
            Reason.INVALID_SPEC,
            advice="Have `builds.enabled` and `builds.repository` of the chart set, or use another channel.",
        )
    return replace(choice, repository=target_of(metadata.namespace, metadata.name, settings))


def read_request(
    component: Component, channel: str, settings: BuildSettings, allowed: Sequence[str] = ()
) -> BuildRequest:
    """What a channel with `build` asks for.

    Args:
        component: the Component.
        channel: name of the channel.
        settings: where images are pushed to, and which hosts repositories may be on.
        allowed: registries that the parent may come from, in the form of `normal_prefix`; empty: all.

    Raises:
        UserError: something in it can't be used.
    """
    metadata = component.metadata
    owner = f"Component `{metadata.name}`: channel `{channel}`: build"
    build = next(item.build for item in component.spec.channels if item.name == channel and item.build is not None)
    git = build.source.git
    url = parse_git_url(git.url, f"{owner}.source.git.url")
    _check_host(url, settings, owner)
    if git.ref is not None:
        check_ref(git.ref, f"{owner}.source.git.ref")
    _check_engine(build, settings, owner)
    parent = _parent(component) if build.engine == "layer" else None
    bases = tuple(
        (name, _choice(image, f"{owner}.bases[{name}]")) for name, image in sorted((build.bases or {}).items())
    )
    for choice in (*([] if parent is None else [parent]), *(base for _, base in bases)):
        check_allowed(choice.repository, allowed)
        check_parent(choice.repository, metadata.namespace, settings)
    return BuildRequest(
        metadata.namespace,
        metadata.name,
        build,
        url,
        git.ref or "",
        check_context_dir(git.context_dir or "", f"{owner}.source.git.contextDir"),
        git.secret_ref.name if git.secret_ref is not None else None,
        parent,
        bases,
        target_of(metadata.namespace, metadata.name, settings),
        _timeout(build, owner),
        fresh_since(component, channel),
        max_age_of(build, owner),
    )


def _check_host(url: GitUrl, settings: BuildSettings, owner: str) -> None:
    if not settings.git_hosts or url.authority in settings.git_hosts:
        return
    allowed = ", ".join(f"`{host}`" for host in settings.git_hosts)
    raise UserError(
        f"{owner}.source.git.url: host `{url.authority}` is not allowed: expected one of {allowed}",
        Reason.INVALID_SPEC,
        advice="Use a repository on one of them, or have the chart's `builds.gitHosts` extended.",
    )


def _check_engine(build: Build, settings: BuildSettings, owner: str) -> None:
    of_layers = {"commands": build.commands, "entrypoint": build.entrypoint}
    of_dockerfiles = {
        "dockerfile": build.dockerfile,
        "target": build.target,
        "bases": build.bases,
        "secrets": build.secrets,
    }
    others = of_dockerfiles if build.engine == "layer" else of_layers
    for field, value in others.items():
        if value:
            other = "dockerfile" if build.engine == "layer" else "layer"
            raise UserError(
                f"{owner}.{field} has no effect with the engine `{build.engine}`",
                Reason.INVALID_SPEC,
                advice=f"Remove it, or set `engine: {other}`.",
            )
    if build.engine == "dockerfile":
        if not settings.builds_dockerfiles:
            raise UserError(
                f"{owner}.engine is `dockerfile`, which the platform has not enabled",
                Reason.INVALID_SPEC,
                advice="Use the engine `layer`, or have `builds.dockerfile.enabled` of the chart set.",
            )
        check_context_dir(build.dockerfile or DEFAULT_DOCKERFILE, f"{owner}.dockerfile")


def _parent(component: Component) -> ParentChoice:
    owner = f"Component `{component.metadata.name}`: spec.image"
    return _choice(component_image(component, None, "spec.tag"), owner)


def _choice(image: str, owner: str) -> ParentChoice:
    repository = parse_reference(image, owner)
    name, _, digest = image.partition("@")
    return ParentChoice(repository, None if digest else split_tag(name)[1] or _DEFAULT_TAG, digest or None)


def _timeout(build: Build, owner: str) -> int:
    if build.timeout is None:
        return DEFAULT_TIMEOUT_SECONDS
    try:
        return int(duration_seconds(build.timeout))
    except ValueError as error:
        raise UserError(f"{owner}.timeout: {error}", Reason.INVALID_SPEC) from error


def new_build(
    request: BuildRequest,
    found: FoundCommit,
    parent_digest: str | None,
    settings: BuildSettings,
    base_digests: Sequence[str],
    now: datetime,
) -> ComponentBuild:
    """The build of a commit on a parent. The same input has the same name.

    Args:
        request: what the channel asks for.
        found: the commit.
        parent_digest: digest of the parent image; None if the request has none.
        settings: platform of the image.
        base_digests: digests of the images in `request.bases`.
        now: the time, for the maximum age of the image.
    """
    build, parent = request.build, request.parent
    is_dockerfile = build.engine == "dockerfile"
    bases = {name: base.repository.at(digest) for (name, base), digest in zip(request.bases, base_digests, strict=True)}
    spec = ComponentBuildSpec(
        component=request.component,
        git=GitCommit(
            url=request.url.text,
            commit=found.commit,
            ref=found.ref or None,
            secret_ref=build.source.git.secret_ref,
            context_dir=request.context_dir or None,
        ),
        engine=build.engine,
        parent=parent.repository.at(parent_digest) if parent is not None and parent_digest is not None else None,
        dockerfile=build.dockerfile or DEFAULT_DOCKERFILE if is_dockerfile else None,
        stage=build.target,
        bases=bases or None,
        secrets=build.secrets or None,
        platform=settings.platform,
        folder=FOLDER,
        commands=build.commands,
        arguments=build.arguments or None,
        entrypoint=build.entrypoint,
        target=request.target.name,
        timeout_seconds=request.timeout_seconds,
    )
    time = not_before(request.fresh, request.max_age, build_inputs(spec).digest, now)
    spec = spec.model_copy(update={"not_before": time})
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.COMPONENT_LABEL: label_value(request.component),
    }
    metadata = ObjectMeta(name=build_inputs(spec).name, namespace=request.namespace, labels=labels)
    return ComponentBuild(metadata=metadata, spec=spec)
