"""Parameters against the JSON Schemas of a Component: what is told, and what never is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.request.parameters import StepParameters
from componentrun.core.schema.check import check
from componentrun.core.schema.documents import MAX_SCHEMA_BYTES, CheckRequest, CheckResult, Schema
from componentrun.core.schema.parameters import SCHEMA, ParameterCheck, check_of, outcome, schemas_of
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component


def checked(schema: Any, document: Any, hidden: tuple[tuple[str, ...], ...] = ()) -> CheckResult:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return check(CheckRequest((Schema(SCHEMA, text),), document, hidden=hidden))


def told(schema: Any, document: Any) -> list[str]:
    result = checked(schema, document)
    assert result.unusable == ""
    return [str(mismatch) for mismatch in result.mismatches]


def request_of(
    component: Any, row: str | None, parameters: dict[str, Any], secrets: dict[str, str]
) -> CheckRequest | None:
    found = check_of(StepParameters("spec.configuration", component, parameters, secrets, row=row))
    return None if found is None else found.request


def answer(component: Any, result: CheckResult, path: str = "spec.configuration") -> tuple[ParameterCheck, CheckResult]:
    return ParameterCheck(component, path, CheckRequest((), None)), result


def properties(**of: Any) -> dict[str, Any]:
    return {"type": "object", "properties": of}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "string"}, 3, "found the number 3, expected a text"),
        ({"type": ["integer", "null"]}, "x", "found `x`, expected `null` or a whole number"),
        ({"type": "array"}, {"b": 1}, "found an object, expected a list"),
        ({"type": "boolean"}, None, "found `null`, expected `true` or `false`"),
        ({"enum": ["full", "new"]}, "all", "found `all`, expected one of `full`, `new`"),
        ({"const": 3}, 1, "found the number 1, expected `3`"),
        ({"minimum": 3}, 1, "found the number 1, expected at least 3"),
        ({"exclusiveMaximum": 3}, 3, "found the number 3, expected less than 3"),
        ({"multipleOf": 5}, 3, "found the number 3, expected a multiple of 5"),
        ({"minLength": 2}, "a", "found `a`, expected at least 2 characters"),
        ({"minLength": 1}, "", "found an empty text, expected at least 1 character"),
        ({"pattern": "^[a-z]+$"}, "A", "found `A`, expected a text that matches the pattern `^[a-z]+$`"),
        ({"minItems": 1}, [], "found an empty list, expected at least 1 item"),
        ({"uniqueItems": True}, [1, 1], "found a list of 2, expected a list without duplicates"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 3, "expected a value that matches one of the alternatives"),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, "expected a value that matches exactly one of the alternat"),
        ({"not": {"const": 3}}, 3, "found the number 3, expected a value that does not match"),
    ],
)
def test_a_mismatch_is_told_by_path_what_was_found_and_what_was_expected(
    schema: Any, value: Any, expected: str
) -> None:
    (sentence,) = told(properties(a=properties(b=schema)), {"a": {"b": value}})
    assert sentence.startswith("`parameters.a.b`: found ")
    assert expected in sentence


def test_a_missing_key_and_an_unknown_one_are_told_by_their_own_paths() -> None:
    schema = properties(a={}) | {"required": ["a"], "additionalProperties": False}
    assert sorted(told(schema, {"b": 1})) == [
        "`parameters.a`: found nothing, expected a value",
        "`parameters.b`: found the number 1, expected no such key",
    ]


def test_a_path_of_long_keys_is_cut() -> None:
    schema = properties(**{"k" * 50_000: {"type": "string"}})
    result = checked(schema, {"k" * 50_000: 1})
    assert [len(item.path) for item in result.mismatches] == [len("parameters.") + 100]
    deep: Any = {"additionalProperties": {"type": "string"}}
    document: Any = {"x": 1}
    for _ in range(20):
        deep, document = {"additionalProperties": deep}, {"k" * 200: document}
    assert [len(item.path) for item in checked(deep, document).mismatches] == [500]


def test_items_of_a_list_are_told_by_their_number() -> None:
    schema = properties(a={"type": "array", "items": {"type": "string"}})
    assert told(schema, {"a": ["x", 3]}) == ["`parameters.a[1]`: found the number 3, expected a text"]


def test_all_mismatches_are_told_at_once_and_at_most_ten_of_them() -> None:
    schema = properties(**{f"p{number}": {"type": "string"} for number in range(25)})
    result = checked(schema, {f"p{number}": number for number in range(25)})
    assert (len(result.mismatches), result.more) == (10, 15)


class TestSecrets:
    @pytest.mark.parametrize(
        "schema", [{"type": "integer"}, {"maxLength": 1}, {"enum": ["a"]}, {"pattern": "^a$"}, {"const": "a"}]
    )
    def test_a_value_below_a_secret_key_is_never_told(self, schema: Any) -> None:
        for document in ({"#password": "hunter2-hunter2"}, {"#password": {"deep": ["hunter2-hunter2"]}}):
            nested = {"anyOf": [schema, properties(deep={"items": schema})], "type": "integer"}
            for each in (schema, nested):
                text = " ".join(told(properties(**{"#password": each}), document))
                assert "hunter2" not in text

    def test_what_was_found_there_is_a_secret(self) -> None:
        schema = properties(**{"#password": {"minLength": 20}})
        assert told(schema, {"#password": "hunter2"}) == [
            "`parameters.#password`: found a secret, expected at least 20 characters"
        ]

    def test_the_value_of_a_secret_below_another_key_is_hidden_as_well(self) -> None:
        result = checked(properties(db=properties(key={"minLength": 9})), {"db": {"key": "x1y2"}}, (("db", "key"),))
        assert [mismatch.found for mismatch in result.mismatches] == ["a secret"]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda children: st.lists(children) | st.dictionaries(st.text(), children),
            max_leaves=8,
        )
    )
    def test_no_document_makes_a_message_of_its_secret(self, value: Any) -> None:
        document = {"a": value, "#s": {"list": ["0b5f1e0c-secret", value]}}
        schema = {
            "properties": {"#s": {"properties": {"list": {"items": {"enum": [1]}, "uniqueItems": True}}}},
            "additionalProperties": False,
            "oneOf": [{"required": ["z"]}, {"minProperties": 99}],
        }
        assert "0b5f1e0c-secret" not in " ".join(told(schema, document))

    def test_a_secret_counts_as_given(self) -> None:
        component = make_component(
            configuration={"schema": properties(db=properties(**{"#p": {"type": "string"}}) | {"required": ["#p"]})}
        )
        request = request_of(component, None, {"db": {"host": "h"}}, {"db.#p": "hunter2"})
        assert request is not None
        assert check(request) == CheckResult()
        assert request_of(component, None, {}, {}) is not None

    def test_the_given_parameters_are_not_changed(self) -> None:
        parameters = {"list": [{"a": 1}]}
        component = make_component(configuration={"schema": {}})
        request = request_of(component, None, parameters, {"list.0.#p": "hunter2"})
        assert request is not None
        assert request.document == {"list": [{"a": 1, "#p": "hunter2"}]}
        assert parameters == {"list": [{"a": 1}]}


class TestUnusableSchemas:
    @pytest.mark.parametrize(
        ("schema", "message"),
        [
            ({"type": "button"}, "spec.configuration.schema.type: found `button`, expected one of `array`"),
            (properties(a={"required": True}), "schema.properties.a.required: found `true`, expected a list"),
            (properties(a={"type": "foo"}), "schema.properties.a.type: found `foo`, expected one of"),
            (properties(a={"pattern": "("}), "schema.properties.a.pattern: found `(`, expected a regular expression"),
            ({"minimum": "3"}, "schema.minimum: found `3`, expected a number"),
            ({"$ref": "http://127.0.0.1:1/other"}, "it refers to what it does not contain: Resource"),
            ({"$ref": "file:///etc/passwd"}, "it refers to what it does not contain: Resource"),
            ({"$ref": "#/nowhere"}, "it refers to what it does not contain: Pointer '/nowhere' does not exist"),
            ({"$schema": "http://example.com/mine"}, "it refers to what it does not contain: Unknown meta-schema"),
            ("not json", "found text that is not JSON"),
            ("[]", "found an empty list; expected a JSON Schema, which is an object"),
            ("[" * 100_000, "found text that is not JSON"),
            ({"description": "x" * MAX_SCHEMA_BYTES}, f"expected at most {MAX_SCHEMA_BYTES}"),
        ],
    )
    def test_what_is_no_usable_schema_is_told_with_the_place(self, schema: Any, message: str) -> None:
        assert message in checked(schema, {}).unusable

    def test_one_that_is_nested_too_deeply_is_refused(self) -> None:
        schema: dict[str, Any] = {}
        for _ in range(400):
            schema = properties(a=schema)
        assert "levels deep" in checked(schema, {}).unusable

    def test_no_file_or_address_is_read_for_a_reference(self, tmp_path: Any) -> None:
        other = tmp_path / "other.json"
        other.write_text('{"type": "string"}')
        assert "Retrieval is disabled" in checked({"$ref": other.as_uri()}, {}).unusable


class TestDialects:
    def test_a_recursive_schema_checks_a_tree(self) -> None:
        tree = properties(name={"type": "string"}, children={"type": "array", "items": {"$ref": "#"}})
        assert told(tree, {"children": [{"children": [{"name": 3}]}]}) == [
            "`parameters.children[0].children[0].name`: found the number 3, expected a text"
        ]

    def test_one_that_is_only_itself_matches_everything(self) -> None:
        assert told({"allOf": [{"$ref": "#"}]}, {"a": 1}) == []

    def test_a_pattern_that_backtracks_without_end_is_limited(self) -> None:
        assert len(told(properties(a={"pattern": r"^(?=(a+)+$)b"}), {"a": "a" * 60})) <= 1

    def test_hints_for_forms_check_nothing(self) -> None:
        hints = {"format": "email", "options": {"enum_titles": ["A"]}, "propertyOrder": 3, "type": "string"}
        assert told(properties(a=hints), {"a": "no address"}) == []

    def test_the_dialect_is_that_of_the_schema_itself(self) -> None:
        draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True}
        assert told(properties(a=draft4) | {"$schema": draft4["$schema"]}, {"a": 3}) != []
        modern = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **properties(a={"prefixItems": [{"type": "string"}]}),
        }
        assert told(modern, {"a": [3]}) != []


class TestOutcome:
    @pytest.fixture
    def result(self) -> CheckResult:
        return checked(properties(a={"type": "string"}), {"a": 3})

    def test_a_run_that_must_match_is_refused(self, result: CheckResult) -> None:
        component = make_component(configuration={"schema": {}})
        with pytest.raises(UserError, match=r"`parameters.a`: found the number 3, expected a text") as caught:
            outcome([answer(component, result)])
        assert caught.value.reason is Reason.INVALID_CONFIGURATION
        assert "Component `cleaner` (1 problem)" in caught.value.message

    def test_with_warn_it_has_a_warning(self, result: CheckResult) -> None:
        component = make_component(configuration={"schema": {}, "validation": "Warn"})
        (warning,) = outcome([answer(component, result)])
        assert "expected a text" in warning

    def test_with_off_nothing_is_checked(self) -> None:
        component = make_component(configuration={"schema": {"type": "button"}, "validation": "Off"})
        assert request_of(component, None, {}, {}) is None

    @pytest.mark.parametrize("configuration", [None, {}, {"default": {"a": 1}}])
    def test_without_a_schema_nothing_is_checked(self, configuration: Any) -> None:
        component = make_component(**({} if configuration is None else {"configuration": configuration}))
        assert request_of(component, None, {}, {}) is None
        assert request_of(None, None, {}, {}) is None

    def test_a_schema_that_cannot_be_used_refuses_runs_and_says_who_acts(self) -> None:
        component = make_component(configuration={"schema": {"type": "button"}})
        with pytest.raises(
            UserError, match=r"spec.configuration: the parameters can't be checked: Component `cleaner`"
        ) as caught:
            outcome([answer(component, checked({"type": "button"}, {}))])
        assert "validation` set to `Warn`" in caught.value.advice


class TestSeveralSteps:
    @staticmethod
    def many(count: int) -> CheckResult:
        schema = properties(**{f"p{number}": {"type": "string"} for number in range(count)})
        return checked(schema, {f"p{number}": number for number in range(count)})

    def test_one_message_has_the_problems_of_all_of_them_with_their_fields(self) -> None:
        cleaner, unzip = (make_component(name, configuration={"schema": {}}) for name in ("cleaner", "unzip"))
        answers = [answer(cleaner, self.many(1)), answer(unzip, self.many(2), "spec.processors.before[1]")]
        with pytest.raises(UserError) as caught:
            outcome(answers)
        assert caught.value.message == (
            "spec.configuration: the parameters do not match the schema of Component `cleaner` (1 problem): "
            "`parameters.p0`: found the number 0, expected a text. Also: spec.processors.before[1]: the parameters do "
            "not match the schema of Component `unzip` (2 problems): `parameters.p0`: found the number 0, expected a "
            "text; `parameters.p1`: found the number 1, expected a text. Correct the parameters."
        )

    @pytest.mark.parametrize("validation", ["Enforce", "Warn"])
    def test_at_most_ten_problems_are_told_and_the_others_counted(self, validation: str) -> None:
        component = make_component(configuration={"schema": {}, "validation": validation})
        answers = [answer(component, self.many(count), f"step {count}") for count in (7, 6, 2)]
        try:
            text = " ".join(outcome(answers))
        except UserError as error:
            text = error.message
        assert text.count("expected a text") == 10
        assert "step 6: the parameters do not match the schema of Component `cleaner` (6 problems): " in text
        assert "; and 3 more" in text
        assert "step 2: the parameters do not match the schema of Component `cleaner` (2 problems): and 2 more" in text

    def test_each_component_decides_whether_its_own_parameters_must_match(self) -> None:
        strict = make_component("strict", configuration={"schema": {}})
        lenient = make_component("lenient", configuration={"schema": {}, "validation": "Warn"})
        with pytest.raises(UserError) as caught:
            outcome([answer(lenient, self.many(1), "first"), answer(strict, self.many(1), "second")])
        assert caught.value.message.startswith("second: ")
        assert "first" not in caught.value.message
        (warning,) = outcome([answer(lenient, self.many(1), "first"), answer(strict, CheckResult(), "second")])
        assert warning.startswith("first: ")


def test_a_row_is_checked_against_both_schemas() -> None:
    component = make_component(
        configuration={"schema": properties(a={"type": "string"}), "rowSchema": {"required": ["b"]}}
    )
    without, with_row = (request_of(component, row, {"a": 1}, {}) for row in (None, "r1"))
    assert without is not None
    assert with_row is not None
    assert len(check(without).mismatches) == 1
    assert len(check(with_row).mismatches) == 2


def test_the_text_of_a_schema_is_kept_as_it_is() -> None:
    text = '{"type":"object",  "properties": {"b": {"propertyOrder": 1.0}, "a": {"options": {"x": 1e3}}}}'
    configuration = make_component(configuration={"schema": text}).spec.configuration
    assert configuration is not None
    assert schemas_of(configuration) == (Schema(SCHEMA, text),)
    assert configuration.to_dict()["schema"] == text


def test_hints_for_forms_survive_the_model() -> None:
    schema = properties(a={"format": "password", "options": {"enum_titles": ["A", "B"]}, "propertyOrder": 10})
    configuration = make_component(configuration={"schema": schema}).spec.configuration
    assert configuration is not None
    assert json.dumps(configuration.to_dict()["schema"]) == json.dumps(schema)
