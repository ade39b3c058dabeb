"""Checks in processes of their own: the answer is the same as in this one, and no death of a child goes unnoticed."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from componentrun.agent.folder import Folder
from componentrun.agent.stageout.checking import Checkers, Task
from componentrun.errors import PlatformError, UserError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"1,2\n" * 1000
BAD = GOOD + b"3\n"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "good.csv").write_bytes(b"a,b\n" + GOOD)
    (tmp_path / "bad.csv").write_bytes(b"a,b\n" + BAD)
    return Folder(str(tmp_path))


def task(name: str) -> Task:
    return Task(name, 4, 4 + len(GOOD if name == "good.csv" else BAD), ("a", "b"))


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_rows_are_counted_and_faults_are_told(folder: Folder, processes: int) -> None:
    with Checkers(folder, processes) as checkers:
        good = [checkers.submit(task("good.csv")) for _ in range(5)]
        bad = checkers.submit(task("bad.csv"))
        assert [check.result() for check in good] == [1000] * 5
        with pytest.raises(UserError, match=r"bad\.csv, line 1002: found 1 field, expected 2 \(`a`, `b`\)"):
            bad.result()
        assert checkers.submit(task("good.csv")).result() == 1000


def test_a_child_that_is_killed_becomes_an_error(folder: Folder) -> None:
    with Checkers(folder, 1) as checkers:
        child, _ = checkers._children[0]
        os.kill(child, signal.SIGKILL)
        with pytest.raises(PlatformError, match=r"good\.csv: the process that checks it (is gone|ended early)"):
            checkers.submit(task("good.csv")).result()


def test_a_defect_in_a_child_is_told_without_its_text(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ValueError("a value of the table")

    monkeypatch.setattr("componentrun.agent.stageout.checking.check_rows", broken)
    with Checkers(folder, 1) as checkers, pytest.raises(PlatformError, match=r"good\.csv: ValueError in its check$"):
        checkers.submit(task("good.csv")).result()


def test_where_no_process_can_be_made_a_thread_checks(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    with Checkers(folder, 2) as checkers:
        assert checkers.submit(task("good.csv")).result() == 1000


def test_leaving_ends_the_children_also_while_they_check(folder: Folder) -> None:
    with Checkers(folder, 2) as checkers:
        children = [child for child, _ in checkers._children]
        checks = [checkers.submit(task("good.csv")) for _ in range(50)]
    assert all(check.done() for check in checks)
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("check")]
