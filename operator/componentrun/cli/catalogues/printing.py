"""Findings, differences and lists of Components as text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from componentrun.cli.errors import BadRequestError
from componentrun.cli.terminal.render import Cell, Format, ListFormat, document
from componentrun.cli.terminal.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from componentrun.catalogue.difference import EntryChange
    from componentrun.catalogue.entry import Catalogue, Finding
    from componentrun.catalogue.search import ListedComponent
    from componentrun.cli.terminal.render import Output, Row

__all__ = ["checked", "findings_of", "print_changes", "print_components", "print_findings"]

_STYLES: Final = {"error": "bold red", "warning": "yellow", "note": "dim"}
_SIGNS: Final = {"added": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}
_MOST_FINDINGS: Final = 20
"""Findings that are printed before a catalogue is used. `lint` prints all."""
_MAX_TITLE: Final = 60
_MOST_FIELDS: Final = 10
"""Changed fields of one Component that are printed."""


def checked(catalogue: Catalogue, output: Output, title: str) -> Catalogue:
    """The catalogue, if it can be used. Prints its findings.

    Raises:
        BadRequestError: it has errors.
    """
    from componentrun.catalogue.lint import errors_in  # noqa: PLC0415 - loads the models

    findings = findings_of(catalogue)
    errors = errors_in(findings)
    if errors:
        _print_first(errors, output)
        raise BadRequestError(
            f"{title} has {count(len(errors), 'error')}; nothing was done",
            "Correct them. `componentrun catalogue lint` prints them with all warnings.",
        )
    _print_first([finding for finding in findings if finding.severity == "warning"], output)
    return catalogue


def findings_of(catalogue: Catalogue) -> tuple[Finding, ...]:
    """All findings of `lint`. Schemas are checked in a process that is stopped if that takes too long."""
    from componentrun.catalogue.lint import lint  # noqa: PLC0415 - loads the models
    from componentrun.controller.schemacheck.checker import SchemaChecker  # noqa: PLC0415 - few commands need it

    checker = SchemaChecker()
    with asyncio.Runner() as runner:
        try:
            return lint(catalogue, lambda request: runner.run(checker.check("", request)))
        finally:
            runner.run(checker.close())


def _print_first(findings: Sequence[Finding], output: Output) -> None:
    print_findings(findings[:_MOST_FINDINGS], output)
    if len(findings) > _MOST_FINDINGS:
        output.note(f"and {len(findings) - _MOST_FINDINGS} more; `componentrun catalogue lint` prints all")


def print_findings(findings: Iterable[Finding], output: Output) -> None:
    """Print a line for each finding on stderr."""
    for finding in findings:
        output.note(Cell(f"{finding.severity}: ", _STYLES[finding.severity]), str(finding))


def print_changes(changes: Iterable[EntryChange], output: Output) -> None:
    """Print a difference on stdout: a line for each Component, and indented lines for its fields."""
    for change in changes:
        sign, style = _SIGNS[change.action]
        output.line(Cell(f"{sign} {change.kind} {change.name}", style))
        for field in change.fields[:_MOST_FIELDS]:
            output.line(f"    {field}")
        if len(change.fields) > _MOST_FIELDS:
            output.line(f"    and {len(change.fields) - _MOST_FIELDS} more fields")


def print_components(items: Sequence[ListedComponent], output: Output, form: ListFormat | None) -> None:
    """Print Components as a table, as documents or by name."""
    if form in {ListFormat.JSON, ListFormat.YAML}:
        output.raw(document([_plain(item) for item in items], Format(form)))
    elif form == ListFormat.NAME:
        for item in items:
            output.line(item.name)
    elif not items:
        output.note("no such Components")
    else:
        is_wide = form == ListFormat.WIDE
        rows: list[Row] = [_row(item, is_wide=is_wide) for item in items]
        output.table(("NAME", "TYPE", "VERSION", "TITLE", *(("KIND", "CATALOGUE", "IMAGE") if is_wide else ())), rows)


def _row(item: ListedComponent, *, is_wide: bool) -> Row:
    name = Cell(f"{item.name} (deprecated)", "yellow") if item.is_deprecated else item.name
    image = str((item.document.get("spec") or {}).get("image") or "-")
    more = (item.kind, item.catalogue or "-", image) if is_wide else ()
    title = item.title if is_wide or len(item.title) <= _MAX_TITLE else f"{item.title[: _MAX_TITLE - 1]}…"
    return [name, item.type, item.version, title or "-", *more]


def _plain(item: ListedComponent) -> dict[str, Any]:
    """A Component for programs, without what only the API server uses."""
    metadata = {key: value for key, value in item.document["metadata"].items() if key != "managedFields"}
    return {**item.document, "metadata": metadata}
