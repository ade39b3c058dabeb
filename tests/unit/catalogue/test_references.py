"""Components that name other Components. Fields of processors are of another part, so only these rules run here."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.catalogue.references import processor_findings
from tests.unit.catalogue.make import catalogue, component


def processor(name: str, positions: list[str] | None = None) -> dict[str, Any]:
    return component(name, type="processor", processor={"positions": positions} if positions else None)


def using(**processors: Any) -> dict[str, Any]:
    return component("acme.ex-a", processors=processors)


def step(name: str) -> dict[str, Any]:
    return {"component": name}


@pytest.mark.parametrize(
    ("manifests", "told"),
    [
        ([using(before=[step("acme.p")]), processor("acme.p")], ""),
        ([using(after=[step("acme.p")]), processor("acme.p", ["before", "after"])], ""),
        (
            [using(after=[step("acme.p"), step("acme.w")]), processor("acme.p"), component("acme.w", type="writer")],
            "error NotAProcessor: `spec.processors.after[1].component`: Component `acme.w` has the type `writer`",
        ),
        ([using(before=[step("acme.w")]), component("acme.w", type=None)], "error NotAProcessor: "),
        (
            [using(before=[step("acme.p")]), processor("acme.p", ["after"])],
            "error ProcessorPosition: `spec.processors.before[0].component`: Component `acme.p` can't run `before`",
        ),
        ([using(before=[step("acme.gone")])], "warning ProcessorMissing: `spec.processors.before[0].component` is"),
        ([using(before="x", after=[7, {"component": 7}])], ""),
        ([component("acme.ex-a", processors=[1])], ""),
    ],
)
def test_processors(manifests: list[dict[str, Any]], told: str) -> None:
    lines = [f"{item.severity} {item.rule}: {item.message}" for item in processor_findings(catalogue(*manifests))]
    assert len(lines) == bool(told)
    assert all(line.startswith(told) for line in lines)
