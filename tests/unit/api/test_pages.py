"""The examples of the pages: what a reader copies is what the API takes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.api.common import API_VERSION
from componentrun.api.componentrun import ComponentRun
from componentrun.api.crd import KINDS, crd
from componentrun.core.lifecycle import status
from componentrun.core.podstatus.verdict import Diagnosis
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SCHEMAS = {kind.model.__name__: crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for kind in KINDS}
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def blocks(page: Path, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def objects() -> list[tuple[str, dict[str, Any]]]:
    documents = [
        (page.name, document)
        for page in PAGES
        for block in blocks(page, "yaml", "")
        if re.search(r"^kind: ", block, flags=re.MULTILINE)
        for document in yaml.safe_load_all(block)
        if document.get("apiVersion") == API_VERSION  # others belong to other projects
    ]
    return [(f"{name}-{document['kind']}", document) for name, document in documents]


def problems(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    """What the API server would find: unknown fields, values that don't fit."""
    if schema.get("x-kubernetes-preserve-unknown-fields") or path == ".metadata":
        return
    if isinstance(value, dict):
        for name, item in value.items():
            below = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if below is None:
                yield f"{path}.{name} is unknown"
            else:
                yield from problems(below, item, f"{path}.{name}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from problems(schema["items"], item, f"{path}[{i}]")
    elif value not in schema.get("enum", [value]) or not re.search(schema.get("pattern", ""), str(value)):
        yield f"{path} can't be {value!r}"


@pytest.mark.parametrize(("name", "document"), objects(), ids=lambda item: item if isinstance(item, str) else "")
def test_an_example_says_nothing_that_the_api_does_not_know(name: str, document: dict[str, Any]) -> None:
    assert list(problems(SCHEMAS[document["kind"]], document, "")) == [], name


def test_the_pages_have_examples_of_each_kind() -> None:
    assert {document["kind"] for _, document in objects()} == set(SCHEMAS)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (None, None),
        (Reason.SUCCEEDED, (True, "Succeeded", "why")),
        (Reason.USER_ERROR, (False, "UserError", "why")),
        (Reason.CANCELLED, (False, "Cancelled", "why")),
    ],
)
def test_an_orchestrator_that_reads_a_run_as_its_page_says_knows_the_outcome(
    reason: Reason | None, expected: tuple[bool, str, str] | None
) -> None:
    page = ROOT / "docs" / "orchestrators.md"
    (example,), (program,) = blocks(page, "yaml"), blocks(page, "python")
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - the page's own example
    run = ComponentRun.model_validate(yaml.safe_load(example))
    assert names["outcome"](run.model_dump(exclude={"status"})) is None
    now = status.suspended(run, NOW)
    if reason is not None:
        now = status.finished(run, Diagnosis(reason, "why"), now=NOW)
    assert names["outcome"]({"status": now.to_dict()}) == expected
