"""What a run says about files: checked, completed, and told to the component."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api.componentrun import Input, Output
from componentrun.api.mapping.files import FileStatus, InputFile, OutputFileMapping
from componentrun.core.request.files import files_status, input_files, output_files
from componentrun.core.request.resolve import resolve
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import OutputFile
from tests.unit.core.make import make_run

FILE = "01KGXQ5S00ABCDEFGHJKMNPQRS"


@pytest.mark.parametrize(
    ("asked", "limit", "optional"),
    [
        ({"id": FILE}, 1, False),
        ({"name": "a.pdf"}, 1, False),
        ({"name": "a.pdf", "limit": 5, "optional": True}, 5, True),
        ({"glob": "*.pdf"}, 100, True),
        ({"tags": ("x", "y")}, 100, True),
        ({"tags": ("x",), "name": "a.pdf"}, 1, False),
        ({"tags": ("x",), "optional": False, "limit": 7}, 7, False),
    ],
)
def test_what_is_left_open_is_decided(asked: dict[str, Any], limit: int, optional: bool) -> None:
    (found,) = input_files(Input(files=(InputFile(**asked),)))
    assert (found.limit, found.optional) == (limit, optional)
    assert (found.id, found.name, found.glob) == tuple(asked.get(key) for key in ("id", "name", "glob"))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "spec.input.files[0]: say which files by id, name, glob or tags"),
        ({"id": FILE, "tags": ("x",)}, "spec.input.files[0]: `id` already names one file. Remove tags."),
        ({"id": FILE, "limit": 1}, "spec.input.files[0]: `id` already names one file. Remove limit."),
        ({"name": "a", "glob": "a*"}, "spec.input.files[0]: give either name or glob, and not both"),
        ({"tags": (" ",)}, "spec.input.files[0]: it has the tag ' ', which is empty"),
        ({"tags": ("é" * 91,)}, "which has 182 bytes"),
    ],
)
def test_a_choice_that_says_too_little_or_too_much_is_refused(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as refusal:
        input_files(Input(files=(InputFile(**asked),)))
    assert told in refusal.value.message
    assert refusal.value.reason is Reason.INVALID_SPEC


def test_two_lines_for_one_source_are_refused() -> None:
    lines = (OutputFileMapping(source="a"), OutputFileMapping(source="a", tags=("x",)))
    with pytest.raises(UserError, match=r"spec\.output\.files\[1\]\.source: `a` is also the source of"):
        output_files(Output(files=lines))
    with pytest.raises(UserError, match=r"ends with `\.manifest`"):
        output_files(Output(files=(OutputFileMapping(source="a.manifest"),)))


def test_the_component_is_told_in_the_interfaces_words() -> None:
    run = make_run(
        input={"files": [{"tags": ["x"]}, {"name": "a.pdf"}]},
        output={"files": [{"source": "*.pdf", "tags": ["y"], "permanent": True}, {"source": "b", "optional": True}]},
        configuration={"id": "daily", "row": "7"},
    )
    effective = resolve(run, None, "lake")
    assert effective.config["storage"]["input"]["files"] == [
        {"tags": ["x"], "limit": 100},
        {"tags": [], "name": "a.pdf", "limit": 1},
    ]
    assert effective.config["storage"]["output"]["files"] == [
        {"source": "*.pdf", "tags": ["y"], "is_permanent": True},
        {"source": "b"},
    ]
    assert effective.output_files == (OutputFile("*.pdf", ("y",), permanent=True), OutputFile("b", optional=True))
    assert "configurationId: daily" in effective.file_tags
    assert f"runId: {run.metadata.name}" in effective.file_tags
    assert not any(tag.startswith("branchId") for tag in effective.file_tags)


def test_a_status_counts_all_files_and_names_the_first() -> None:
    found = files_status([FileStatus(id=str(number), name="a", bytes=2) for number in range(150)])
    assert found is not None
    assert (found.count, found.bytes, len(found.files)) == (150, 300, 100)
    assert files_status([]) is None
