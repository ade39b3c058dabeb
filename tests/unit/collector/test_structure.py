"""What a line says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun import contract
from componentrun.collector.readers.api.lines import Splitter, parse
from componentrun.collector.readers.grouping import Group
from componentrun.collector.readers.structure import EventContent, parse_groups, parse_text
from componentrun.core.podstatus.printed import readable
from componentrun.core.redact.redactor import MARK, Redactor

NOTHING = Redactor()


@pytest.mark.parametrize(
    ("line", "kind", "message", "params"),
    [
        ("plain", "info", "plain", {}),
        ("", "info", "", {}),
        ('{"message": "m"}', "info", "m", {}),
        ('{"msg": "m", "level": "warning", "n": 1}', "warn", "m", {"n": 1}),
        ('{"message": "m", "msg": "other", "severity": "ERROR"}', "error", "m", {"msg": "other"}),
        ('{"message": "m", "levelname": "CRITICAL", "ts": 1.5}', "error", "m", {"levelname": "CRITICAL", "ts": 1.5}),
        ('{"message": "m", "level": "success"}', "success", "m", {}),
        ('{"message": "m", "level": "debug"}', "info", "m", {"level": "debug"}),
        ('{"message": "m", "level": {"a": 1}}', "info", "m", {"level": {"a": 1}}),
        ('{"message": "m", "time": "2020-01-01T00:00:00Z"}', "info", "m", {"time": "2020-01-01T00:00:00Z"}),
        ('{"short_message": "m", "level": 3, "_x": "y"}', "error", "m", {"level": 3, "_x": "y"}),
        ('{"short_message": "m", "level": 4}', "warn", "m", {"level": 4}),
        ('{"short_message": "m", "level": 6}', "info", "m", {"level": 6}),
        ('{"message": "m", "level": 30}', "info", "m", {"level": 30}),
        ('{"message": "m", "x": NaN, "y": 1e999}', "info", "m", {"x": "NaN", "y": "1e999"}),
        ('{"lvl": "WRN", "msg": "m"}', "warn", "m", {"lvl": "WRN"}),
        (
            '{"level":"dpanic","ts":1.5,"logger":"a","caller":"b.go:1","msg":"zap"}',
            "error",
            "zap",
            {"level": "dpanic", "ts": 1.5, "logger": "a", "caller": "b.go:1"},
        ),
        (
            '{"v":0,"name":"app","level":50,"msg":"bunyan","time":"2026-01-01T00:00:00Z"}',
            "error",
            "bunyan",
            {"v": 0, "name": "app", "level": 50, "time": "2026-01-01T00:00:00Z"},
        ),
        ('{"level":40,"time":1,"msg":"pino"}', "warn", "pino", {"level": 40, "time": 1}),
        ('{"level":-4,"msg":"slog"}', "info", "slog", {"level": -4}),
        ('{"level":"20","msg":"a number in quotes"}', "info", "a number in quotes", {"level": "20"}),
        ('{"event":"structlog","level":"error","timestamp":"t"}', "error", "structlog", {"timestamp": "t"}),
        ('{"event":"no level"}', "info", '{"event":"no level"}', {}),
        ('{"@timestamp":"t","log.level":"ERROR","message":"ecs"}', "error", "ecs", {"@timestamp": "t"}),
        (
            '{"level_name":"ALERT","level":550,"message":"monolog"}',
            "error",
            "monolog",
            {"level_name": "ALERT", "level": 550},
        ),
        (
            '{"severity":"WARNING","message":"a","httpRequest":{"b":[1,{"c":null}]}}',
            "warn",
            "a",
            {"httpRequest": {"b": [1, {"c": None}]}},
        ),
        ('{"level": true, "message": "m"}', "info", "m", {"level": True}),
        ('{"message": "\\u001b[31mred\\u001b[0m\\r\\nnext", "a": "\\u0000b"}', "info", "red\nnext", {"a": "b"}),
        ('{\n  "message": "over lines",\n  "a": 1\n}', "info", "over lines", {"a": 1}),
        ('{"message": 1}', "info", '{"message": 1}', {}),
        ('{"text": "no message"}', "info", '{"text": "no message"}', {}),
        ('{"message": "cut', "info", '{"message": "cut', {}),
        ("{not json}", "info", "{not json}", {}),
        ('["message"]', "info", '["message"]', {}),
    ],
)
def test_lines(line: str, kind: str, message: str, params: dict[str, Any]) -> None:
    found = parse_text(line, NOTHING)
    assert (found.type, found.message, found.params) == (kind, message, params)


@given(st.binary(max_size=200))
def test_any_bytes_become_an_event(text: bytes) -> None:
    assert len(parse_text(readable(text), NOTHING).message) <= contract.EVENT_MESSAGE_LIMIT


def test_a_long_message_is_cut_with_a_mark() -> None:
    assert parse_text("x" * 4_000, NOTHING).message == "x" * 4_000
    found = parse_text("x" * 10_000, NOTHING).message
    assert len(found) <= 4_000
    assert found.endswith("more characters]")
    assert int(found.split("cut: ")[1].split()[0]) + found.index(" [cut") == 10_000


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_the_mark_says_also_what_was_not_kept_of_a_very_long_line(letter: str) -> None:
    printed = f"2026-11-24T07:46:33.866288610Z {letter * 1_000_000}\n".encode()
    line = parse(Splitter().feed(printed)[0])
    assert line is not None
    (found,) = parse_groups([Group(line, readable(line.text))], NOTHING)
    assert isinstance(found, EventContent)
    shown, _, mark = found.message.partition(" [cut: ")
    assert len(shown) + int(mark.removesuffix(" more characters]")) == pytest.approx(1_000_000, abs=2)


def test_a_progress_bar_that_was_too_long_to_keep_has_no_mark() -> None:
    splitter = Splitter()
    splitter.feed(b"2026-11-24T07:46:33.866288610Z ")
    for _ in range(100):
        splitter.feed(b"working\r" * 1000)
    line = parse(splitter.feed(b"done\n")[0])
    assert line is not None
    assert parse_groups([Group(line, readable(line.text))], NOTHING) == [EventContent("info", "done")]


def test_a_secret_at_the_cut_is_redacted_first() -> None:
    line = "x" * (contract.EVENT_MESSAGE_LIMIT - 40) + "hunter2hunter2hunter2" + "y" * 100
    assert "hunt" not in parse_text(line, Redactor(["hunter2hunter2hunter2"])).message


def test_secrets_in_structured_lines_are_redacted_after_decoding() -> None:
    line = '{"message": "h\\u0075nter2", "a": {"b": ["hunter2"]}}'
    found = parse_text(line, Redactor(["hunter2"]))
    assert (found.message, found.params) == (MARK, {"a": {"b": [MARK]}})


def test_secrets_in_a_message_that_is_an_object_are_redacted() -> None:
    found = parse_text(
        '{"level":"error","message":{"key":"hunter2\\n","hunter2":[1,"x hunter2"]}}', Redactor(["hunter2"])
    )
    assert found.type == "error"
    assert "hunter2" not in repr(found)
    assert MARK in found.message


@pytest.mark.parametrize("fill", ["x", "\\", "ž", "\U0001f600"])
def test_an_event_is_never_larger_than_its_limit(fill: str) -> None:
    line = json.dumps({"message": fill * 5_000, "data": fill * 190_000})
    found = parse_text(line, NOTHING)
    size = len(json.dumps({"message": found.message, "params": found.params}, ensure_ascii=False).encode())
    assert size < 200_000
    assert "left_out" in found.params


def test_of_params_that_are_too_large_the_small_ones_are_kept() -> None:
    line = json.dumps({"message": "m", "rows": 5, "data": "x" * 190_000, "table": "a"})
    found = parse_text(line, NOTHING)
    assert found.params == {"rows": 5, "table": "a", "left_out": "data: 190012 bytes"}


def test_bytes_that_are_not_utf_8_do_not_make_a_line_unstructured() -> None:
    assert parse_text(readable(b'{"message": "caf\xe9", "a": "\\\\x"}'), NOTHING) == ("info", "caf\\xe9", {"a": "\\x"})


def test_absurdly_nested_json_is_no_danger() -> None:
    line = '{"message": "m", "a": ' + "[" * 400 + "]" * 400 + "}"
    assert len(json.dumps(parse_text(line, NOTHING).params)) < 200
    assert parse_text("{" * 100_000 + "}", NOTHING).type == "info"
    assert parse_text('{"message":"m","a":' + "[" * 50_000 + "]" * 50_000 + "}", NOTHING).type == "info"
