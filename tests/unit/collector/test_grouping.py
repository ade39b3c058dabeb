"""Which lines become one event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.collector.readers import grouping
from componentrun.collector.readers.api.lines import SECOND
from componentrun.collector.readers.grouping import Block, Group, Grouper
from componentrun.collector.readers.line import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

MILLISECOND = SECOND // 1000
PYTHON = """ERROR:root:it failed
Traceback (most recent call last):
  File "/code/main.py", line 3, in <module>
    read()
    ~~~~^^
  File "/code/main.py", line 9, in read
    raise KeyError("a")
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/code/main.py", line 5, in <module>
    raise ValueError("b") from None
ValueError: b"""
PYTHON_GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/code/main.py", line 1, in <module>
  |     raise ExceptionGroup("two", [ValueError(1)])
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------"""
PYTHON_SYNTAX = """  File "/code/main.py", line 1
    x = = 1
        ^
SyntaxError: invalid syntax"""
JAVA = """Exception in thread "main" java.lang.IllegalStateException: no
\tat com.example.Main.run(Main.java:12)
\tat com.example.Main.main(Main.java:5)
Caused by: java.io.IOException: disk
\tat com.example.Disk.read(Disk.java:7)
\t... 12 more"""
PYTHON_STACK = """ERROR:root:it failed
Traceback (most recent call last):
  File "/code/main.py", line 3, in <module>
    read()
main.read.<locals>.NoRows: 0
Stack (most recent call last):
  File "/code/main.py", line 5, in <module>
    logging.exception("it failed", stack_info=True)"""
GO = """panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47e1c4]

goroutine 1 [running]:
main.(*Reader).read(0x0, {0xc000012345, 0x3})
\t/code/main.go:9 +0x24
main.main()
\t/code/main.go:5 +0x1d

goroutine 18 [chan receive]:
created by main.main in goroutine 1
\t/code/main.go:4 +0x11
exit status 2"""
R = """Error in read.csv("in/tables/a.csv") : no such file
Calls: main -> read.csv
In addition: Warning message:
  cannot open file
Execution halted"""
PHP = """PHP Fatal error:  Uncaught RuntimeException: b in /code/main.php:7
Stack trace:
#0 /code/main.php(12): read()
#1 {main}

Next LogicException: c in /code/main.php:9
Stack trace:
#0 {main}
  thrown in /code/main.php on line 9"""
NODE = """Error: no such table
    at read (/code/main.js:3:9)
    at Object.<anonymous> (/code/main.js:7:1)"""
NODE_FIELDS = """Error: ENOENT: no such file or directory, open '/data/in/a.csv'
    at Object.openSync (node:fs:573:18)
    at node:internal/main/run_main_module:28:49 {
  errno: -2,
  [cause]: TypeError: inner
      at Object.<anonymous> (/code/main.js:4:40)
}"""
R_WARNING = """Error in file(file, "rt") : cannot open the connection
Calls: read.csv -> read.table -> file
In addition: Warning messages:
1: In f(1) : one
2: In file(file, "rt") :
  cannot open file 'a.csv': No such file or directory
Execution halted"""
R_ONE_WARNING = """Error in file(file, "rt") : cannot open the connection
In addition: Warning message:
In file(file, "rt") :
  cannot open file 'a.csv': No such file or directory
Execution halted"""
LARAVEL = """[2026-11-24T08:00:00+00:00] production.ERROR: b {"exception":"[object] (Exception(code: 0): b at /a.php:3)
[stacktrace]
#0 /code/a.php(7): read()
#1 {main}
"} """
JSON = """{
  "a": 1,
  "b": [
    2
  ]
}"""
ALL = [
    PYTHON, PYTHON_GROUP, PYTHON_SYNTAX, PYTHON_STACK, JAVA, GO, R, R_WARNING, R_ONE_WARNING, PHP, LARAVEL, NODE,
    NODE_FIELDS, JSON,
]  # fmt: skip


def line(time: int, text: str, stream: str | None = None) -> Line:
    return Line(time, text.encode(), len(text), b"", stream)


