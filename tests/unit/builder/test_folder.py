"""Folders as entries of layers."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest

from componentrun.builder.folder import entries_of
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.layer import Written, write_layer


def make(folder: Path) -> Path:
    folder.mkdir()
    (folder / "lib").mkdir()
    (folder / "lib" / "a.py").write_text("a")
    (folder / "run").write_text("b")
    (folder / "run").chmod(0o700)
    (folder / "link").symlink_to("lib/a.py")
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "to-folder").symlink_to("lib")
    return folder


def paths(folder: Path, below: str = "", without: str = "") -> list[str]:
    return sorted(entry.path for entry in entries_of(folder, below, without=without))


def layer(folder: Path) -> Written:
    return write_layer(entries_of(folder), "/code", io.BytesIO(), hides_below=True)


def test_links_are_entries_and_not_followed(tmp_path: Path) -> None:
    found = {entry.path: entry for entry in entries_of(make(tmp_path / "code"))}
    assert sorted(found) == ["lib", "lib/a.py", "link", "outside", "run", "to-folder"]
    assert (found["outside"].kind, found["outside"].target) == ("link", "/etc/passwd")
    assert found["to-folder"].kind == "link"
    assert found["run"].is_executable
    assert not found["lib/a.py"].is_executable


def test_a_folder_has_a_layer_of_its_own(tmp_path: Path) -> None:
    folder = make(tmp_path / "code")
    assert paths(folder, "lib") == ["lib", "lib/a.py"]
    assert paths(folder, without="lib") == ["link", "outside", "run", "to-folder"]
    assert sorted([*paths(folder, "lib"), *paths(folder, without="lib")]) == paths(folder)


def test_the_same_content_gives_the_same_layer_whoever_wrote_it(tmp_path: Path) -> None:
    first, second = make(tmp_path / "one"), make(tmp_path / "two")
    (second / "run").chmod(0o755)
    (second / "lib" / "a.py").chmod(0o600)
    os.utime(second / "run", (1, 1))
    os.utime(second / "lib", (1, 1))
    assert layer(first) == layer(second)


def test_the_same_content_in_another_file_gives_another_layer(tmp_path: Path) -> None:
    first, second = make(tmp_path / "one"), make(tmp_path / "two")
    (second / "lib" / "a.py").rename(second / "lib" / "b.py")
    assert layer(first).diff_id != layer(second).diff_id


def test_special_files_are_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "code")
    os.mkfifo(folder / "lib" / "pipe")
    with pytest.raises(BuildError, match="`lib/pipe` is a pipe") as caught:
        list(entries_of(folder))
    assert caught.value.problem is BuildProblem.SPECIAL_FILE


def test_sockets_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "code")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("agent")
        with pytest.raises(BuildError, match="`agent` is a socket"):
            list(entries_of(folder))


@pytest.mark.parametrize("name", [b".wh.lib", b"caf\xe9"])
def test_names_that_mean_something_else_in_a_layer_are_refused(tmp_path: Path, name: bytes) -> None:
    folder = make(tmp_path / "code")
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    with pytest.raises(BuildError) as caught:
        list(entries_of(folder))
    assert caught.value.problem is BuildProblem.UNUSABLE_NAME


def test_a_file_that_became_a_link_is_not_read(tmp_path: Path) -> None:
    folder = make(tmp_path / "code")
    entry = next(entry for entry in entries_of(folder) if entry.path == "run")
    (folder / "run").unlink()
    (folder / "run").symlink_to("/etc/passwd")
    assert entry.open is not None
    with pytest.raises(OSError, match="symbolic links"):
        entry.open()
