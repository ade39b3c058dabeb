"""Checks in processes of their own: what needs too much is stopped, and the operator goes on."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.schemacheck.checker import SchemaChecker
from componentrun.core.schema.documents import CheckRequest, CheckResult, Schema
from componentrun.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SCHEMA = Schema("spec.configuration.schema", json.dumps({"properties": {"a": {"type": "string"}}}))


def exponential(leaf: str, levels: int = 40) -> Schema:
    """A schema that takes 2^levels steps. If its leaves do not match, as many errors are collected."""
    definitions: dict[str, Any] = {
        f"a{level}": {"allOf": [{"$ref": f"#/definitions/a{level + 1}"}] * 2} for level in range(levels)
    }
    definitions[f"a{levels}"] = {"type": leaf}
    return Schema("spec.configuration.schema", json.dumps({"definitions": definitions, "$ref": "#/definitions/a0"}))


@pytest.fixture
async def checker() -> AsyncIterator[SchemaChecker]:
    made = SchemaChecker()
    yield made
    await made.close()


async def test_a_process_answers_one_request_after_another(checker: SchemaChecker) -> None:
    wrong = await checker.check("team", CheckRequest((SCHEMA,), {"a": 1}))
    right = await checker.check("team", CheckRequest((SCHEMA,), {"a": "x"}))
    assert [mismatch.path for mismatch in wrong.mismatches] == ["parameters.a"]
    assert right == CheckResult()


async def test_no_process_runs_before_the_first_check(checker: SchemaChecker) -> None:
    assert [process._process for process in checker._all] == [None, None]
    await checker.check("team", CheckRequest((SCHEMA,), {}))
    assert sum(process._process is not None for process in checker._all) == 1


async def test_a_check_that_takes_too_much_cpu_time_is_stopped_and_the_event_loop_goes_on(
    checker: SchemaChecker,
) -> None:
    check = asyncio.create_task(checker.check("team", CheckRequest((exponential("object"),), {})))
    other = await checker.check("other", CheckRequest((SCHEMA,), {"a": 1}))
    assert len(other.mismatches) == 1
    assert "takes more than 2 s of CPU time" in (await check).unusable


async def test_one_that_was_stopped_is_not_tried_again_at_once(checker: SchemaChecker) -> None:
    request = CheckRequest((exponential("object"),), {})
    first = await checker.check("team", request)
    processes = [process._process for process in checker._all]
    assert await checker.check("team", request) == first
    assert [process._process for process in checker._all] == processes


async def test_what_was_stopped_is_tried_for_other_parameters_and_namespaces(checker: SchemaChecker) -> None:
    """How much a check needs depends on the parameters, too: one tenant's must not refuse the runs of others."""
    definitions = json.loads(exponential("object").text)["definitions"]
    tree = {"definitions": definitions, "properties": {"tree": {"$ref": "#/definitions/a0"}}}
    schema = Schema("spec.configuration.schema", json.dumps(tree))
    assert (await checker.check("team", CheckRequest((schema,), {"tree": {}}))).unusable
    assert not (await checker.check("team", CheckRequest((schema,), {"other": 1}))).unusable
    assert (await checker.check("team", CheckRequest((schema,), {"tree": {}}))).unusable
    assert not (await checker.check("others", CheckRequest((schema,), {}))).unusable


async def test_a_process_that_is_killed_is_no_fault_of_the_check() -> None:
    code = "import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)"
    checker = SchemaChecker((sys.executable, "-c", code))
    for _ in range(2):
        with pytest.raises(TransientError, match="ended with status -9"):
            await checker.check("team", CheckRequest((SCHEMA,), {}))


async def test_a_process_that_ends_by_itself_is_replaced(checker: SchemaChecker) -> None:
    await checker.check("team", CheckRequest((SCHEMA,), {}))
    process = next(each._process for each in checker._all if each._process is not None)
    process.kill()
    await process.wait()
    assert await checker.check("team", CheckRequest((SCHEMA,), {"a": "x"})) == CheckResult()


async def test_a_cancelled_check_leaves_no_answer_behind(checker: SchemaChecker) -> None:
    await checker.check("team", CheckRequest((SCHEMA,), {}))
    task = asyncio.create_task(checker.check("team", CheckRequest((SCHEMA,), {"a": 1})))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await checker.check("team", CheckRequest((SCHEMA,), {"a": "x"})) == CheckResult()


async def test_a_program_that_cannot_be_started_is_tried_again_later() -> None:
    checker = SchemaChecker(("/no/such/program",))
    with pytest.raises(TransientError, match="could not be started"):
        await checker.check("team", CheckRequest((SCHEMA,), {}))


async def test_a_check_that_takes_too_much_memory_is_stopped(checker: SchemaChecker) -> None:
    result = await checker.check("team", CheckRequest((exponential("string"),), {}))
    assert "needs more than 96 MiB of memory" in result.unusable


async def test_the_process_gets_none_of_the_operators_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMPONENTRUN_SECRET", "hunter2")
    code = "import os, sys; sys.stdin.readline(); sys.exit(7 if 'COMPONENTRUN_SECRET' in os.environ else 8)"
    checker = SchemaChecker((sys.executable, "-c", code))
    process = checker._all[-1]
    with pytest.raises(Exception, match="8"):
        await process.check(CheckRequest((SCHEMA,), {}))
    await checker.close()
