"""The status of a Component."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.component import Component
from componentrun.core.components.status import check_request, default_request, status_of
from componentrun.core.schema.check import check
from componentrun.core.schema.documents import CheckResult
from tests.unit.core.make import make_component

if TYPE_CHECKING:
    from componentrun.api.componentstatus import ComponentStatus

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def status(component: Component, *, exists: bool = True) -> ComponentStatus:
    results = [
        check(request) if request is not None else CheckResult()
        for request in (check_request(component), default_request(component))
    ]
    return status_of(component, results[0], results[1], NOW, replacement_exists=exists)


def conditions(*, exists: bool = True, **spec: Any) -> dict[str, tuple[str, str, str]]:
    found = status(make_component(**spec), exists=exists)
    return {item.type: (item.status, item.reason, item.message) for item in found.conditions}


def test_a_component_without_further_fields_is_ready_and_has_no_other_condition() -> None:
    assert conditions() == {"Ready": ("True", "Ready", "Runs can use the component.")}


def test_the_generation_is_noted_so_that_kstatus_knows() -> None:
    component = make_component()
    component = component.model_copy(update={"metadata": component.metadata.model_copy(update={"generation": 7})})
    found = status(component)
    assert found.observed_generation == 7
    assert [item.observed_generation for item in found.conditions] == [7]


def test_nothing_changes_if_nothing_is_new() -> None:
    component = make_component(deprecated={}, configuration={"schema": {}})
    once = component.model_copy(update={"status": status(component)})
    assert status(once) == once.status


def test_conditions_of_others_are_kept() -> None:
    others = {"type": "Scanned", "status": "True", "reason": "Scanned", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    component = Component.model_validate(
        {
            "metadata": {"name": "a", "namespace": "team"},
            "spec": {"image": "a"},
            "status": {"conditions": [others], "channels": [{"name": "release"}]},
        }
    )
    found = status(component)
    assert {item.type for item in found.conditions} == {"Scanned", "Ready"}
    assert found.channels == component.status.channels


class TestConfiguration:
    def test_schemas_that_can_be_used_are_valid(self) -> None:
        found = conditions(configuration={"schema": {"required": ["a"]}, "default": {"a": 1}})
        assert found["ConfigurationValid"][:2] == ("True", "Valid")

    @pytest.mark.parametrize(("validation", "ready"), [("Enforce", "False"), ("Warn", "True"), ("Off", "True")])
    def test_one_that_cannot_be_used_is_named_and_refuses_runs_if_enforced(self, validation: str, ready: str) -> None:
        found = conditions(configuration={"schema": {"type": "button"}, "validation": validation})
        assert found["ConfigurationValid"][:2] == ("False", "SchemaInvalid")
        assert "spec.configuration.schema.type: found `button`" in found["ConfigurationValid"][2]
        assert found["Ready"][0] == ready

    def test_a_schema_for_rows_is_checked_as_well(self) -> None:
        found = conditions(configuration={"rowSchema": {"type": "button"}})
        assert "spec.configuration.rowSchema.type" in found["ConfigurationValid"][2]

    def test_a_default_that_does_not_match_is_told_and_does_not_refuse_runs(self) -> None:
        schema = {"properties": {"a": {"type": "string"}, "#s": {"type": "integer"}}}
        found = conditions(configuration={"schema": schema, "default": {"a": 1, "#s": "hunter2"}})
        assert found["ConfigurationValid"][:2] == ("False", "DefaultInvalid")
        assert "`spec.configuration.default.a`: found the number 1" in found["ConfigurationValid"][2]
        assert "hunter2" not in found["ConfigurationValid"][2]
        assert found["Ready"][0] == "True"

    def test_a_default_that_is_nested_too_deeply_is_not_valid(self) -> None:
        default: dict[str, Any] = {}
        for _ in range(900):
            default = {"a": default}
        found = conditions(configuration={"schema": {"type": "object"}, "default": default})
        assert found["ConfigurationValid"][:2] == ("False", "DefaultInvalid")
        assert "levels deep" in found["ConfigurationValid"][2]

    def test_one_of_a_mebibyte_is_refused_with_its_size(self) -> None:
        found = conditions(configuration={"schema": {"description": "x" * 2**20}})
        assert "expected at most 262144" in found["ConfigurationValid"][2]


class TestDeprecated:
    def test_it_is_a_condition(self) -> None:
        found = conditions(deprecated={"replacedBy": "new"})
        assert found["Deprecated"][:2] == ("True", "Deprecated")
        assert found["Ready"][0] == "True"

    def test_a_replacement_that_is_gone_has_its_own_reason(self) -> None:
        found = conditions(exists=False, deprecated={"replacedBy": "new"})
        assert found["Deprecated"][:2] == ("True", "ReplacementMissing")

    def test_after_the_last_day_it_is_not_ready(self) -> None:
        found = conditions(deprecated={"endOfLife": "2026-06-30"})
        assert found["Deprecated"][:2] == ("True", "Withdrawn")
        assert found["Ready"][:2] == ("False", "Withdrawn")

    def test_the_condition_goes_when_it_is_no_longer_deprecated(self) -> None:
        component = make_component(deprecated={})
        before = status(component)
        after = status(make_component().model_copy(update={"status": before}))
        assert {item.type for item in after.conditions} == {"Ready"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"timeout": "25h"}, "spec.timeout: `25h` is out of bounds"),
        ({"network": {"egress": [{"cidr": "169.254.169.254/32"}]}}, "spec.network.egress[0].cidr"),
        (
            {"imageParameterSecrets": {"key": {"name": "a", "key": "b"}}},
            "spec.imageParameterSecrets: found the path `key`",
        ),
        (
            {"image": "r.io/Team/App", "channels": [{"name": "release", "tag": "1"}]},
            "spec.image: `r.io/Team/App` is not the name of an image: it has capital letters. Use lower case",
        ),
    ],
)
def test_what_refuses_each_run_is_told_at_once(spec: dict[str, Any], message: str) -> None:
    found = conditions(**spec)
    assert found["Ready"][:2] == ("False", "InvalidSpec")
    assert message in found["Ready"][2]
