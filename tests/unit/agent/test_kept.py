"""What cannot be kept is an error of its own, and the result is stored all the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent.folder import Folder
from componentrun.agent.stageout.kept import keep
from componentrun.agent.transfer import Stop
from componentrun.errors import Reason
from componentrun.wire.grants import PostPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POST = PostPolicy("http://store.test/bucket", {}, "data/r-1/", 2**30)


class Sent:
    """A client that only notes what it is told to send."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.objects: list[str] = []

    def send(self, request: Any, _use: object) -> str:
        assert b"".join(request.body())
        self.objects.append(request.subject)
        return '"etag"'


@pytest.fixture
def unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An artifact that its own component may not read. (Who runs the tests may be root, and read everything.)"""
    path = "artifacts/out/current/model.bin"
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"model")
    file.chmod(0o200)
    opened = os.open

    def open_as_user(name: Any, flags: int, *rest: Any, **more: Any) -> int:
        if name == file.name:
            raise PermissionError(13, "Permission denied")
        return opened(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", open_as_user)
    yield path
    file.chmod(0o600)


def test_an_artifact_that_may_not_be_read_ends_nothing_but_itself(tmp_path: Path, unreadable: str) -> None:
    (tmp_path / "artifacts/out/current/report.txt").write_text("fine")
    client: Any = Sent()
    with Folder(str(tmp_path)) as folder:
        kept = keep(client, folder, POST)
    assert [(error.reason, error.message) for error in kept.errors] == [
        (Reason.OUTPUT_INVALID, f"{unreadable}: may not be read (its mode is 0200)")
    ]
    assert client.objects == ["artifacts/out/current/report.txt"]
    assert not client.stop.is_set(), "the result has to be stored yet"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/".join(["d" * 250] * 4), "with its folders it is longer than an object's key can be; expected at most"),
        ("report-${filename}.txt", "its name holds `${filename}`; expected another one"),
    ],
)
def test_a_name_that_can_be_no_key_ends_nothing_but_itself(tmp_path: Path, name: str, problem: str) -> None:
    for path in (f"artifacts/out/current/{name}", "out/usage.json"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("[]")
    client: Any = Sent()
    with Folder(str(tmp_path)) as folder:
        (error,) = keep(client, folder, POST).errors
    assert (error.reason, problem in error.message) == (Reason.OUTPUT_INVALID, True)
    assert client.objects == ["out/usage.json"]


def test_a_link_in_out_is_refused_although_nobody_reads_it(tmp_path: Path) -> None:
    (tmp_path / "out/tables").mkdir(parents=True)
    (tmp_path / "out/notes.txt").write_text("fine")
    (tmp_path / "out/way out").symlink_to("/")
    os.mkfifo(tmp_path / "out/pipe")
    client: Any = Sent()
    with Folder(str(tmp_path)) as folder:
        kept = keep(client, folder, POST)
    assert [error.message.partition(",")[0] for error in kept.errors] == [
        "out/pipe: found a named pipe",
        "out/way out: found a symbolic link",
    ]


def test_what_stands_in_the_place_of_a_document_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("state.json", "result.json", "tables"):
        (tmp_path / "out" / name).symlink_to("/")
    client: Any = Sent()
    with Folder(str(tmp_path)) as folder:
        kept = keep(client, folder, POST)
    assert [error.message.partition(":")[0] for error in kept.errors] == ["out/result.json"]
