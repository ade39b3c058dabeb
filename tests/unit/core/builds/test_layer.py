"""Layers that depend on their content alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.layer import Entry, Written, write_layer

if TYPE_CHECKING:
    from collections.abc import Sequence


def file(path: str, content: bytes = b"", *, is_executable: bool = False) -> Entry:
    return Entry(path, "file", is_executable, len(content), partial(io.BytesIO, content))


ENTRIES = (
    Entry("src", "folder"),
    file("src/main.py", b"print()"),
    file("run.sh", b"#!/bin/sh", is_executable=True),
    Entry("link", "link", target="src/main.py"),
    file("ä" * 120, b"long and not ASCII"),
    file("empty"),
)


def written(entries: Sequence[Entry], *, hides_below: bool = True) -> tuple[Written, bytes]:
    out = io.BytesIO()
    result = write_layer(entries, "/opt/code", out, hides_below=hides_below)
    return result, out.getvalue()


def members(content: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        return archive.getmembers()


def test_a_known_layer_has_a_known_digest() -> None:
    """A digest that changes makes every image of every user differ from the one before."""
    assert written(ENTRIES)[0].diff_id == "sha256:a28760cde6b4d3bb0c7769120240bc464d184797c72727304c5a0f8b5cbb5273"


def test_digests_and_size_are_those_of_the_content() -> None:
    result, content = written(ENTRIES)
    assert result.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert result.size == len(content)
    assert result.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"


@given(st.permutations(ENTRIES))
def test_the_order_of_entries_has_no_meaning(entries: list[Entry]) -> None:
    assert written(entries) == written(ENTRIES)


def test_everything_is_readable_by_everybody_and_belongs_to_root() -> None:
    found = {member.name: member for member in members(written(ENTRIES)[1])}
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in found.values()} == {
        (0, 0, "", "", 0)
    }
    modes = {name.removeprefix("opt/code/"): member.mode for name, member in found.items()}
    assert modes["opt/code"] == modes["src"] == modes["run.sh"] == 0o755
    assert modes["src/main.py"] == modes["empty"] == 0o644


def test_content_links_and_long_names_are_kept() -> None:
    with tarfile.open(fileobj=io.BytesIO(written(ENTRIES)[1]), mode="r:gz") as archive:
        content = archive.extractfile("opt/code/src/main.py")
        assert content is not None
        assert content.read() == b"print()"
        assert archive.getmember("opt/code/link").linkname == "src/main.py"
        assert archive.getmember("opt/code/" + "ä" * 120).size == 18


def test_only_the_first_layer_hides_the_folder_of_the_parent() -> None:
    opaque = "opt/code/.wh..wh..opq"
    assert opaque in [member.name for member in members(written(ENTRIES)[1])]
    assert opaque not in [member.name for member in members(written(ENTRIES, hides_below=False)[1])]


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.dictionaries(NAMES.filter(lambda name: name not in {".", ".."}), st.binary(max_size=64), max_size=5))
def test_any_files_can_be_read_back(files: dict[str, bytes]) -> None:
    content = written([file(name, value) for name, value in files.items()], hides_below=False)[1]
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        read = {}
        for member in archive.getmembers()[1:]:
            stream = archive.extractfile(member)
            assert stream is not None
            read[member.name.removeprefix("opt/code/")] = stream.read()
    assert read == files


def test_a_changed_byte_changes_the_digest() -> None:
    changed = [
        replace(ENTRIES[1], open=partial(io.BytesIO, b"Print()")) if item is ENTRIES[1] else item for item in ENTRIES
    ]
    assert written(changed)[0].digest != written(ENTRIES)[0].digest
