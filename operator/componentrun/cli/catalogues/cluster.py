"""The Components of a cluster, and what a sync writes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from componentrun.cli.errors import BadRequestError, NotAllowedError, NotFoundError, UnknownKindError
from componentrun.cli.terminal.words import count
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.catalogue.entry import Catalogue, JsonObject
    from componentrun.catalogue.sync import SyncPlan
    from componentrun.cli.session import Session
    from componentrun.errors import ComponentRunError

__all__ = ["as_cluster_components", "components_of", "execute"]

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
    if not errors:
        return
    summaries = [error.summary for error in errors[:_MOST_ERRORS]]
    more = f"; and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
    raise BadRequestError(
        f"{count(len(errors), 'Component')} of {len(requests)} could not be {what}: {'; '.join(summaries)}{more}",
        "Correct them, and sync again: those that were applied are left alone.",
    ) from errors[0]
