"""Hostile data folders: whatever a component leaves there, only its regular files are read, and nothing hangs."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.folder import FILE, FOLDER, Entry, Folder, disk_error, shown
from componentrun.errors import PlatformError, Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "grant.json"
    file.write_text("a capability")
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "out" / "tables").mkdir(parents=True)
    return folder


def put(kind: str, where: Path, secret: Path) -> None:
    if kind == "a symbolic link":
        where.symlink_to(secret)
    elif kind == "a named pipe":
        os.mkfifo(where)
    elif kind == "a socket":
        here = Path.cwd()
        os.chdir(where.parent)  # a socket's path may have 107 bytes only
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(where.name)
        os.chdir(here)
    elif kind == "a folder":
        where.mkdir()
    else:
        try:
            os.mknod(where, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root may make devices")


TRAPS = ["a symbolic link", "a named pipe", "a socket", "a device"]


@pytest.mark.parametrize("kind", [*TRAPS, "a folder"])
def test_what_is_no_regular_file_is_named_and_not_opened(data: Path, secret: Path, kind: str) -> None:
    put(kind, data / "out/tables/trap.csv", secret)
    folder = Folder(str(data))
    assert [(entry.name, entry.kind) for entry in folder.entries("out/tables")] == [("trap.csv", kind)]
    with pytest.raises(UserError) as caught, folder.open("out/tables/trap.csv"):
        pass
    assert caught.value.reason is Reason.OUTPUT_INVALID
    assert caught.value.message.startswith(f"out/tables/trap.csv: found {kind}, expected a regular file")


@pytest.mark.parametrize("path", ["out", "out/tables"])
def test_a_link_in_place_of_a_folder_is_not_followed(tmp_path: Path, path: str) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (elsewhere / "tables").mkdir(parents=True)
    (elsewhere / "tables/x.csv").write_text("a\n1\n")
    (elsewhere / "x.csv").write_text("a\n1\n")
    (data / path).parent.mkdir(parents=True, exist_ok=True)
    (data / path).symlink_to(elsewhere)
    folder = Folder(str(data))
    for action in (lambda: folder.entries("out/tables"), lambda: folder.open("out/tables/x.csv").__enter__()):
        with pytest.raises(UserError, match=f"{path}: found a symbolic link"):
            action()


@pytest.mark.parametrize("path", ["../grant.json", "out/../../grant.json", "out//x", "./x", "/etc/passwd"])
def test_no_path_leads_out(data: Path, secret: Path, path: str) -> None:
    assert secret.exists()
    folder = Folder(str(data))
    with pytest.raises((UserError, PlatformError, FileNotFoundError)), folder.open(path):
        pass
    with pytest.raises((UserError, PlatformError)):
        folder.write(path, b"x") if path != "/etc/passwd" else folder.create("../x")
    assert secret.read_text() == "a capability"


def test_writing_through_a_link_is_refused(data: Path, secret: Path) -> None:
    (data / "config.json").symlink_to(secret)
    with pytest.raises(PlatformError, match=r"config\.json: Too many levels of symbolic links"):
        Folder(str(data)).write("config.json", b"{}")
    assert secret.read_text() == "a capability"


def test_a_file_of_mode_0600_is_read_and_a_hard_link_too(data: Path) -> None:
    file = data / "out/tables/x.csv"
    file.write_text("a\n1\n")
    file.chmod(0o600)
    os.link(file, data / "out/tables/y.csv")
    with Folder(str(data)).open("out/tables/y.csv") as opened:
        assert opened.read(100, 2) == b"1\n"
        assert opened.size == 4


@pytest.mark.parametrize("mode", [0o000, 0o200, 0o400, 0o600])
@pytest.mark.parametrize("path", ["out", "out/tables"])
def test_a_folder_that_may_not_be_looked_into_is_named(data: Path, path: str, mode: int) -> None:
    (data / "out/tables/x.csv").write_text("a\n1\n")
    folder = Folder(str(data))
    told = rf"^{path}: may not be read \(its mode is {mode:04o}\)$"
    (data / path).chmod(mode)
    with as_the_component(data):
        with pytest.raises(UserError, match=told):
            folder.entries("out/tables")
        with pytest.raises(UserError, match=told), folder.open("out/tables/x.csv"):
            pass
    (data / path).chmod(0o755)


@contextlib.contextmanager
def as_the_component(data: Path) -> Iterator[None]:
    """With the component's uid, as agents run; root may read whatever it likes."""
    root = os.geteuid() == 0
    if root:
        for path in (data, *data.rglob("*")):
            os.chown(path, 1000, -1)
        os.seteuid(1000)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_entries_are_sorted_and_a_folder_that_is_not_there_is_empty(data: Path) -> None:
    (data / "out/tables/b.csv").write_text("a\n")
    (data / "out/tables/a.csv").mkdir()
    folder = Folder(str(data))
    first, second = folder.entries("out/tables")
    assert (first.name, first.kind) == ("a.csv", FOLDER)
    assert second == Entry("b.csv", FILE, 2)
    assert folder.entries("out/nothing") == []


def test_a_very_deep_folder_is_walked_without_following_anything(data: Path) -> None:
    path = "/".join(["d" * 200] * 30)
    folder = Folder(str(data))
    folder.write(f"{path}/x", b"deep")
    with folder.open(f"{path}/x") as opened:
        assert opened.read(10, 0) == b"deep"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_is_left_open(data: Path, secret: Path) -> None:
    put("a named pipe", data / "out/tables/trap", secret)
    before = descriptors()
    folder = Folder(str(data))
    for path in ("out/tables/trap", "out/tables/none", "out/none/none", "../x"):
        with pytest.raises((UserError, FileNotFoundError)), folder.open(path):
            pass
    folder.entries("out/tables")
    folder.make("in/tables")
    for i in range(10):
        folder.write(f"in/tables/x{i}", b"1")
    folder.__exit__()
    assert descriptors() == before


def test_more_files_than_memory_allows_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("componentrun.agent.folder._MOST_ENTRIES", 3)
    for i in range(4):
        (data / f"out/tables/{i}").touch()
    with pytest.raises(UserError, match="out/tables: more than 3 files"):
        Folder(str(data)).entries("out/tables")


def test_names_that_are_no_text_are_spelled_out() -> None:
    assert shown("ok ž.csv") == "ok ž.csv"
    assert shown(b"\xff\n.csv".decode("utf-8", "surrogateescape")) == "\\xff\\n.csv"


def test_a_full_disk_is_told_from_a_broken_one() -> None:
    full = disk_error(OSError(28, "No space left on device"), "x.csv")
    assert isinstance(full, UserError)
    assert full.reason is Reason.DISK_FULL
    broken = disk_error(OSError(5, "Input/output error"), "x.csv")
    assert isinstance(broken, PlatformError)
    assert broken.message == "x.csv: Input/output error"


def test_a_data_folder_that_is_not_there_is_the_platforms_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="can't be opened: No such file"):
        Folder(str(tmp_path / "none"))
