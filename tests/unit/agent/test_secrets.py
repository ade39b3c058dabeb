"""Secrets into parameters."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.agent.stagein.secrets import with_secrets
from componentrun.errors import Reason, UserError
from componentrun.wire.jsontext import parse_object


@pytest.mark.parametrize(
    ("parameters", "path", "wanted"),
    [
        ("{}", "#token", '{"#token": "s"}'),
        ("{ }", "#token", '{"#token": "s" }'),
        ('{"#token": "placeholder"}', "#token", '{"#token": "s"}'),
        ('{"db":{"host":"h"}}', "db.#password", '{"db":{"host":"h", "#password": "s"}}'),
        ("{}", "a.b.#c", '{"a": {"b": {"#c": "s"}}}'),
        ('{"k":[{},{"n":1}]}', "k.1.#t", '{"k":[{},{"n":1, "#t": "s"}]}'),
        ('{"k": ["x", "y"]}', "k.0", '{"k": ["s", "y"]}'),
        ('[{"a": 1}]', "0.#t", '[{"a": 1, "#t": "s"}]'),
        ('{"a.b": {"#c.d": "x"}}', r"a\.b.#c\.d", '{"a.b": {"#c.d": "s"}}'),
        ("{}", r"#a\\.b c", '{"#a\\\\": {"b c": "s"}}'),
        ('{"\\u0061": {}}', "a.#t", '{"\\u0061": {"#t": "s"}}'),
    ],
)
def test_a_secret_goes_to_its_path(parameters: str, path: str, wanted: str) -> None:
    assert with_secrets(parameters, {path: "s"}) == wanted


def test_everything_but_the_secrets_stays_byte_for_byte() -> None:
    text = (
        '{"z": 1.0,\n\t"#k" :"old", "big":123456789012345678901234567890, "e":1e3, '
        '"a":{"u":"\\u00e9\\/"} , "b":[ 1.10 ]}'
    )
    found = with_secrets(text, {"#k": 'a "quote"', "a.#p": "p", "new.#x": "x", "new.#y": "y"})
    assert found == (
        '{"z": 1.0,\n\t"#k" :"a \\"quote\\"", "big":123456789012345678901234567890, "e":1e3, '
        '"a":{"u":"\\u00e9\\/", "#p": "p"} , "b":[ 1.10 ], "new": {"#x": "x", "#y": "y"}}'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5), st.text(max_size=5), st.sampled_from([None, 1, "\t"]))
def test_any_object_is_what_it_was_and_has_the_secret(
    document: dict[str, object], value: str, indent: str | int | None
) -> None:
    text = json.dumps(document, indent=indent)
    assert list(json.loads(with_secrets(text, {"#new": value})).items()) == [
        *((key, item) for key, item in document.items() if key != "#new"),
        ("#new", value),
    ]


@pytest.mark.parametrize(
    ("parameters", "path", "problem"),
    [
        (
            '{"db": "text"}',
            "db.#p",
            "the secret at `db.#p` can't be inserted: `db` is a text, expected an object or a list",
        ),
        ('{"db": 1}', "db.x.#p", "the secret at `db.x.#p` can't be inserted: `db` is a number"),
        ('{"db": null}', "db.#p", "`db` is null"),
        ('{"db": true}', "db.#p", "`db` is true or false"),
        ('"text"', "#p", "`parameters` is a text"),
        ('{"k": [1]}', "k.1", "`k` is a list of 1 items, and `1` is not one of their positions (0 to 0)"),
        ('{"k": [1]}', "k.-1", "`-1` is not one of their positions"),
        ('{"k": [1]}', "k.x.#p", "`x` is not one of their positions"),
        ('{"k": []}', "k.0", "`k` is an empty list"),
    ],
)
def test_a_path_without_a_place_is_told_without_the_value(parameters: str, path: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        with_secrets(parameters, {path: "hunter2"})
    assert caught.value.reason is Reason.INVALID_SPEC
    assert problem in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("paths", [["db", "db.#p"], ["db.#p", "db"]])
def test_two_secrets_of_which_one_is_in_the_other_have_no_place(paths: list[str]) -> None:
    with pytest.raises(UserError, match="can't be inserted") as caught:
        with_secrets("{}", dict.fromkeys(paths, "hunter2"))
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "it has the key `c` twice in one object; expected each key once"),
        ("{\n 'a': 1}", "it is not JSON: Expecting property name enclosed in double quotes at line 2, column 2"),
        ("[1]", "it holds a list; expected a JSON object"),
        ("1.5", "it holds a number; expected a JSON object"),
        ('{"a": NaN}', "it holds `NaN`"),
        ('{"a":' * 151 + "1" + "}" * 151, "nested too deeply"),
    ],
)
def test_a_text_that_is_no_object_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_object(text)
    assert problem in str(caught.value)
