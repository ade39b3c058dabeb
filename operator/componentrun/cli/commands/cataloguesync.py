"""`catalogue sync`: make the Components of a cluster those of a catalogue."""

from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.catalogues.cluster import (
    as_cluster_components,
    components_of,
    execute,
    previewed,
    raise_refused,
)
from componentrun.cli.catalogues.printing import checked, print_changes, print_findings
from componentrun.cli.catalogues.sources import read_source
from componentrun.cli.commands.catalogue import ImagePrefix, PlainHttp, Source, VerifyKey
from componentrun.cli.errors import BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.words import count

if TYPE_CHECKING:
    from componentrun.catalogue.entry import Catalogue
    from componentrun.catalogue.sync import SyncPlan
    from componentrun.errors import ComponentRunError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync", short_help="Apply a catalogue to the cluster.")(sync)


@options.with_session()
def sync(
    session: Session,
    source: Source,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the catalogue. Defaults to the one in `catalogue.yaml`."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Take over Components that exist and that this catalogue does not own."),
    ] = False,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Keep Components that the catalogue owns and no longer has.")
    ] = False,
    cluster_wide: Annotated[
        bool, typer.Option("--cluster-wide", help="Apply all Components as ClusterComponents, for all namespaces.")
    ] = False,
    image_prefix: ImagePrefix = "",
    verify_key: VerifyKey = None,
    plain_http: PlainHttp = False,
    yes: options.Yes = False,
) -> None:
    """Apply the Components of a catalogue, and delete those that it owns and no longer has.

    A catalogue owns what it has created: objects with the label `componentrun.dev/catalogue` and its name. Others are
    never changed. Components that are as the catalogue wants them are not written.
    """
    catalogue = read_source(source, image_prefix=image_prefix, plain_http=plain_http, verify_key=verify_key)
    checked(catalogue, session.output, f"`{source}`")
    if cluster_wide:
        catalogue = as_cluster_components(catalogue)
    owner = _name(catalogue, name)
    plan, refused = _plan(session, catalogue, owner, adopt=adopt, prune=not no_prune)
    _show(session, plan)
    summary = (
        f"{sum(write.action == 'added' for write in plan.writes)} added, "
        f"{sum(write.action == 'changed' for write in plan.writes)} changed, {len(plan.prunes)} deleted, "
        f"{plan.unchanged} unchanged"
    )
    if dry_run:
        session.output.note(f"catalogue `{owner}`: {summary}; nothing was written (`--dry-run`)")
        raise_refused(refused, len(plan.writes), "would be refused")
        return
    if plan.prunes:
        ask(f"{count(len(plan.prunes), 'Component')} of catalogue `{owner}` will be deleted", yes=yes)
    execute(session, plan)
    session.output.note(f"catalogue `{owner}`: {summary}")


def _name(catalogue: "Catalogue", name: str | None) -> str:
    from componentrun.catalogue.settings import CATALOGUE_NAME  # noqa: PLC0415 - few commands need it

    found = catalogue.name if name is None else name
    if not found:
        raise BadRequestError(
            "the catalogue has no name, which says what it owns",
            "Pass `--name NAME`, or write `name: NAME` to `catalogue.yaml` in its folder.",
        )
    if not CATALOGUE_NAME.fullmatch(found):
        raise BadRequestError(
            f"`--name {found}`: expected at most 63 small letters, digits, `-` and `.`", "For example: `--name sales`."
        )
    return found


def _plan(
    session: Session, catalogue: "Catalogue", owner: str, *, adopt: bool, prune: bool
) -> "tuple[SyncPlan, list[ComponentRunError]]":
    """The plan, and what the API server would refuse of it.

    Raises:
        BadRequestError: the catalogue does not own an object that it has.
    """
    from componentrun.catalogue.sync import plan_sync  # noqa: PLC0415 - loads the models

    needs_cluster = any(entry.kind == "ClusterComponent" for entry in catalogue.entries)
    existing = components_of(session, needs_cluster_components=needs_cluster)
    plan = plan_sync(catalogue, owner, existing, adopt=adopt, prune=prune)
    if plan.conflicts:
        print_findings(plan.conflicts, session.output)
        raise BadRequestError(
            f"catalogue `{owner}` does not own {count(len(plan.conflicts), 'object')} that it has; nothing was written",
            "Each line above says what to do.",
        )
    return previewed(session, plan, existing)


def _show(session: Session, plan: "SyncPlan") -> None:
    """Print what will change."""
    from componentrun.catalogue.difference import EntryChange  # noqa: PLC0415 - few commands need it

    changes = [EntryChange(write.action, write.kind, write.name, write.fields) for write in plan.writes]
    changes += [EntryChange("removed", prune.kind, prune.name) for prune in plan.prunes]
    print_changes(changes, session.output)
