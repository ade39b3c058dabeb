"""The files of one container across all that the kubelet does with them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from componentrun.nodelogs import container
from componentrun.nodelogs.container import KEPT_SECONDS, SETTLED, ContainerLog
from componentrun.nodelogs.files import NoLogError
from tests.unit.nodelogs.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.nodelogs.container import Answer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Reading:
    """Reads a container's log as the collector does, from answer to answer."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self.runtime, self.clock = runtime, clock
        self.log = ContainerLog(os.open(runtime.folder, os.O_RDONLY), clock)
        self.place = ("", 0)
        self.data = b""
        self.missing: list[int] = []

    def look(self) -> None:
        # As if the last look were long ago: the time on a folder is only as exact as the kernel's clock.
        self.log._listed = (-1, False)
        self.log.look()

    def ask(self) -> Answer:
        self.look()
        answer = self.log.answer(*self.place)
        if answer.file:
            self.place = (answer.file, answer.offset + len(answer.data))
        self.data += answer.data
        if answer.missing is not None:
            self.missing.append(answer.missing)
        return answer

    def read(self) -> list[bytes]:
        """All texts until nothing comes any more, with the time that it takes a file to settle."""
        quiet = 0
        while quiet < 2:
            if self.ask().data:
                quiet = 0
            else:
                quiet += 1
                self.clock.now += SETTLED
        return self.texts

    @property
    def texts(self) -> list[bytes]:
        return [line.split(b" ", 3)[3] for line in self.data.split(b"\n")[:-1]]

    @property
    def open_files(self) -> int:
        return sum(held.file is not None for held in self.log._files)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(tmp_path / "component")


@pytest.fixture
def reading(runtime: Runtime) -> Iterator[Reading]:
    made = Reading(runtime, Clock())
    yield made
    made.log.close()


def numbered(runtime: Runtime, count: int, *, begin: int = 0) -> list[bytes]:
    texts = [b"line %d" % number for number in range(begin, begin + count)]
    for text in texts:
        runtime.print(text)
    return texts


def test_nothing_is_there_before_the_first_line(reading: Reading) -> None:
    answer = reading.ask()
    assert (answer.file, answer.data, answer.removed) == ("", b"", False)


def test_what_was_read_is_not_given_again(runtime: Runtime, reading: Reading) -> None:
    first = numbered(runtime, 3)
    assert reading.read() == first
    second = numbered(runtime, 2, begin=3)
    assert reading.read() == first + second
    assert reading.ask().data == b""


def test_only_whole_lines_are_given(runtime: Runtime, reading: Reading) -> None:
    numbered(runtime, 1)
    with runtime.current.open("ab") as file:
        file.write(b"2026-11-24T07:46:33.8662")
    assert reading.read() == [b"line 0"]
    with runtime.current.open("ab") as file:
        file.write(b"Z stdout F the rest\n")
    assert reading.read() == [b"line 0", b"the rest"]


def test_an_answer_is_bounded(runtime: Runtime, reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "ANSWER_BYTES", 100)
    texts = numbered(runtime, 30)
    answer = reading.ask()
    assert 0 < len(answer.data) <= 100
    assert answer.data.endswith(b"\n")
    assert reading.read() == texts


def test_a_line_longer_than_an_answer_comes_whole(
    runtime: Runtime, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "ANSWER_BYTES", 100)
    runtime.print(b"x" * 1000)
    runtime.print(b"y")
    assert reading.read() == [b"x" * 1000, b"y"]


@pytest.mark.parametrize("compress", [False, True])
def test_nothing_is_lost_in_rotations(runtime: Runtime, reading: Reading, compress: bool) -> None:
    texts = []
    for number in range(12):
        texts += numbered(runtime, 4, begin=4 * number)
        if number % 3 == 0:
            reading.read()
        reading.look()
        runtime.rotate(compress=compress)
    texts += numbered(runtime, 2, begin=100)
    assert reading.read() == texts
    assert reading.missing == []


def test_lines_that_come_to_the_old_file_behind_its_rotation_are_read(runtime: Runtime, reading: Reading) -> None:
    numbered(runtime, 2)
    reading.read()
    late = runtime.current.open("ab")
    runtime.rotate()
    runtime.print(b"in the new file")
    reading.ask()
    with late:
        late.write(b"2026-11-24T07:46:34Z stdout F late\n")
    reading.clock.now += SETTLED / 2
    assert reading.read() == [b"line 0", b"line 1", b"late", b"in the new file"]


def test_a_reader_that_comes_late_gets_compressed_files_too(runtime: Runtime) -> None:
    texts = []
    for number in range(4):
        texts += numbered(runtime, 50, begin=50 * number)
        runtime.rotate()
    assert [path for path in runtime.folder.iterdir() if path.suffix == ".gz"]
    reading = Reading(runtime, Clock())
    assert reading.read() == texts
    reading.log.close()


