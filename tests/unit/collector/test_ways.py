"""Which way a log is read, and what becomes of it when the chart is told another one meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from componentrun.api import names
from componentrun.collector.events.journal import Journal, container_key
from componentrun.collector.metrics import Metrics
from componentrun.collector.readers.api.follower import Follower, View
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.api.position import Position
from componentrun.collector.readers.choice import LogFollower, ReaderChoice
from componentrun.collector.readers.line import Cursor
from componentrun.collector.readers.node.follower import FileFollower
from componentrun.collector.readers.node.position import FilePosition
from componentrun.collector.readers.node.servers import NodeLogs
from componentrun.collector.readers.sink import Inbox
from componentrun.collector.runs.facts import pod_facts
from componentrun.collector.settings import NodeLogSettings
from tests.unit.collector.node import NodeLog
from tests.unit.collector.reading import KEY, read, sink_of
from tests.unit.collector.runs import a_run, container, raw_pod

BEGIN = 1_795_506_393 * SECOND
ENDED = View(ended=True, gone=False, never_ran=False, restarts=0, overdue=False)
POD = pod_facts(raw_pod(container(names.COMPONENT, "running")))
FILES = FilePosition(Cursor("0-2026-11-24T07:46:33Z", 4711), BEGIN, 12)


def follower(journal: Journal, *, node: bool) -> LogFollower:
    kube: Any = None
    nodes = NodeLogs(NodeLogSettings("componentrun-system")) if node else None
    inbox = Inbox(journal, asyncio.Event(), Metrics())
    return ReaderChoice(kube, nodes).follower(POD, POD.containers[0], lambda: ENDED, sink_of(journal), inbox)


def test_what_nobody_has_read_is_read_as_the_chart_says() -> None:
    assert isinstance(follower(Journal(a_run()), node=False), Follower)
    journal = Journal(a_run())
    assert isinstance(follower(journal, node=True), FileFollower)
    assert isinstance(journal.known_position(KEY), FilePosition)


def test_a_position_in_a_file_is_in_the_checkpoint() -> None:
    journal = Journal(a_run())
    cursor = Cursor("0-2026-11-24T07:46:33Z", 4711, ("0-2026-11-24T07:46:30Z", 12))
    journal.begin(KEY, FilePosition(cursor, BEGIN, 12))
    resumed = Journal.resume(a_run(), 1, journal.checkpoint()).known_position(KEY)
    assert isinstance(resumed, FilePosition)
    assert (resumed.cursor, resumed.newest, resumed.lines) == (cursor, BEGIN, 12)
    assert resumed.cursor.start == ("0-2026-11-24T07:46:30Z", 12)


def test_what_was_begun_over_the_api_is_read_to_its_end_that_way() -> None:
    node, journal = NodeLog(), Journal(a_run())
    node.write(BEGIN, b"a")
    read(node, journal)
    assert isinstance(follower(journal, node=True), Follower)
    assert not journal.problems


def test_what_was_begun_on_the_node_goes_on_there() -> None:
    journal = Journal(a_run())
    journal.begin(KEY, FILES)
    assert isinstance(follower(journal, node=True), FileFollower)
    assert journal.known_position(KEY) is FILES
    with pytest.raises(TypeError, match="is read from the files of its node"):
        journal.position(KEY)


def test_where_the_log_servers_are_gone_it_goes_on_by_time_and_says_so() -> None:
    journal = Journal(a_run())
    journal.begin(KEY, FILES)
    assert isinstance(follower(journal, node=False), Follower)
    (problem,) = journal.problems
    assert "2026-11-24T07:46:33.000000000Z may be missing" in problem
    assert "`collector.reader` was changed" in problem
    node = NodeLog()
    for number in range(-20, 20):
        node.write(BEGIN + number * SECOND // 10, b"%d" % number)
    answer = read(node, journal)
    assert (answer.fresh, answer.gap) == (19, None)
    assert journal.position(KEY).lines == 12 + 19


def test_a_change_before_the_first_line_is_nothing_to_speak_of() -> None:
    journal = Journal(a_run())
    journal.begin(KEY, FilePosition())
    assert isinstance(follower(journal, node=False), Follower)
    assert not journal.problems
    assert isinstance(journal.known_position(container_key("pod-uid", names.COMPONENT)), Position)
