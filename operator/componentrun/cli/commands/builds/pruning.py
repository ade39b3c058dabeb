"""`build prune`: deletes images that nothing names any more, with the login of the person who typed the command.

First the tags are listed, and then the objects that name images: what is named meanwhile is found. Before the deletion
the objects are listed once more, because the person may have thought for a while.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import BadRequestError, NotAllowedError, NotFoundError, UnknownKindError
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.render import Cell
from componentrun.cli.terminal.words import count
from componentrun.cli.userlogins import carried_out, user_logins
from componentrun.process.kubernetes.resources import BUILDS, CLUSTER_COMPONENTS, COMPONENTS, RUNS, SECRETS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from componentrun.cli.session import Session
    from componentrun.client.kubernetes.cluster import JsonObject
    from componentrun.core.builds.lifecycle.unused import BuiltTag, Uses, Verdict
    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.process.kubernetes.resources import Resource
    from componentrun.registry.client import RegistryClient
    from componentrun.registry.settings import RegistrySettings

__all__ = ["Pruning", "prune_images"]

_AT_ONCE: Final = 8
"""Requests to the registry."""
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Pruning:
    """What is to be pruned."""

    component: str | None
    """Only images of this Component; None: of all."""
    everywhere: bool
    """Whether of all namespaces."""
    unused_for: timedelta
    text: str
    """The same as the person wrote it."""
    secret: str | None
    """`NAMESPACE/NAME` of a Secret with the login; None: the logins of this machine."""
    plain_http: bool


def prune_images(session: Session, pruning: Pruning, *, dry_run: bool, yes: bool) -> None:
    """Print what would be deleted, and why the rest is kept; then delete it, unless it is a dry run.

    Raises:
        BadRequestError: there is nothing to look at, or a login is missing or refused.
        EnvironmentFault: the cluster or the registry does not respond.
    """
    from componentrun.core.builds.lifecycle.unused import verdicts  # noqa: PLC0415 - few commands need it

    components, builds = _components(session, pruning), _listed(session, BUILDS, pruning)
    repositories = _repositories(components, builds, pruning)
    logins = {repository: _logins(session, repository, pruning.secret) for repository in repositories}
    settings = _settings(repositories, pruning)
    tags = carried_out(_tags(settings, logins))
    found = verdicts(tags, _uses(session, pruning))
    _print(session, found, pruning.text)
    unused = [verdict.tag for verdict in found if not verdict.kept_because]
    if not unused or dry_run:
        _summary(session, len(unused), len(found) - len(unused))
        return
    ask(f"{count(len(unused), 'tag')} will be deleted from the registry for good", yes=yes)
    again = verdicts(tags, _uses(session, pruning))
    carried_out(_delete(session, settings, logins, [verdict.tag for verdict in again if not verdict.kept_because]))


def _listed(session: Session, resource: Resource, pruning: Pruning) -> list[JsonObject]:
    return session.cluster.list(resource, everywhere=pruning.everywhere)


def _components(session: Session, pruning: Pruning) -> list[JsonObject]:
    return _listed(session, COMPONENTS, pruning)


def _uses(session: Session, pruning: Pruning) -> Uses:
    from componentrun.core.builds.lifecycle.unused import find_uses  # noqa: PLC0415 - few commands need it

    # In this order: a run that is created meanwhile names an image that a channel or a build names as well.
    runs, builds = _listed(session, RUNS, pruning), _listed(session, BUILDS, pruning)
    components = _components(session, pruning)
    try:
        components += session.cluster.list(CLUSTER_COMPONENTS, everywhere=True)
    except (NotAllowedError, UnknownKindError) as error:
        session.output.note(f"ClusterComponents are left out: {error.summary}")
    return find_uses(components, builds, runs, session.now(), pruning.unused_for)


def _repositories(components: Sequence[JsonObject], builds: Sequence[JsonObject], pruning: Pruning) -> list[Repository]:
    from componentrun.core.builds.lifecycle.unused import targets_of  # noqa: PLC0415 - few commands need it
    from componentrun.core.images.reference import parse_repository  # noqa: PLC0415 - likewise

    targets = targets_of(components, builds, pruning.component)
    if not targets:
        what = f"Component `{pruning.component}`" if pruning.component else "any Component"
        raise NotFoundError(
            f"nothing is known of images that were built for {what}",
            "`componentrun build list` lists the builds; `--namespace NAME` looks in another namespace.",
        )
    return [parse_repository(target, "spec.target") for target in targets]


def _settings(repositories: Sequence[Repository], pruning: Pruning) -> RegistrySettings:
    from componentrun.registry.settings import RegistrySettings  # noqa: PLC0415 - few commands need it

    hosts = frozenset(repository.host for repository in repositories) if pruning.plain_http else frozenset[str]()
    return RegistrySettings(plain_http=hosts, request_seconds=_SECONDS)


def _logins(session: Session, repository: Repository, secret: str | None) -> tuple[tuple[Login, ...], str]:
    """Logins for a repository, and why there are none that can be used."""
    if secret is None:
        return user_logins(repository)
    from componentrun.core.images.pullsecrets import logins_for, read_pull_secret  # noqa: PLC0415 - rarely needed

    namespace, slash, name = secret.partition("/")
    if not slash or not namespace or not name:
        raise BadRequestError(f"`--secret {secret}`: expected `NAMESPACE/NAME`", "For example: `builds/prune`.")
    found = read_pull_secret(name, session.cluster.get(SECRETS, name, namespace=namespace))
    logins = logins_for(repository, [found])
    if not logins:
        raise BadRequestError(
            found.problem or f"Secret `{name}` in namespace `{namespace}` has no login for `{repository.name}`",
            "Name another one, or use `docker login` and no `--secret`.",
        )
    return logins, ""


async def _tags(
    settings: RegistrySettings, logins: Mapping[Repository, tuple[tuple[Login, ...], str]]
) -> list[BuiltTag]:
    """The tags of builds in these repositories, with their digests."""
    from componentrun.core.builds.lifecycle.unused import BUILD_TAG  # noqa: PLC0415 - few commands need it
    from componentrun.registry.client import RegistryClient  # noqa: PLC0415 - likewise
    from componentrun.registry.errors import ImageError, Problem  # noqa: PLC0415 - likewise

    slots = asyncio.Semaphore(_AT_ONCE)
    found: list[BuiltTag | None] = []
    async with RegistryClient(settings) as client:
        for repository, (usable, known) in logins.items():
            try:
                names = await client.tags(repository, usable, known)
            except ImageError as error:
                if error.problem is not Problem.NO_SUCH_REPOSITORY:
                    raise
                continue  # nothing was pushed yet
            builds = [name for name in names if BUILD_TAG.fullmatch(name)]
            found += await asyncio.gather(*(_tag(client, repository, name, usable, known, slots) for name in builds))
    return [tag for tag in found if tag is not None]


async def _tag(
    client: RegistryClient,
    repository: Repository,
    name: str,
    logins: tuple[Login, ...],
    known: str,
    slots: asyncio.Semaphore,
) -> BuiltTag | None:
    """A tag with its digest; None if it was deleted meanwhile."""
    from componentrun.core.builds.lifecycle.unused import BuiltTag  # noqa: PLC0415 - few commands need it
    from componentrun.registry.errors import ImageError, Problem  # noqa: PLC0415 - likewise

    async with slots:
        try:
            return BuiltTag(repository.name, name, await client.digest(repository, name, logins, known))
        except ImageError as error:
            if error.problem is not Problem.NO_SUCH_TAG:
                raise
            return None


async def _delete(
    session: Session,
    settings: RegistrySettings,
    logins: Mapping[Repository, tuple[tuple[Login, ...], str]],
    tags: Sequence[BuiltTag],
) -> None:
    """Delete the images of these tags, one after another, until one is refused."""
    from componentrun.registry.removal import RegistryRemover  # noqa: PLC0415 - few commands need it

    repositories = {repository.name: repository for repository in logins}
    digests = dict.fromkeys((tag.repository, tag.digest) for tag in tags)
    deleted = 0
    async with RegistryRemover(settings) as remover:
        for name, digest in digests:
            usable, known = logins[repositories[name]]
            deleted += await remover.delete(repositories[name], digest, next(iter(usable), None), known)
    session.output.note(f"{count(deleted, 'image')} deleted; the registry frees the space when it collects its garbage")


def _print(session: Session, found: Sequence[Verdict], text: str) -> None:
    why = f"no channel, no running build, and no run of the last {text} names it"
    session.output.table(
        ("IMAGE", "ACTION", "WHY"),
        [
            [
                f"{verdict.tag.repository}:{verdict.tag.tag}",
                "keep" if verdict.kept_because else Cell("delete", "red"),
                verdict.kept_because or why,
            ]
            for verdict in found
        ],
    )


def _summary(session: Session, unused: int, kept: int) -> None:
    what = f"{count(unused, 'tag')} would be deleted" if unused else "nothing to delete"
    session.output.note(f"{what}; {count(kept, 'tag')} kept")