def grouped(lines: Sequence[Line]) -> list[str]:
    """Messages of the events, after checking that lines are given on in their order."""
    grouper, messages, given_on = Grouper(), [], []
    for item in lines:
        released = grouper.take(item)
        if released is not None:
            messages += [group.message for group in released[0]]
            given_on += released[1]
    groups, rest = grouper.flush()
    assert [*given_on, *rest] == list(lines)
    assert not grouper.holds
    return [*messages, *(group.message for group in groups)]


def printed(text: str, begin: int = 0, stream: str | None = None) -> list[Line]:
    return [line(begin + number * MILLISECOND, part, stream) for number, part in enumerate(text.split("\n"))]


@pytest.mark.parametrize("trace", ALL)
def test_a_stack_trace_is_one_event(trace: str) -> None:
    lines = [*printed("before\n" + trace, begin=SECOND), *printed("after\nmore", begin=SECOND * 2)]
    assert grouped(lines)[-2:] == ["after", "more"]
    assert "\n".join(grouped(lines)[:-2]) == "before\n" + trace
    if not trace.startswith(" "):
        assert grouped(lines)[1] == trace


def test_plain_lines_are_events_of_their_own() -> None:
    lines = printed("one\ntwo\n\nthree\n[4]\nfour: five\n#6\nmain.main()\n}\nCalls: x")
    assert len(grouped(lines)) == len(lines)


def test_a_line_that_comes_later_does_not_join() -> None:
    lines = [line(0, "one"), line(SECOND // 2, "  two"), line(SECOND // 2 + SECOND // 2 + 1, "  three")]
    assert grouped(lines) == ["one\n  two", "  three"]


def test_a_line_of_json_stands_alone() -> None:
    lines = printed('{"message": "m"}\n  indented\nTraceback (most recent call last):\n{"message": "n"}')
    assert grouped(lines) == [
        '{"message": "m"}', "  indented\nTraceback (most recent call last):", '{"message": "n"}',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["2026-11-24 08:00:00,250 INFO more", "INFO:root:more", "[INFO] more", "3 rows", "# more"]
)
def test_the_next_line_of_the_log_is_no_exception_of_a_stack_that_is_shown(text: str) -> None:
    stack = 'Stack (most recent call last):\n  File "/code/main.py", line 5, in <module>\n    logging.error("no")'
    assert grouped(printed(f"{stack}\n{text}")) == [stack, text]


def test_a_message_of_several_lines_does_not_take_the_rest_of_a_chain_apart() -> None:
    begin = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    read()\ndb.Error: no\nreally not'
    )
    rest = 'Traceback (most recent call last):\n  File "a.py", line 9, in <module>\n    read()\nValueError: no'
    for between in (
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    ):
        messages = grouped(printed(f"{begin}\n\n{between}\n\n{rest}\nafter it"))
        assert messages[-2:] == [f"\n{between}\n\n{rest}", "after it"]


def test_an_event_stays_within_its_limit_and_nothing_is_cut() -> None:
    lines = printed("head\n" + "\n".join(["    " + "x" * 100] * 200))
    messages = grouped(lines)
    assert max(map(len, messages)) <= 4_000
    assert len(messages) < 10
    assert "\n".join(messages) == "\n".join(item.text.decode() for item in lines)


LONG_GO = "".join(
    f"main.(*Reader).read{number}({{0xc000012345, 0x3}})\n\t/code/main.go:9 +0x24\n" for number in range(160)
)
LONG_PHP = "".join(f"#{number} /code/vendor/pipeline.php(180): {'x' * 130}\n" for number in range(60))


@pytest.mark.parametrize(
    "trace",
    [
        f"panic: no\n\ngoroutine 1 [running]:\n{LONG_GO}...62 frames elided...\n{LONG_GO}exit status 2",
        f"PHP Fatal error:  Uncaught Exception: no in /code/main.php:7\nStack trace:\n{LONG_PHP}#60 {{main}}\n  thrown",
        "Traceback (most recent call last):\n"
        + '  File "a.py", line 1, in <module>\n    read()\n' * 200
        + "E: no\n\nDuring "
        "handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\nE: no",
    ],
)
def test_the_rest_of_a_long_trace_stays_together(trace: str) -> None:
    messages = grouped(printed(trace + "\nafter"))
    assert "\n".join(messages) == trace + "\nafter"
    assert messages[-1] == "after"
    assert max(map(len, messages)) <= 4_000
    assert min(map(len, messages[:-2])) > 3_800


def test_the_exception_that_had_no_room_ends_its_trace() -> None:
    frames = '  File "a.py", line 1, in <module>\n    read()\n' * 80
    trace = "Traceback (most recent call last):\n" + frames[:-1] + "\n" + f"ValueError: {'x' * 400}"
    assert grouped(printed(f"{trace}\nafter"))[-2:] == [f"ValueError: {'x' * 400}", "after"]


def test_what_another_stream_says_meanwhile_does_not_cut_a_trace() -> None:
    trace = printed(PYTHON, stream="stderr")
    other = [line(number * MILLISECOND, f"progress {number}", "stdout") for number in range(len(trace))]
    mixed = [item for pair in zip(trace, other, strict=True) for item in pair]
    messages = grouped(mixed)
    assert PYTHON[PYTHON.index("Trace") :] in messages
    assert [item for item in messages if item.startswith("progress")] == [item.text.decode() for item in other]


def test_a_long_line_of_parentheses_behind_a_panic_is_looked_at_once() -> None:
    long = "(" * 200_000
    started = time.process_time()
    assert len(grouped(printed(f"panic: x\n{long}"))) == 2
    assert time.process_time() - started < 5
    assert len(grouped(printed("panic: x\n((a).b(c)\nmain.(*Reader).read(0x0, {0x3})\n(x)"))) == 2


def test_colours_do_not_hide_a_trace() -> None:
    lines = printed("a\n\x1b[35m  indented\x1b[0m")
    assert grouped(lines) == ["a\n  indented"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, MILLISECOND, 400 * MILLISECOND, 600 * MILLISECOND]),
            st.sampled_from(["", "plain", "x" * 3_000, *(part for trace in ALL for part in trace.split("\n"))]),
            st.sampled_from(["stdout", "stderr"]),
        ),
        max_size=60,
    ),
    st.booleans(),
)
def test_no_line_is_lost_or_doubled_or_moved_within_its_stream(steps: list[tuple[int, str, str]], apart: bool) -> None:
    now, lines = 0, []
    for step, text, stream in steps:
        now += step
        lines.append(line(now, text, stream if apart else None))
    messages = grouped(lines)
    assert sorted(part for message in messages for part in message.split("\n")) == sorted(
        item.text.decode() for item in lines
    )
    if not apart:
        assert [part for message in messages for part in message.split("\n")] == [item.text.decode() for item in lines]


