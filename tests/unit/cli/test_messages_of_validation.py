"""What is wrong with a run is told with path, what was found, what was expected, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.componentrun import ComponentRunSpec
from componentrun.api.problems import EXPECTED, found

if TYPE_CHECKING:
    from tests.unit.cli.world import World


def of_input(**table: Any) -> dict[str, Any]:
    return {"input": {"tables": [{"source": "in.c-main.foo", **table}]}}


def of_output(**table: Any) -> dict[str, Any]:
    return {"output": {"tables": [{"source": "a.csv", "destination": "out.c-main.a", **table}]}}


IN = "`spec.input.tables[0]"
OUT = "`spec.output.tables[0]"
MESSAGES: list[tuple[dict[str, Any], str]] = [
    (
        of_input(where={"column": "a", "values": [1]}),
        f'{IN}.where.values[0]`: found the number 1, expected a text; write it in quotes: `"1"`',
    ),
    (
        of_input(where={"column": "a", "values": ["x", True]}),
        f'{IN}.where.values[1]`: found `true`, expected a text; write it in quotes: `"true"`',
    ),
    (
        of_input(where={"column": "a", "values": []}),
        f"{IN}.where.values`: found an empty list, expected at least 1 value; leave `where` out to get all rows",
    ),
    (
        of_input(where={"column": "a", "values": "x"}),
        f"{IN}.where.values`: found `x`, expected a list",
    ),
    (of_input(limit=0), f"{IN}.limit`: found the number 0, expected at least 1; leave it out to get all rows"),
    (of_input(limit="many"), f"{IN}.limit`: found `many`, expected a whole number; leave it out to get all rows"),
    (
        of_input(columns=[]),
        f"{IN}.columns`: found an empty list, expected at least 1 column; leave it out to get all columns",
    ),
    (
        of_output(deleteWhere={"column": "id"}),
        (
            f"{OUT}.deleteWhere.values`: missing; expected a list of at least 1 value; "
            "leave `deleteWhere` out to delete nothing"
        ),
    ),
    (
        of_output(deleteWhere={"column": "id", "values": None}),
        f"{OUT}.deleteWhere.values`: found nothing, expected a list",
    ),
    (
        of_input(where_column="id"),
        f"{IN}.where_column`: there is no such field; write `where: {{column: COLUMN, operator: eq, values: [VALUE]}}`",
    ),
    (
        of_output(delete_where_column="id"),
        (
            f"{OUT}.delete_where_column`: there is no such field; "
            "write `deleteWhere: {column: COLUMN, operator: eq, values: [VALUE]}`"
        ),
    ),
    (of_input(changed_since="1h"), f"{IN}.changed_since`: there is no such field; write `changedSince`"),
    (of_input(days=3), f"{IN}.days`: there is no such field; write `changedSince: -3 days`"),
    (of_input(column=["a"]), f"{IN}.column`: there is no such field; did you mean `columns`?"),
    (
        of_input(changedSince="yesterday"),
        (
            f"{IN}.changedSince`: found `yesterday`, expected a time such as `2026-01-31T00:00:00Z`, how long ago such "
            "as `36h` or `-2 days`, or `adaptive`"
        ),
    ),
    (
        of_input(where={"column": "a", "operator": "like", "values": ["x"]}),
        f"{IN}.where.operator`: found `like`, expected one of `eq`, `ne`, `gt`, `ge`, `lt`, `le`",
    ),
    (
        of_input(source="foo"),
        f"{IN}.source`: found `foo`, expected a table id such as `in.c-main.customers`",
    ),
    (of_input(sliced="maybe"), f"{IN}.sliced`: found `maybe`, expected `true` or `false`"),
    (of_output(delimiter=";;"), f"{OUT}.delimiter`: found `;;`, expected at most 1 character (it has 2)"),
    ({"timeout": 90}, '`spec.timeout`: found the number 90, expected a text; write it in quotes: `"90"`'),
    ({"input": []}, "`spec.input`: found an empty list, expected an object"),
    ({"storage": "My Lake"}, "`spec.storage`: found `My Lake`, expected a name of small letters, digits, `-` and `.`"),
    ({"storage": ""}, "`spec.storage`: found an empty text, expected at least 1 character (it has 0)"),
    (
        {"configuration": {"secrets": [{"path": "#a"}]}},
        "`spec.configuration.secrets[0].secretKeyRef`: missing; expected a value",
    ),
]


@pytest.mark.parametrize(("spec", "message"), MESSAGES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_field_has_this_message(world: World, spec: dict[str, Any], message: str) -> None:
    manifest = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "ComponentRun",
        "metadata": {"name": "one"},
        "spec": {"image": "a", **spec},
    }
    done = world.run("submit", "-f", "-", text=json.dumps(manifest))
    told = done.stderr.removeprefix("error: ComponentRun `one` is not valid: ").partition("\n\nhint: ")[0]
    assert " ".join(told.split()) == message


def test_no_message_shows_a_pattern_of_a_run() -> None:
    """A regular expression says nothing to the person who wrote the field."""
    patterns = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            patterns.update({node["pattern"]} if isinstance(node.get("pattern"), str) else ())
            for item in node.values():
                collect(item)
        elif isinstance(node, list):
            for item in node:
                collect(item)

    collect(ComponentRunSpec.model_json_schema(by_alias=True))
    assert patterns - EXPECTED.keys() == set()


def test_what_was_found_is_never_longer_than_a_line() -> None:
    assert found("x" * 500) == f"`{'x' * 80}` (cut)"