def test_a_place_in_a_file_that_was_compressed_meanwhile_is_found(runtime: Runtime) -> None:
    texts = numbered(runtime, 50)
    first = Reading(runtime, Clock())
    first.read()
    first.log.close()
    runtime.rotate()
    texts += numbered(runtime, 50, begin=50)
    runtime.rotate()
    second = Reading(runtime, Clock())
    second.place = (first.place[0], first.place[1] // 2)
    second.data = first.data[: first.place[1] // 2]
    assert second.read() == texts
    assert second.missing == []
    second.log.close()


def test_a_file_that_is_gone_is_said_to_be_missing(runtime: Runtime) -> None:
    numbered(runtime, 3)
    first = Reading(runtime, Clock())
    first.read()
    first.log.close()
    for number in range(6):
        runtime.rotate()
        numbered(runtime, 1, begin=10 * number)
    second = Reading(runtime, Clock())
    second.place = first.place
    assert second.read() == [b"line 10", b"line 20", b"line 30", b"line 40", b"line 50"]
    assert second.missing == [0]
    second.log.close()


def test_rotations_that_nobody_saw_may_hide_a_gap(runtime: Runtime, reading: Reading) -> None:
    numbered(runtime, 3)
    reading.read()
    for number in range(6):
        runtime.rotate()
        numbered(runtime, 1, begin=10 * (number + 1))
    assert reading.read()[3:] == [b"line 20", b"line 30", b"line 40", b"line 50", b"line 60"]
    assert reading.missing == [0]


def test_what_is_deleted_unread_for_want_of_room_is_counted(
    runtime: Runtime, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "MOST_FILES", 3)
    numbered(runtime, 1)
    reading.ask()
    for number in range(10):
        runtime.rotate(compress=False)
        numbered(runtime, 1, begin=number + 1)
        reading.look()
        assert reading.open_files <= 3
    reading.read()
    lost = 11 - len(reading.texts)
    assert lost > 0
    assert sum(reading.missing) == lost * len(reading.data.split(b"\n")[0] + b"\n")


def test_what_was_held_is_read_when_the_pod_is_deleted(runtime: Runtime, reading: Reading) -> None:
    texts = numbered(runtime, 2)
    reading.ask()
    texts += numbered(runtime, 2, begin=2)
    runtime.rotate()
    texts += numbered(runtime, 2, begin=4)
    reading.look()
    runtime.remove()
    assert reading.read() == texts
    assert reading.ask().removed


def test_a_folder_in_use_is_not_called_removed(runtime: Runtime, reading: Reading) -> None:
    numbered(runtime, 1)
    for _ in range(3):
        runtime.rotate()
        assert not reading.ask().removed


def test_a_container_that_starts_again_goes_on_in_its_next_file(runtime: Runtime, reading: Reading) -> None:
    first = numbered(runtime, 2)
    assert reading.read() == first
    runtime.restart()
    second = numbered(runtime, 2, begin=2)
    assert reading.read() == first + second
    assert reading.place[0].startswith("1-")


def test_what_was_read_is_held_for_a_while_and_then_given_back(runtime: Runtime, reading: Reading) -> None:
    texts = numbered(runtime, 2)
    reading.read()
    runtime.rotate(compress=False)
    texts += numbered(runtime, 2, begin=2)
    reading.read()
    assert reading.open_files == 2
    place, reading.place, reading.data = reading.place, ("", 0), b""
    assert reading.read() == texts, "a collector that died reads it again"
    reading.place = place
    reading.ask()
    reading.clock.now += KEPT_SECONDS + 1
    reading.look()
    assert reading.open_files == 1


def test_a_file_given_back_is_not_taken_for_a_new_one(runtime: Runtime, reading: Reading) -> None:
    texts = numbered(runtime, 2)
    for number in range(3):
        reading.read()
        runtime.rotate()
        texts += numbered(runtime, 2, begin=2 * number + 2)
    reading.read()
    reading.clock.now += KEPT_SECONDS + 1
    reading.look()
    runtime.rotate()
    texts += numbered(runtime, 2, begin=20)
    assert reading.read() == texts
    assert reading.missing == []


def test_a_link_out_of_the_folder_is_not_followed(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"2026-11-24T07:46:34Z stdout F a secret\n")
    runtime.current.unlink()
    runtime.current.symlink_to(tmp_path / "secret")
    with pytest.raises(NoLogError, match="is a link"):
        Reading(runtime, Clock())


def test_what_is_no_log_of_cri_is_refused(runtime: Runtime) -> None:
    runtime.current.write_bytes(b'{"log": "as another runtime writes it", "time": "..."}\n')
    with pytest.raises(NoLogError, match="does not begin with a time"):
        Reading(runtime, Clock())
