"""How agents end: messages that fit, exit codes, and nothing that should not be seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent.__main__ import main
from componentrun.agent.outcome import TERMINATION_BYTES, exit_code, failed, termination_message
from componentrun.agent.progress import amount
from componentrun.agent.transfer import Failure, explain
from componentrun.errors import PlatformError, Reason, TransientError, UserError
from componentrun.wire.agents import StageInResult, StageOutResult, TableWritten, from_json, to_json
from componentrun.wire.chain import TERMINATION_VARIABLE
from componentrun.wire.grants import GRANT_FILE, GrantIn

if TYPE_CHECKING:
    from pathlib import Path

TABLE = TableWritten("a.csv", "out.c-a.a", ("x",), (), incremental=False, write_always=False, slices=(), rows=1, size=2)


@pytest.mark.parametrize("message", ["short", "x" * 10_000, "ž" * 10_000, '"\n' * 10_000, "\x00" * 5000, None])
@pytest.mark.parametrize("warnings", [(), ("w",), ("w" * 500,) * 20])
@pytest.mark.parametrize("said", [None, "\x00" * 5000])
def test_a_termination_message_always_fits_and_is_always_json(
    message: str | None, warnings: tuple[str, ...], said: str | None
) -> None:
    result = StageOutResult(
        ok=False,
        tables=(TABLE,) * 100,
        state={"a": "b" * 9000},
        warnings=warnings,
        reason="R",
        message=message,
        said=said,
    )
    text = termination_message(result)
    assert len(text.encode()) <= TERMINATION_BYTES
    back = from_json(StageOutResult, text)
    assert (back.ok, back.reason, back.tables, back.state) == (False, "R", (), None)
    if message and len(message) > 100:
        assert back.message
        assert back.message.endswith(" …")
        assert len(text.encode()) > TERMINATION_BYTES // 2
    else:
        assert back.message == message


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (UserError("m", Reason.DISK_FULL), 1, "DiskFull", "m"),
        (PlatformError("m", Reason.STORAGE_ACCESS_DENIED), 2, "StorageAccessDenied", "m"),
        (TransientError("m", Reason.STORAGE_UNAVAILABLE), 2, "StorageUnavailable", "m"),
        (ValueError("https://x?X-Amz-Signature=1"), 2, "Internal", "a defect of ComponentRun: ValueError; the agent's"),
    ],
)
def test_an_error_becomes_a_result_and_an_exit_code(error: Exception, code: int, reason: str, message: str) -> None:
    result = failed(StageInResult, error, 1.0)
    assert (result.ok, result.reason) == (False, reason)
    assert (result.message or "").startswith(message)
    assert "X-Amz" not in (result.message or "")
    assert exit_code(result, error) == code


@pytest.mark.parametrize("kind", [StageInResult, StageOutResult])
def test_an_errors_advice_is_a_field_of_the_result_too(kind: type[StageInResult | StageOutResult]) -> None:
    error = UserError("`bar.csv` is missing", Reason.OUTPUT_MISSING, advice="Write it.")
    result = from_json(kind, termination_message(failed(kind, error, 1.0)))
    assert (result.message, result.advice) == ("`bar.csv` is missing. Write it.", "Write it.")


def test_long_advice_does_not_displace_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TERMINATION_VARIABLE, "491")  # the share of one agent in the longest chain
    result = StageOutResult(ok=False, reason="R", message="m" * 800, advice="a" * 500)
    back = from_json(StageOutResult, termination_message(result))
    assert (back.message or "").startswith("m")
    assert (back.advice or "").startswith("a")


def test_a_result_that_is_not_ok_is_the_users_where_its_reason_is() -> None:
    assert exit_code(StageOutResult(ok=True)) == 0
    assert exit_code(StageOutResult(ok=False, reason=Reason.OUTPUT_MISSING)) == 1
    assert exit_code(StageOutResult(ok=False, reason=Reason.STORAGE_UNAVAILABLE)) == 2


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (503, "SlowDown", Failure, None),
        (500, "InternalError", Failure, None),
        (502, "", Failure, None),
        (429, "", Failure, None),
        (400, "RequestTimeout", Failure, None),
        (520, "", Failure, None),
        (524, "", Failure, None),
        (501, "NotImplemented", PlatformError, Reason.INTERNAL),
        (403, "AccessDenied", PlatformError, Reason.STORAGE_ACCESS_DENIED),
        (401, "", PlatformError, Reason.STORAGE_ACCESS_DENIED),
        (404, "NoSuchKey", PlatformError, Reason.INPUT_NOT_FOUND),
        (404, "NoSuchBucket", PlatformError, Reason.STORAGE_BUCKET_NOT_FOUND),
        (412, "PreconditionFailed", TransientError, Reason.STAGE_IN_FAILED),
        (400, "EntityTooLarge", UserError, Reason.OUTPUT_INVALID),
        (400, "InvalidArgument", PlatformError, Reason.INTERNAL),
        (307, "", PlatformError, Reason.INTERNAL),
    ],
)
def test_what_an_answer_means(status: int, code: str, kind: type[Exception], reason: Reason | None) -> None:
    meaning = explain(status, code, "in.c-main.foo")
    assert type(meaning) is kind
    assert getattr(meaning, "reason", None) is reason
    assert str(status) in str(meaning)
    if reason is not None:
        assert str(meaning).startswith("in.c-main.foo: ")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[Any], str]:
    code = main(arguments)
    said = capsys.readouterr()
    return code, [json.loads(line) for line in said.out.splitlines()], said.err


def test_a_grant_that_is_not_there_is_told_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    options = ("--grant", str(tmp_path), "--data", str(tmp_path), "--termination-log", str(log))
    code, lines, _ = run(capsys, "stage-in", *options)
    assert code == 2
    message = f"the grant at {tmp_path}/{GRANT_FILE} can't be read: No such file or directory"
    assert lines == [{"level": "error", "message": message, "reason": "Internal"}]
    assert json.loads(log.read_text())["message"] == message


@pytest.mark.parametrize("url", ["ftp://host/plan?X-Amz-Signature=1", "http://[bad/plan?X-Amz-Signature=1", "nonsense"])
def test_an_address_is_never_shown_even_if_it_is_the_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    (tmp_path / GRANT_FILE).write_text(to_json(GrantIn(url)))
    log = tmp_path / "log"
    options = ("--grant", str(tmp_path), "--data", str(tmp_path), "--termination-log", str(log))
    code, lines, err = run(capsys, "stage-in", *options)
    assert code == 2
    assert "X-Amz" not in json.dumps(lines) + err + log.read_text()


@pytest.mark.parametrize("arguments", [[], ["stage"], ["stage-in", "--data"], ["stage-in", "--unknown", "x"]])
def test_wrong_arguments_are_told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, lines, err = run(capsys, *arguments)
    assert (code, lines) == (64, [])
    assert err.startswith("usage: ")


@pytest.mark.parametrize(
    ("tables", "size", "text"),
    [
        (0, 0, "0 tables, 0 B"),
        (1, 1023, "1 table, 1023 B"),
        (2, 1024, "2 tables, 1.0 KiB"),
        (2, 542231700, "2 tables, 517.1 MiB"),
        (2, 3 * 2**50, "2 tables, 3072.0 TiB"),
    ],
)
def test_amounts_for_people(tables: int, size: int, text: str) -> None:
    assert amount(tables, size) == text
