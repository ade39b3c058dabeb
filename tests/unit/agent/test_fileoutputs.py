"""Tables of files, manifests and mappings below out/files, and what becomes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent.folder import FILE, FOLDER, Entry, Folder
from componentrun.agent.stageout.fileoutputs import (
    FileDecision,
    FileManifest,
    decide_files,
    file_outputs,
    parse_file_manifest,
)
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import OutputFile, StageOutPlan

if TYPE_CHECKING:
    from pathlib import Path


def decided(
    names: list[str],
    *lines: OutputFile,
    manifests: dict[str, FileManifest | UserError] | None = None,
    tags: tuple[str, ...] = (),
) -> FileDecision:
    entries = [Entry(name, FILE, 1) for name in names]
    return decide_files(entries, manifests or {}, StageOutPlan("ns/run", (), files=lines, file_tags=tags))


@pytest.mark.parametrize(
    ("line", "manifest", "wanted"),
    [
        (None, None, ((), False)),
        (None, FileManifest(("m",), permanent=True), (("m",), True)),
        (OutputFile("a.pdf"), FileManifest(("m",), permanent=True), (("m",), True)),
        (OutputFile("a.pdf", ("o",), permanent=False), FileManifest(("m",), permanent=True), (("o",), False)),
        (OutputFile("a.pdf", ()), FileManifest(("m",)), ((), False)),
        (OutputFile("*.pdf", ("o", "o")), None, (("o",), False)),
        (OutputFile("*.csv", ("o",), optional=True), FileManifest(("m",)), (("m",), False)),
    ],
)
def test_the_mapping_goes_before_the_manifest(
    line: OutputFile | None, manifest: FileManifest | None, wanted: tuple[tuple[str, ...], bool]
) -> None:
    decision = decided(
        ["a.pdf"], *([line] if line else []), manifests={"a.pdf": manifest} if manifest else None, tags=("runId: r",)
    )
    assert decision.errors == ()
    (source,) = decision.sources
    assert (source.tags, source.permanent) == ((*wanted[0], "runId: r"), wanted[1])


def test_a_file_follows_the_first_line_that_fits_it() -> None:
    decision = decided(["a.pdf", "b.pdf"], OutputFile("b*", ("first",)), OutputFile("*.pdf", ("second",)))
    assert {source.name: source.tags for source in decision.sources} == {"a.pdf": ("second",), "b.pdf": ("first",)}


@pytest.mark.parametrize("source", ["a.pdf", "*.pdf"])
@pytest.mark.parametrize("optional", [True, False])
def test_what_is_missing_is_named_with_what_is_there_unless_it_is_optional(source: str, optional: bool) -> None:
    decision = decided(["b.txt"], OutputFile(source, optional=optional))
    assert [item.name for item in decision.sources] == ["b.txt"]
    assert bool(decision.errors) != optional
    if not optional:
        assert decision.errors[0].reason is Reason.OUTPUT_MISSING
        assert decision.errors[0].message.startswith(f"out/files/{source}: not there")
        assert "`b.txt`" in decision.errors[0].message


def test_a_name_that_looks_like_a_pattern_is_found_by_itself() -> None:
    assert decided(["a[1].pdf"], OutputFile("a[1].pdf", ("x",))).sources[0].tags == ("x",)


def test_a_hidden_file_is_stored_only_where_somebody_names_it() -> None:
    names = [".gitkeep", ".named", ".told"]
    decision = decided(names, OutputFile(".named"), manifests={".told": FileManifest()})
    assert [source.name for source in decision.sources] == [".named", ".told"]
    (warning,) = decision.warnings
    assert warning.startswith("out/files/.gitkeep was not stored")


def test_a_hidden_folder_that_nobody_names_is_no_error() -> None:
    decision = decide_files([Entry(".ipynb_checkpoints", FOLDER, 0)], {}, StageOutPlan("ns/run", ()))
    assert (decision.sources, decision.errors) == ((), ())
    assert decision.warnings[0].startswith("out/files/.ipynb_checkpoints was not stored: it is hidden")


def test_a_public_file_is_stored_and_said_not_to_be() -> None:
    decision = decided(["a"], manifests={"a": FileManifest(public=True)})
    assert len(decision.sources) == 1
    assert "nothing here is public" in decision.warnings[0]


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("parts", FOLDER, "out/files/parts: found a folder, expected a file; files in slices are not supported"),
        ("a", "a symbolic link", "out/files/a: found a symbolic link, expected a regular file; links are not followed"),
        ("a", "a named pipe", "out/files/a: found a named pipe"),
        ("a\nb", FILE, "out/files/a\\nb: its name holds a control character"),
        ("\udcff", FILE, "out/files/\\xff: its name is not UTF-8"),
        ("é" * 91, FILE, "has 182 bytes; expected at most 180"),
    ],
)
def test_what_can_not_be_stored_is_named(name: str, kind: str, told: str) -> None:
    decision = decide_files([Entry(name, kind, 1)], {}, StageOutPlan("ns/run", ()))
    (error,) = decision.errors
    assert told in error.message
    assert error.reason is Reason.OUTPUT_INVALID
    assert decision.sources == ()


def test_a_manifest_without_a_file_is_an_error() -> None:
    (error,) = decided(["a"], manifests={"b": FileManifest()}).errors
    assert error.message == "out/files/b.manifest: there is no file `b` beside it"


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, FileManifest()),
        ({"tags": ["a", "b"], "is_permanent": True}, FileManifest(("a", "b"), permanent=True)),
        ({"tags": [2026, "b"]}, FileManifest(("2026", "b"))),
        ({"tags": {"0": "a", "2": "c"}}, FileManifest(("a", "c"))),
        ({"tags": [], "is_permanent": False, "is_public": False}, FileManifest((), permanent=False)),
        ({"is_public": True, "is_encrypted": True, "notify": True}, FileManifest(public=True)),
    ],
)
def test_a_manifest_is_read(document: dict[str, Any], wanted: FileManifest) -> None:
    assert parse_file_manifest(json.dumps(document).encode(), "a.manifest") == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "a.manifest: it is not valid JSON"),
        ('["x"]', "a.manifest: it is a list, expected an object"),
        ('{"tags": "x"}', "a.manifest: `tags` is a text, expected a list of names"),
        ('{"tags": ["a", null]}', "a.manifest: `tags[1]` is null, expected a name"),
        ('{"tags": [""]}', "a.manifest: it has the tag '', which is empty"),
        ('{"is_permanent": "yes"}', "a.manifest: `is_permanent` is a text, expected true or false"),
    ],
)
def test_a_manifest_that_says_nothing_useful_is_refused(text: str, told: str) -> None:
    with pytest.raises(UserError) as refusal:
        parse_file_manifest(text.encode(), "a.manifest")
    assert refusal.value.message.startswith(told)


def test_out_files_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("x")
    (tmp_path / "out" / "files").symlink_to(tmp_path / "secret")
    with Folder(str(tmp_path)) as folder:
        decision = file_outputs(folder, StageOutPlan("ns/run", ()))
    assert decision.sources == ()
    assert "out/files: found a symbolic link" in decision.errors[0].message
