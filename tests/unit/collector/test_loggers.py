"""Lines as common loggers write them: each keeps its message, its level and all that it says besides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.collector.readers.structure import parse_text
from componentrun.core.podstatus.printed import readable
from componentrun.core.redact.redactor import Redactor

NOTHING = Redactor()
LINES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "structlog": (
        '{"user": "a", "rows": 3, "event": "table loaded", "level": "warning", "timestamp": "2026-11-24T07:46:33Z"}',
        "warn", "table loaded", {"user": "a", "rows": 3, "timestamp": "2026-11-24T07:46:33Z"},
    ),
    "structlog with a traceback": (
        '{"event": "no", "level": "error", "exception": "Traceback (most recent call last):\\n  File \\"x\\"\\nE: no"}',
        "error", "no", {"exception": 'Traceback (most recent call last):\n  File "x"\nE: no'},
    ),
    "python-json-logger": (
        '{"asctime": "2026-11-24 07:46:33,866", "levelname": "CRITICAL", "name": "app", "message": "m", "rows": 3}',
        "error", "m", {"asctime": "2026-11-24 07:46:33,866", "levelname": "CRITICAL", "name": "app", "rows": 3},
    ),
    "python-json-logger, INFO": ('{"levelname": "INFO", "message": "m"}', "info", "m", {}),
    "zap": (
        '{"level":"warn","ts":1795506393.86,"logger":"a","caller":"a/b.go:42","msg":"m","rows":3,"stacktrace":"a\\n\\tb"}',
        "warn", "m",
        {"ts": 1795506393.86, "logger": "a", "caller": "a/b.go:42", "rows": 3, "stacktrace": "a\n\tb"},
    ),
    "logrus": (
        '{"level":"error","msg":"m","rows":3,"time":"2026-11-24T07:46:33Z"}',
        "error", "m", {"rows": 3, "time": "2026-11-24T07:46:33Z"},
    ),
    "logrus, panic": ('{"level":"panic","msg":"m","time":"t"}', "error", "m", {"level": "panic", "time": "t"}),
    "Go's slog": (
        '{"time":"2026-11-24T07:46:33.8+01:00","level":"WARN","msg":"m","group":{"rows":3}}',
        "warn", "m", {"time": "2026-11-24T07:46:33.8+01:00", "group": {"rows": 3}},
    ),
    "slog, a level of its own": (
        '{"time":"t","level":"INFO+2","msg":"m"}', "info", "m", {"time": "t", "level": "INFO+2"},
    ),
    "slog, worse than an error": (
        '{"time":"t","level":"ERROR+4","msg":"m"}', "error", "m", {"time": "t", "level": "ERROR+4"},
    ),
    "slog, worse than a warning": ('{"level":"WARN+1","msg":"m"}', "warn", "m", {"level": "WARN+1"}),
    "pino": (
        '{"level":50,"time":1795506393866,"pid":7,"hostname":"h","msg":"m","err":{"type":"E","message":"no","stack":"E"}}',
        "error", "m",
        {
            "level": 50, "time": 1795506393866, "pid": 7, "hostname": "h",
            "err": {"type": "E", "message": "no", "stack": "E"},
        },
    ),
    "pino, info": ('{"level":30,"time":1,"msg":"m"}', "info", "m", {"level": 30, "time": 1}),
    "winston": ('{"level":"warn","message":"m","timestamp":"t"}', "warn", "m", {"timestamp": "t"}),
    "Monolog": (
        '{"message":"m","context":{"rows":3},"level":200,"level_name":"INFO","channel":"app","datetime":"t","extra":{}}',
        "info", "m",
        {
            "context": {"rows": 3}, "level": 200, "level_name": "INFO", "channel": "app", "datetime": "t", "extra": {},
        },
    ),
    "Monolog, notice": ('{"message":"m","level":250}', "info", "m", {"level": 250}),
    "Monolog, warning": ('{"message":"m","level":300}', "warn", "m", {"level": 300}),
    "Monolog, error": (
        '{"message":"m","level":400,"level_name":"ERROR"}', "error", "m", {"level": 400, "level_name": "ERROR"},
    ),
    "Serilog": ('{"@t":"t","@m":"m","@l":"Fatal","Rows":3}', "error", "m", {"@t": "t", "@l": "Fatal", "Rows": 3}),
    "Serilog, compact": (
        '{"@t":"t","@mt":"{Rows} rows","@l":"Error","Rows":3}', "error", "{Rows} rows", {"@t": "t", "Rows": 3},
    ),
    ".NET's console": (
        '{"EventId":7,"LogLevel":"Critical","Category":"a","Message":"m","State":{"Rows":3}}',
        "error", "m", {"EventId": 7, "LogLevel": "Critical", "Category": "a", "State": {"Rows": 3}},
    ),
    "OpenTelemetry": (
        '{"timeUnixNano":"1","severityText":"WARN","severityNumber":13,"body":"m","attributes":{"rows":3}}',
        "warn", "m", {"timeUnixNano": "1", "severityNumber": 13, "attributes": {"rows": 3}},
    ),
    "a body without a level": ('{"body":"m"}', "info", '{"body":"m"}', {}),
    "winston, an object": (
        '{"level":"error","message":{"rows":3,"why":"hunter"}}',
        "error", '{"rows": 3, "why": "hunter"}', {"message": {"rows": 3, "why": "hunter"}},
    ),
    "a number": ('{"level":"warn","msg":7}', "warn", "7", {"msg": 7}),
    "an object without a level": ('{"message":{"a":1}}', "info", '{"message":{"a":1}}', {}),
    "a level and nothing": ('{"level":"error","message":null}', "info", '{"level":"error","message":null}', {}),
    "Google's": (
        '{"severity":"NOTICE","message":"m","timestamp":{"seconds":1}}',
        "info", "m", {"severity": "NOTICE", "timestamp": {"seconds": 1}},
    ),
    "log4j 2": (
        '{"instant":{"epochSecond":1},"thread":"main","level":"ERROR","loggerName":"a","message":"m"}',
        "error", "m", {"instant": {"epochSecond": 1}, "thread": "main", "loggerName": "a"},
    ),
    "logback": (
        '{"@timestamp":"t","@version":"1","message":"m","level":"WARN","level_value":30000}',
        "warn", "m", {"@timestamp": "t", "@version": "1", "level_value": 30000},
    ),
    "tracing of Rust": (
        '{"timestamp":"t","level":"ERROR","fields":{"message":"m","rows":3},"target":"a"}',
        "error", "m", {"timestamp": "t", "fields": {"rows": 3}, "target": "a"},
    ),
    "loguru": (
        '{"text":"t | m\\n","record":{"level":{"icon":"x","name":"CRITICAL","no":50},"message":"m","line":3}}',
        "error", "m",
        {
            "text": "t | m\n", "level": "CRITICAL",
            "record": {"level": {"icon": "x", "name": "CRITICAL", "no": 50}, "line": 3},
        },
    ),
    "a record without a level": ('{"record":{"message":"m"}}', "info", '{"record":{"message":"m"}}', {}),
    "GELF": (
        '{"version":"1.1","host":"h","short_message":"m","full_message":"m\\nmore","level":3,"_rows":3}',
        "error", "m",
        {"version": "1.1", "host": "h", "full_message": "m\nmore", "level": 3, "_rows": 3},
    ),
    "GELF with a message of the client's own": (
        '{"short_message":"m","message":"other","msg":"more","level":4}',
        "warn", "m", {"message": "other", "msg": "more", "level": 4},
    ),
    "success": ('{"message":"m","level":"success"}', "success", "m", {}),
}  # fmt: skip


@pytest.mark.parametrize("logger", LINES)
def test_a_line(logger: str) -> None:
    line, kind, message, params = LINES[logger]
    found = parse_text(readable(line.encode()), NOTHING)
    assert (found.type, found.message, found.params) == (kind, message, params)


@pytest.mark.parametrize("logger", [name for name, (_, _, message, _) in LINES.items() if message[:1] != "{"])
def test_nothing_of_a_line_is_dropped(logger: str) -> None:
    """Only a level that the event's type says already, and the message, are not among the params."""
    line = LINES[logger][0]
    document = json.loads(line)
    params = parse_text(line, NOTHING).params
    left = {key for key in document if key not in params}
    assert len(left) <= 2
    for name in {"fields", "record"} & document.keys():
        del document[name]["message"]
    assert all(params[key] == document[key] for key in params if key in document)
