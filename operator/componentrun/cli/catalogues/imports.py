"""Imports an index or repositories, and writes a file for each Component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.cli.catalogues.printing import print_findings
from componentrun.cli.errors import BadRequestError
from componentrun.cli.terminal.render import Cell, Format, Output, document
from componentrun.cli.terminal.saving import save

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.catalogue.entry import JsonObject
    from componentrun.catalogue.imported.image import ImageOptions
    from componentrun.catalogue.imported.report import ImportReport

__all__ = ["import_from", "print_report", "write_components"]

_LABELS: Final = {
    "Changed": ("changed: ", "dim"),
    "LeftOut": ("left out: ", "yellow"),
    "NotImported": ("not imported: ", "bold red"),
    "ToDo": ("to do: ", "cyan"),
}


def import_from(source: Path, options: ImageOptions, *, id_: str = "", tag: str = "") -> ImportReport:
    """Import the index in a file, or all folders `component_config` in a folder.

    Raises:
        UserError: there is nothing to import, or it has an unexpected form.
    """
    from componentrun.catalogue.folder import find_repositories, read_repository  # noqa: PLC0415 - loads the models
    from componentrun.catalogue.imported.index import import_index  # noqa: PLC0415 - likewise
    from componentrun.catalogue.imported.report import ImportReport  # noqa: PLC0415 - likewise

    if not source.is_dir():
        return import_index(_text(source), f"`{source}`", options)
    folders, findings = find_repositories(source)
    if not folders:
        print_findings(findings, Output())
        raise BadRequestError(
            f"found no folder `component_config` in `{source}`",
            "Pass the folder of a component's repository, one above several, or the file of a component index.",
        )
    if id_ and len(folders) > 1:
        raise BadRequestError(
            f"`--id {id_}`: `{source}` has {len(folders)} repositories; an id is for one", "Import them one by one."
        )
    report = ImportReport()
    report.findings += findings
    for folder in folders:
        read_repository(folder, options, report, id_=id_, tag=tag)
    return report


def write_components(manifests: list[JsonObject], folder: Path, *, overwrite: bool) -> None:
    """Write `<name>.yaml` for each Component.

    Raises:
        BadRequestError: two have the same name, a file exists already, or can't be written.
    """
    files: dict[Path, JsonObject] = {}
    for manifest in manifests:
        path = folder / f"{manifest['metadata']['name']}.yaml"
        if path in files:
            raise BadRequestError(
                f"two components have the name `{manifest['metadata']['name']}`; nothing was written",
                "Import them one by one, and rename one.",
            )
        files[path] = manifest
    existing = [path for path in files if path.exists() or path.is_symlink()]
    if existing and not overwrite:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise BadRequestError(
            f"`{existing[0]}` exists already{more}; nothing was written",
            "Choose another folder, or pass `--overwrite`.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, manifest in files.items():
            _write(path, document(manifest, Format.YAML).encode())
    except OSError as error:
        raise BadRequestError(f"can't write to `{folder}`: {error.strerror}", "Choose another folder.") from error


def _write(path: Path, content: bytes) -> None:
    save(path, lambda file: file.write(content))


def print_report(report: ImportReport, output: Output) -> None:
    """Print a line for each finding of an import on stderr."""
    for finding in report.findings:
        label, style = _LABELS.get(finding.rule, (f"{finding.severity}: ", "yellow"))
        output.note(Cell(label, style), f"{finding.subject}: {finding.message}")


def _text(path: Path) -> str:
    from componentrun.catalogue.limits import MAX_INDEX_BYTES  # noqa: PLC0415 - with the others

    try:
        size = path.stat().st_size
        if size > MAX_INDEX_BYTES:
            raise BadRequestError(
                f"`{path}` has {size} bytes; expected at most {MAX_INDEX_BYTES}", "Split the component index."
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadRequestError(f"can't read `{path}`: {error.strerror}", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise BadRequestError(f"`{path}` is not text in UTF-8", "Save it in UTF-8.") from error
