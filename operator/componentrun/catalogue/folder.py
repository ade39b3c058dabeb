"""Reads a folder with Component files, and with repositories of components, as a catalogue.

Which files count: all with the suffix `.yaml`, `.yml` or `.json` below the folder, except in hidden folders; and each
folder `component_config`, which is imported as a component's repository. The file `catalogue.yaml` in the folder itself
names the catalogue. Links out of the folder are refused, because a catalogue must not depend on other files.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.catalogue.entry import Catalogue, CatalogueEntry, Finding
from componentrun.catalogue.imported.image import ImageOptions
from componentrun.catalogue.imported.report import ImportReport
from componentrun.catalogue.imported.repository import CONFIG_FOLDER, id_in_workflows, import_repository
from componentrun.catalogue.limits import (
    MAX_BUNDLE_BYTES,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_FOLDER_DEPTH,
)
from componentrun.catalogue.manifests import entries_in, parse_documents
from componentrun.catalogue.settings import CatalogueSettings, settings_from
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SETTINGS_FILE", "find_repositories", "read_folder", "read_repository"]

SETTINGS_FILE: Final = "catalogue.yaml"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_SAMPLES: Final = "sample-config"
"""Folder with a data folder as an example; it says nothing about the component."""
_WORKFLOW_FOLDERS: Final = (".github/workflows", ".")
_WORKFLOW_SUFFIXES: Final = (".yml", ".yaml", ".sh")


@dataclass
class _Reading:
    """What was read so far."""

    root: Path
    settings: CatalogueSettings
    entries: list[CatalogueEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    bytes: int = 0

    def place(self, path: Path) -> str:
        """A path in messages."""
        return path.relative_to(self.root).as_posix()

    def error(self, rule: str, path: Path, message: str) -> None:
        """Report a file."""
        self.findings.append(Finding("error", rule, f"`{self.place(path)}`", message))

    def count(self) -> None:
        """Count a file or folder.

        Raises:
            UserError: there are too many.
        """
        self.files += 1
        if self.files > MAX_FILES:
            raise UserError(
                f"folder `{self.root}` has more than {MAX_FILES} files; expected a folder with Components",
                Reason.INVALID_SPEC,
                advice="Choose the folder of the catalogue, not one above it.",
            )

    def text(self, path: Path) -> str | None:
        """Text of a regular file; None after reporting why there is none.

        Raises:
            UserError: all files together are too large.
        """
        try:
            size = path.stat().st_size
            if size > MAX_FILE_BYTES:
                self.error("TooLarge", path, f"it has {size} bytes; expected at most {MAX_FILE_BYTES}")
                return None
            self.bytes += size
            if self.bytes > MAX_BUNDLE_BYTES:
                raise UserError(
                    f"the files in `{self.root}` have more than {MAX_BUNDLE_BYTES} bytes together",
                    Reason.INVALID_SPEC,
                    advice="Split the catalogue.",
                )
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self.error("InvalidFile", path, "it is not text in UTF-8")
        except OSError as error:
            self.error("InvalidFile", path, f"it can't be read: {error.strerror}")
        return None


def read_folder(root: Path, *, image_prefix: str = "") -> Catalogue:
    """Read a folder. What is wrong with single files is in the catalogue's findings.

    Args:
        root: the folder.
        image_prefix: where the images of imported repositories are; instead of the one in `catalogue.yaml`.

    Raises:
        UserError: there is no such folder, or it is larger than a catalogue may be.
    """
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise UserError(
            f"found {found} at `{root}`; expected a folder with Components",
            Reason.INVALID_SPEC,
            advice="Check the path.",
        )
    reading = _Reading(root, CatalogueSettings())
    settings_path = root / SETTINGS_FILE
    if _is_file(root, settings_path):
        reading.settings = _settings(reading, settings_path)
    if image_prefix:
        reading.settings = CatalogueSettings(reading.settings.name, image_prefix)
    for path in _walk(reading, root, 0):
        if path.is_dir():
            _import(reading, path)
        elif path != settings_path and (text := reading.text(path)) is not None:
            entries, findings = entries_in(text, reading.place(path))
            reading.entries += entries
            reading.findings += findings
        if len(reading.entries) > MAX_ENTRIES:
            raise UserError(
                f"folder `{root}` has more than {MAX_ENTRIES} Components",
                Reason.INVALID_SPEC,
                advice="Split the catalogue.",
            )
    entries = sorted(reading.entries, key=lambda entry: (entry.key, entry.source))
    return Catalogue(reading.settings.name, tuple(entries), tuple(reading.findings))


def find_repositories(root: Path) -> tuple[list[Path], list[Finding]]:
    """The folders `component_config` in a folder, which may be one itself, and findings about what can't be read.

    Raises:
        UserError: the folder has too many files.
    """
    if root.name == CONFIG_FOLDER:
        return [root], []
    reading = _Reading(root, CatalogueSettings())
    return [path for path in _walk(reading, root, 0) if path.is_dir()], reading.findings


def read_repository(folder: Path, options: ImageOptions, report: ImportReport, *, id_: str = "", tag: str = "") -> None:
    """Import one folder `component_config`.

    Args:
        folder: the folder itself.
        options: where the image is.
        report: what the import collects.
        id_: the component's id. Defaults to the one in the repository's workflows.
        tag: tag of the image.

    Raises:
        UserError: the folder is larger than a catalogue may be.
    """
    reading = _Reading(folder.parent, CatalogueSettings())
    files: dict[str, str] = {}
    for path in _files(reading, folder, 0):
        name = path.relative_to(folder).as_posix()
        if name.split("/", 1)[0] == _SAMPLES:
            continue
        is_known_text = path.suffix in {".json", ".md"} or "." not in path.name
        files[name] = (reading.text(path) or "") if is_known_text else ""
    report.findings += reading.findings
    id_ = id_ or id_in_workflows(_workflows(reading, folder.parent))
    import_repository(files, id_, f"{folder.parent.name}/{folder.name}", options, report, tag=tag)


def _settings(reading: _Reading, path: Path) -> CatalogueSettings:
    text = reading.text(path)
    try:
        contents = parse_documents(text or "", SETTINGS_FILE)
        return settings_from(contents[0] if len(contents) == 1 else None)
    except ValueError as error:
        reading.error("InvalidSettings", path, str(error))
        return CatalogueSettings()


def _walk(reading: _Reading, folder: Path, depth: int) -> Iterator[Path]:
    """Files that may hold Components, and folders `component_config`, in a stable order."""
    for path in _children(reading, folder, depth):
        if path.is_dir():
            if path.name == CONFIG_FOLDER:
                yield path
            else:
                yield from _walk(reading, path, depth + 1)
        elif path.suffix in _SUFFIXES:
            yield path


def _files(reading: _Reading, folder: Path, depth: int) -> Iterator[Path]:
    for path in _children(reading, folder, depth):
        if path.is_dir():
            yield from _files(reading, path, depth + 1)
        else:
            yield path


def _children(reading: _Reading, folder: Path, depth: int) -> Iterator[Path]:
    """Files and folders in a folder, without hidden ones. Links out of the root and special files are reported."""
    if depth > MAX_FOLDER_DEPTH:
        reading.error("TooDeep", folder, f"expected at most {MAX_FOLDER_DEPTH} folders inside each other")
        return
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        path = folder / item.name
        if item.name.startswith("."):
            continue
        reading.count()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) or _is_file(reading.root, path):
            yield path
        elif stat.S_ISLNK(mode):
            message = "found a link to a folder, or out of the catalogue. Replace it by what it points to"
            reading.error("Link", path, message)
        else:
            reading.error("SpecialFile", path, "found neither a file nor a folder. Remove it")


def _import(reading: _Reading, folder: Path) -> None:
    """Import a folder `component_config`."""
    report = ImportReport()
    read_repository(folder, ImageOptions(reading.settings.image_prefix), report)
    source = reading.place(folder)
    reading.entries += [CatalogueEntry(manifest, source) for manifest in report.manifests]
    reading.findings += report.findings


def _workflows(reading: _Reading, repository: Path) -> dict[str, str]:
    """Texts of the files that may name the component's id."""
    texts = {}
    for name in _WORKFLOW_FOLDERS:
        folder = repository / name
        if not folder.is_dir() or folder.is_symlink():
            continue
        for path in sorted(folder.iterdir()):
            if (
                path.suffix in _WORKFLOW_SUFFIXES
                and _is_file(repository, path)
                and path.stat().st_size <= MAX_FILE_BYTES
            ):
                texts[f"{name}/{path.name}"] = reading.text(path) or ""
    return texts


def _is_file(root: Path, path: Path) -> bool:
    """Whether this is a regular file, or a link to one below the root, as the files of a mounted ConfigMap are."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return target.is_relative_to(root.resolve()) and stat.S_ISREG(target.lstat().st_mode)
