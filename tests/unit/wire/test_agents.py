"""The documents between operator and agents survive their way, and a broken one is named."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from componentrun.wire import agents as exchange
from componentrun.wire import grants
from componentrun.wire.agents import from_json, to_json
from componentrun.wire.documents import MAX_DEPTH, MAX_VALUES, parse_portable

DOCUMENTS = [exchange.StageInPlan, grants.GrantIn, exchange.StageOutPlan, grants.GrantOut,
             exchange.StageInResult, exchange.StageOutResult]  # fmt: skip
json_objects = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=3)
st.register_type_strategy(
    dict, lambda kind: json_objects if kind == dict[str, Any] else st.dictionaries(st.text(), st.text(), max_size=3)
)


st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))  # JSON has neither


@pytest.mark.parametrize("kind", DOCUMENTS)
# How long it takes to make up a document with all that it may hold says nothing about the document.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_is_read_back(kind: Any, data: st.DataObject) -> None:
    document = data.draw(st.from_type(kind))
    assert from_json(kind, to_json(document)) == document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object, found list"),
        ("{}", r"StageInPlan\.run: missing"),
        ('{"run":1}', r"StageInPlan\.run: expected str, found int"),
        ('{"run":"a/b","tables":[{}],"config":{}}', r"StageInPlan\.tables\[0\]\.source: missing"),
        ('{"run":"a/b","tables":{},"config":{}}', r"StageInPlan\.tables: expected a list, found dict"),
    ],
)
def test_a_broken_document_is_refused_with_the_field(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(exchange.StageInPlan, text)


def test_a_field_of_a_newer_release_is_ignored() -> None:
    result = exchange.StageInResult(ok=True)
    text = to_json(result).replace("{", '{"later":1,', 1)
    assert from_json(exchange.StageInResult, text) == dataclasses.replace(result)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": NaN}', "`NaN`, which JSON does not know"),
        ('{"a": [-1e400]}', "`-1e400`, which is larger than any number"),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), "expected at most 150 lists and objects"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_other_readers_do_not_understand_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_portable(text)


@pytest.mark.parametrize("value", ["[]", "{}", "1", '{"":1}'])
def test_a_document_of_more_values_than_readers_have_memory_for_is_refused(value: str) -> None:
    of_each = 2 if ":" in value else 1
    most = (MAX_VALUES - 2) // of_each
    assert len(parse_portable('{"a":[' + ",".join([value] * most) + "]}")["a"]) == most
    with pytest.raises(ValueError, match="expected at most 500000"):
        parse_portable('{"a":[' + ",".join([value] * (most + 1)) + "]}")


def test_what_others_write_is_read_as_it_is() -> None:
    text = (
        '{"n": 0.1, "big": 123456789012345678901234567890, "deep": '
        + "[" * (MAX_DEPTH - 1)
        + "]" * (MAX_DEPTH - 1)
        + "}"
    )
    assert parse_portable(text) == json.loads(text)
