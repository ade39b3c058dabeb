"""The Components of a cluster, and what a sync writes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import BadRequestError, NotAllowedError, NotFoundError, UnknownKindError
from componentrun.cli.terminal.words import count
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from componentrun.catalogue.entry import Catalogue, JsonObject
    from componentrun.catalogue.sync import SyncPlan, Write
    from componentrun.cli.session import Session
    from componentrun.errors import ComponentRunError

__all__ = ["as_cluster_components", "components_of", "execute", "previewed", "raise_refused"]

_RESOURCES: Final = {"ClusterComponent": CLUSTER_COMPONENTS, "Component": COMPONENTS}
_MOST_ERRORS: Final = 10


def components_of(session: Session, *, needs_cluster_components: bool = False) -> list[JsonObject]:
    """All Components of the namespace, and all ClusterComponents.

    If the caller may not list ClusterComponents, or their CRD is missing, they are left out with a note unless they are
    needed.

    Raises:
        ComponentRunError: they can't be listed.
    """
    components = session.cluster.list(COMPONENTS)
    try:
        return components + session.cluster.list(CLUSTER_COMPONENTS, everywhere=True)
    except (NotAllowedError, UnknownKindError) as error:
        if needs_cluster_components:
            raise
        session.output.note(f"ClusterComponents are left out: {error.summary}")
        return components


def as_cluster_components(catalogue: Catalogue) -> Catalogue:
    """The catalogue with each Component as a ClusterComponent."""
    entries = (replace(entry, manifest={**entry.manifest, "kind": "ClusterComponent"}) for entry in catalogue.entries)
    return replace(catalogue, entries=tuple(sorted(entries, key=lambda entry: (entry.key, entry.source))))


def previewed(
    session: Session, plan: SyncPlan, existing: Iterable[JsonObject]
) -> tuple[SyncPlan, list[ComponentRunError]]:
    """The plan with the fields that the API server would change, and what it would refuse.

    Only the server knows: an apply removes the fields that the catalogue applied before, and leaves those of others. It
    is asked with a dry run for each object that would be changed.

    Raises:
        ComponentRunError: the cluster does not respond.
    """
    from componentrun.catalogue.difference import field_changes  # noqa: PLC0415 - loads the models
    from componentrun.catalogue.sync import FIELD_MANAGER  # noqa: PLC0415 - likewise

    found = {(item["kind"], item["metadata"]["name"]): item for item in existing}
    writes: list[Write] = []
    errors: list[ComponentRunError] = []
    for write in plan.writes:
        if write.action == "added":
            writes.append(write)
            continue
        try:
            future = session.cluster.apply(_RESOURCES[write.kind], write.manifest, FIELD_MANAGER, dry_run=True)
        except BadRequestError as error:
            errors.append(error)
            writes.append(write)
        else:
            writes.append(replace(write, fields=field_changes(found[write.kind, write.name], future)))
    return replace(plan, writes=tuple(writes)), errors


def execute(session: Session, plan: SyncPlan) -> None:
    """Write what a plan says. Nothing is deleted unless everything was applied.

    Raises:
        ComponentRunError: some objects were refused. All others were written.
    """
    from componentrun.catalogue.sync import FIELD_MANAGER  # noqa: PLC0415 - loads the models

    def apply(manifest: JsonObject) -> Callable[[], object]:
        return lambda: session.cluster.apply(_RESOURCES[manifest["kind"]], manifest, FIELD_MANAGER)

    _carry_out([apply(write.manifest) for write in plan.writes], "applied; nothing was deleted")
    for prune in plan.prunes:
        with suppress(NotFoundError):  # Somebody else deleted it.
            session.cluster.delete(_RESOURCES[prune.kind], prune.name, uid=prune.uid)


def _carry_out(requests: Sequence[Callable[[], object]], what: str) -> None:
    """Send all requests, and raise what was refused at the end."""
    errors: list[ComponentRunError] = []
    for request in requests:
        try:
            request()
        except BadRequestError as error:
            errors.append(error)
    raise_refused(errors, len(requests), f"could not be {what}")


def raise_refused(errors: Sequence[ComponentRunError], total: int, what: str) -> None:
    """Raise one error for all objects that the API server refused, or would refuse; none if there are none.

    Args:
        errors: the refusals.
        total: number of objects that it was asked about.
        what: what happened to the refused ones.

    Raises:
        BadRequestError: there is a refusal.
    """
    if not errors:
        return
    summaries = [error.summary for error in errors[:_MOST_ERRORS]]
    more = f"; and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
    raise BadRequestError(
        f"{count(len(errors), 'Component')} of {total} {what}: {'; '.join(summaries)}{more}",
        "Correct them, and sync again: those that were applied are left alone.",
    ) from errors[0]
