"""What of a table is stored, and which of several faults of it is told."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent.folder import Folder
from componentrun.agent.stageout import upload
from componentrun.agent.stageout.checking import Task, run_task
from componentrun.agent.stageout.outputs import Source
from componentrun.agent.transfer import Stop
from componentrun.csv import text as csvtext
from componentrun.errors import UserError
from componentrun.storage.store.keys import TableId
from componentrun.wire.agents import StageOutPlan
from componentrun.wire.grants import PostPolicy

if TYPE_CHECKING:
    from pathlib import Path

POST = PostPolicy("http://store.test/bucket", {}, "data/r-1/", 2**30)
PLAN = StageOutPlan("ns/run", ())
ROW = b"12345,6789\n"
BAD = b"12345\n"
SLICED = Source(
    "bar.csv", True, TableId.parse("out.c-a.bar"), (), incremental=False, write_always=False, columns=("a", "b")
)


class Sent:
    """A client whose store takes everything."""

    def __init__(self) -> None:
        self.stop = Stop()

    def send(self, request: Any, _use: object) -> str:
        assert b"".join(request.body())
        return '"etag"'


class LateCheckers:
    """Checks of which each ends behind those of the rows after it."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._delay = 0.5

    def submit(self, task: Task) -> Future[int]:
        future: Future[int] = Future()

        def answer() -> None:
            try:
                future.set_result(run_task(self._folder, task))
            except UserError as error:
                future.set_exception(error)

        threading.Timer(self._delay, answer).start()
        self._delay /= 3
        return future


def checkers(folder: Folder) -> Any:
    return LateCheckers(folder)


@pytest.mark.parametrize("rows", [2000, 40_000])  # checked where they are uploaded, or in processes beside that
def test_the_first_fault_of_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(upload, "_SMALLEST_SLICE_BYTES", rows * len(ROW))
    monkeypatch.setattr(upload, "_SLICES", 4)
    (tmp_path / "out/tables").mkdir(parents=True)
    # From the second line of the second slice on every row is malformed.
    (tmp_path / "out/tables/bar.csv").write_bytes(b"a,b\n" + ROW * (rows + 5) + BAD * 4 * rows)
    source = Source("bar.csv", False, TableId.parse("out.c-a.bar"), (), incremental=False, write_always=False)
    for _ in range(3):
        client: Any = Sent()
        with Folder(str(tmp_path)) as folder:
            (error,) = upload.upload(client, folder, POST, [source], checkers(folder), PLAN).errors
        assert error.message.startswith(f"out/tables/bar.csv, line {rows + 7}: found 1 field, expected 2")


def test_a_quote_that_is_not_closed_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row ends behind it, so what follows is one slice, however large the file is."""
    sizes: list[int] = []

    def packed(_read: object, _offset: int, size: int, *_: object, **_more: object) -> None:
        sizes.append(size)

    monkeypatch.setattr(upload, "packed", packed)
    monkeypatch.setattr(upload, "PACKED_SLICE_BYTES", 300_000)
    for module in (csvtext, upload):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", 300_000)
    (tmp_path / "out/tables").mkdir(parents=True)
    (tmp_path / "out/tables/bar.csv").write_bytes(b"a,b\n" + ROW * 50_000 + b'1,"never closed\n' + ROW * 400_000)
    source = Source("bar.csv", False, TableId.parse("out.c-a.bar"), (), incremental=False, write_always=False)
    client: Any = Sent()
    with Folder(str(tmp_path)) as folder:
        plan = StageOutPlan("ns/run", (), compression="zstd")
        (error,) = upload.upload(client, folder, POST, [source], checkers(folder), plan).errors
    assert (
        error.message == "out/tables/bar.csv, line 50002: the row is longer than 300000 bytes; is a quote not closed?"
    )
    assert max(sizes) <= 600_000


def test_hidden_files_are_no_slices(tmp_path: Path) -> None:
    """Hadoop leaves checksums (`.part-0.crc`), a Mac `.DS_Store`, Jupyter a folder."""
    folder = tmp_path / "out/tables/bar.csv"
    (folder / ".ipynb_checkpoints").mkdir(parents=True)
    (folder / ".part-0.crc").write_bytes(b"crc\0\xff")
    (folder / "_SUCCESS").write_bytes(b"")
    (folder / "part-0").write_bytes(ROW)
    client: Any = Sent()
    with Folder(str(tmp_path)) as opened:
        done = upload.upload(client, opened, POST, [SLICED], checkers(opened), PLAN)
    assert (done.errors, [table.rows for table in done.tables]) == ((), [1])
    assert done.warnings == (
        "out/tables/bar.csv: hidden files are not slices and were not stored: `.ipynb_checkpoints` and 1 more.",
    )


def test_a_hidden_link_among_slices_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out/tables/bar.csv").mkdir(parents=True)
    (tmp_path / "out/tables/bar.csv/.link").symlink_to("/etc/passwd")
    client: Any = Sent()
    with Folder(str(tmp_path)) as opened:
        (error,) = upload.upload(client, opened, POST, [SLICED], checkers(opened), PLAN).errors
    assert error.message.startswith("out/tables/bar.csv/.link: found a symbolic link")
