"""Folders as entries of layers."""

from __future__ import annotations

import errno
import io
import os
import socket
from pathlib import Path

import pytest

from componentrun.builder.folder import entries_of
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.layer import Written, write_layer
from componentrun.reasons import Reason


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


def refusal(folder: Path, most_bytes: int, most_entries: int) -> BuildError:
    with pytest.raises(BuildError) as caught:
        list(entries_of(folder, most_bytes=most_bytes, most_entries=most_entries))
    assert caught.value.problem is BuildProblem.TOO_LARGE
    return caught.value


def test_a_file_with_holes_counts_with_its_whole_size(tmp_path: Path) -> None:
    folder = make(tmp_path / "code")
    os.truncate(folder / "run", 100 * 2**30)
    with pytest.raises(BuildError, match=rf"10737418240[01] bytes or more.* at most {8 * 2**30}") as caught:
        list(entries_of(folder))
    assert caught.value.problem is BuildProblem.TOO_LARGE


def test_each_hard_link_counts(tmp_path: Path) -> None:
    folder = make(tmp_path / "code")
    (folder / "lib" / "a.py").write_bytes(b"x" * 1000)
    for number in range(5):
        (folder / f"copy{number}").hardlink_to(folder / "lib" / "a.py")
    assert len(list(entries_of(folder, most_bytes=6001))) == 11
    assert "at most 6000" in refusal(folder, 6000, 100).summary


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "code")
    assert len(list(entries_of(folder, most_entries=6))) == 6
    assert "more than 5 files, folders and links" in refusal(folder, 1000, 5).summary


def test_a_path_that_is_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "code")
    monkeypatch.chdir(folder)
    for _ in range(20):
        os.mkdir("d" * 250)  # noqa: PTH102 - relative, since the whole path is too long
        os.chdir("d" * 250)
    with pytest.raises(BuildError, match=r"`ddd.* can't be read: File name too long") as caught:
        list(entries_of(folder))
    assert caught.value.problem is BuildProblem.UNREADABLE
    assert len(caught.value.summary) < 500


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "code")
    scan = os.scandir

    def scandir(path: bytes) -> object:
        if path.endswith(b"/lib"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(BuildError, match="`lib` can't be read: Permission denied") as caught:
        list(entries_of(folder))
    assert (caught.value.problem, caught.value.reason) == (BuildProblem.UNREADABLE, Reason.BUILD_FAILED)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "code")
    entry = next(entry for entry in entries_of(folder) if entry.path == "run")

    def refuse(path: Path, _flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    assert entry.open is not None
    with pytest.raises(BuildError, match="`run` can't be read: Permission denied"):
        entry.open()
