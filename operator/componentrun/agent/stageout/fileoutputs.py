"""Decides which files below out/files are stored, with which tags.

Every file is stored. The output mapping, and after it the file's manifest, set its tags and whether it is permanent.
Hidden files, which editors and shells leave, are skipped unless the mapping or a manifest names them. Folders are
errors, because sliced files are not supported.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from componentrun.agent.folder import FILE, FOLDER, refused, shown
from componentrun.agent.stageout.manifestkeys import check_file_keys, input_keys
from componentrun.agent.stageout.manifestvalues import manifest_flag, manifest_names, manifest_object
from componentrun.contract import MANIFEST_SUFFIX, OUT_FILES
from componentrun.errors import Reason, UserError
from componentrun.wire.filenames import name_problem, tags_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.agent.folder import Entry, Folder
    from componentrun.wire.agents import OutputFile, StageOutPlan

__all__ = ["FileDecision", "FileManifest", "FileSource", "decide_files", "file_outputs", "parse_file_manifest"]


@dataclass(frozen=True, slots=True)
class FileManifest:
    """The manifest of a file. None means that the manifest does not set the value."""

    tags: tuple[str, ...] | None = None
    permanent: bool | None = None
    public: bool = False
    warning: str | None = None
    """Warning about ignored keys that may matter."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file to store."""

    name: str
    size: int
    """Size in bytes when it was listed."""
    tags: tuple[str, ...]
    permanent: bool


@dataclass(frozen=True, slots=True)
class FileDecision:
    """What to do with everything below out/files."""

    sources: tuple[FileSource, ...]
    warnings: tuple[str, ...]
    errors: tuple[UserError, ...]

    @property
    def size(self) -> int:
        """Number of bytes to store."""
        return sum(source.size for source in self.sources)


def file_outputs(folder: Folder, plan: StageOutPlan) -> FileDecision:
    """List out/files, read its manifests, and decide."""
    try:
        entries = folder.entries(OUT_FILES)
    except UserError as error:
        return FileDecision((), (), (error,))
    manifests: dict[str, FileManifest | UserError] = {}
    for entry in entries:
        if entry.name.endswith(MANIFEST_SUFFIX):
            path = f"{OUT_FILES}/{entry.name}"
            try:
                manifest: FileManifest | UserError = parse_file_manifest(folder.document(path), path)
            except UserError as error:
                manifest = error
            manifests[entry.name.removesuffix(MANIFEST_SUFFIX)] = manifest
    return decide_files(entries, manifests, plan)


def parse_file_manifest(text: bytes, file: str) -> FileManifest:
    """Parse the manifest of a file. Keys without effect here (`is_encrypted`, `notify`) are accepted and ignored.

    Raises:
        UserError: (OutputInvalid) it is not a JSON object, a key is unknown, or a value has the wrong type.
    """
    name = shown(file)
    raw = manifest_object(text, name)
    check_file_keys(raw, name)
    tags = manifest_names(raw, "tags", name)
    problem = tags_problem(tags or ())
    if problem is not None:
        raise UserError(f"{name}: it {problem}", Reason.OUTPUT_INVALID)
    return FileManifest(
        tags=tags,
        permanent=manifest_flag(raw, "is_permanent", name),
        public=bool(manifest_flag(raw, "is_public", name)),
        warning=input_keys(raw, name, "file"),
    )


def decide_files(
    entries: Sequence[Entry], manifests: Mapping[str, FileManifest | UserError], plan: StageOutPlan
) -> FileDecision:
    """Decide what to store. Pure.

    Args:
        entries: entries of out/files.
        manifests: name of a file to its manifest, or to the error in it.
        plan: contains the output mapping, and tags for every file.
    """
    files = [entry for entry in entries if not entry.name.endswith(MANIFEST_SUFFIX)]
    names = {entry.name for entry in files}
    errors = [_missing(line, names) for line in plan.files if not line.optional and not _any(line, names)]
    errors += [_orphan(name) for name in manifests if name not in names]
    sources: list[FileSource] = []
    warnings: list[str] = []
    for entry in files:
        line = next((line for line in plan.files if _fits(line, entry.name)), None)
        manifest = manifests.get(entry.name)
        if line is None and manifest is None and entry.hidden:
            warnings.append(
                f"{_path(entry.name)} was not stored: it is hidden, and no output mapping or manifest names it."
            )
            continue
        try:
            source = _source(entry, line, manifest, plan.file_tags)
        except UserError as error:
            errors.append(error)
            continue
        sources.append(source)
        if isinstance(manifest, FileManifest) and manifest.warning is not None:
            warnings.append(manifest.warning)
        if isinstance(manifest, FileManifest) and manifest.public:
            warnings.append(
                f"{_path(entry.name)}: its manifest says `is_public`; it was stored, but nothing here is public."
            )
    return FileDecision(tuple(sources), tuple(warnings), tuple(errors))


def _source(
    entry: Entry, line: OutputFile | None, manifest: FileManifest | UserError | None, file_tags: tuple[str, ...]
) -> FileSource:
    if entry.kind == FOLDER:
        raise UserError(
            f"{_path(entry.name)}: found a folder, expected a file; files in slices are not supported",
            Reason.OUTPUT_INVALID,
            advice="Write one file.",
        )
    if entry.kind != FILE:
        raise refused(f"{OUT_FILES}/{entry.name}", entry.kind)
    problem = name_problem(entry.name)
    if problem is not None:
        raise UserError(f"{_path(entry.name)}: its name {problem}", Reason.OUTPUT_INVALID)
    if isinstance(manifest, UserError):
        raise manifest
    manifest = manifest or FileManifest()
    tags = manifest.tags if line is None or line.tags is None else line.tags
    permanent = manifest.permanent if line is None or line.permanent is None else line.permanent
    return FileSource(entry.name, entry.size, tuple(dict.fromkeys((*(tags or ()), *file_tags))), bool(permanent))


def _fits(line: OutputFile, name: str) -> bool:
    # A name may contain characters that are special in a pattern.
    return name == line.source or fnmatch.fnmatchcase(name, line.source)


def _any(line: OutputFile, names: set[str]) -> bool:
    return any(_fits(line, name) for name in names)


def _missing(line: OutputFile, names: set[str]) -> UserError:
    listed = ", ".join(f"`{shown(name)}`" for name in sorted(names)[:10]) or "nothing"
    return UserError(
        f"{OUT_FILES}/{line.source}: not there, but the output mapping names it; the component wrote {listed}",
        Reason.OUTPUT_MISSING,
        advice="If it may be missing, set `optional` in the output mapping.",
    )


def _orphan(name: str) -> UserError:
    return UserError(
        f"{_path(name)}{MANIFEST_SUFFIX}: there is no file `{shown(name)}` beside it", Reason.OUTPUT_INVALID
    )


def _path(name: str) -> str:
    return f"{OUT_FILES}/{shown(name)}"