def test_what_is_held_is_bounded() -> None:
    grouper, held = Grouper(), 0
    grouper.take(line(0, "Traceback (most recent call last):", "stderr"))
    for number in range(2_000):
        held += 1
        if grouper.take(line(number, "x", "stdout")) is not None:
            held = 0
        assert held <= 500


def messages(groups: Sequence[Group | Block]) -> list[tuple[int, str]]:
    """Time and message of each event."""
    found: list[tuple[int, str]] = []
    for group in groups:
        found += (
            zip(group.times, group.texts, strict=True) if isinstance(group, Block) else [(group.time, group.message)]
        )
    return found


LINES = [
    b"plain", b"another", b"  indented", b"", b"{", b"}", b'{"message": "m"}', b"panic: x", b"main.main()", b"\xff",
    b"Traceback (most recent call last):", b'  File "x", line 1', b"ValueError: no", b"a\rb", b"Caused by: x",
]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from([None, "stdout", "stderr"])), max_size=40),
    st.integers(1, 40),
)
def test_many_lines_at_once_are_grouped_as_one_by_one(printed: list[tuple[bytes, str | None]], size: int) -> None:
    lines = [Line(at, text, len(text), b"%d" % at, stream) for at, (text, stream) in enumerate(printed)]

    def flat(released: list[Any]) -> tuple[list[tuple[int, str]], list[Line]]:
        return [text for groups, _ in released for text in messages(groups)], [x for _, xs in released for x in xs]

    one, many = Grouper(), Grouper()
    singly = [released for line in lines if (released := one.take(line)) is not None]
    with patch.object(grouping, "_FEW", 1):
        at_once = [many.take_all(lines[at : at + size]) for at in range(0, len(lines), size)]
    assert flat(singly) == flat(at_once)
    assert one.size == many.size
    assert flat([one.flush()]) == flat([many.flush()])
