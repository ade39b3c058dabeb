"""What goes into a build, and its name."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.dependencies.layer import DependencyInputs
from componentrun.core.builds.identity import BuildInputs

INPUTS = BuildInputs(
    url="https://git.example.com/team/app.git",
    commit="a" * 40,
    context_dir="orders",
    parent="registry.example.com/python@sha256:" + "1" * 64,
    platform="linux/amd64",
    folder="/code",
    commands=("make", "make install"),
    arguments=(("A", "1"), ("B", "2")),
    entrypoint=("python3", "/code/main.py"),
    tools=(("builder", "0.1.0"),),
    target="registry.example.com/builds/tenant/app",
)
DEPENDENCIES = DependencyInputs(
    parent=INPUTS.parent,
    platform="linux/amd64",
    folder="/code",
    files=(("uv.lock", "1" * 64), ("pyproject.toml", "2" * 64)),
    commands=("uv pip install",),
    tools=(("builder", "0.1.0"),),
)
OTHER: dict[str, object] = {
    "engine": "dockerfile", "bases": (("python:3", "mirror.example.com/python@sha256:1"),),
    "commands": ("make install", "make"), "arguments": (("A", "2"), ("B", "1")),
    "entrypoint": (), "tools": (("builder", "0.2.0"),), "files": (("uv.lock", "2" * 64), ("pyproject.toml", "1" * 64)),
}  # fmt: skip


def test_a_known_input_has_a_known_name() -> None:
    """Names that change make every image of every user be built again."""
    assert INPUTS.name == "build-1c37c5b13ce294c9be16da1dd81fa70bf2595194"
    assert DEPENDENCIES.key == "ce6b1ddde2c169fddc25a4d515b638af4c04f7a9"


@pytest.mark.parametrize("field", [field.name for field in fields(BuildInputs)])
def test_each_part_of_the_input_counts(field: str) -> None:
    other = OTHER.get(field, "other")
    assert replace(INPUTS, **{field: other}).name != INPUTS.name


@pytest.mark.parametrize("field", [field.name for field in fields(DependencyInputs)])
def test_each_part_of_the_input_of_dependencies_counts(field: str) -> None:
    other = OTHER.get(field, "other")
    assert replace(DEPENDENCIES, **{field: other}).key != DEPENDENCIES.key


@given(st.permutations([("A", "1"), ("B", "2"), ("C", "3")]))
def test_the_order_of_arguments_has_no_meaning(arguments: list[tuple[str, str]]) -> None:
    first = replace(INPUTS, arguments=(("A", "1"), ("B", "2"), ("C", "3")))
    assert replace(INPUTS, arguments=tuple(arguments)).digest == first.digest


@given(st.lists(st.text(max_size=5), max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_different_commands_have_different_names(some: list[str], others: list[str]) -> None:
    names = {replace(INPUTS, commands=tuple(item)).name for item in (some, others)}
    assert len(names) == (1 if some == others else 2)


def test_the_name_is_valid_as_an_object_a_label_and_a_tag() -> None:
    assert len(INPUTS.name) <= 63
    assert INPUTS.name.replace("-", "").isalnum()


def test_the_canonical_form_is_sorted_json_that_names_its_format() -> None:
    text = INPUTS.canonical().decode()
    content = json.loads(text)
    assert content["format"] == 1
    assert text == json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_the_inputs_can_be_read_from_their_canonical_form() -> None:
    assert BuildInputs.parse(INPUTS.canonical()) == INPUTS


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"3", INPUTS.canonical().replace(b'"format":1', b'"format":2')])
def test_something_else_is_not_read_as_inputs(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - also of the JSON parser
        BuildInputs.parse(content)
