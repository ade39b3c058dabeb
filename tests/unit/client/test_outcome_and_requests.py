"""Results and errors of runs, and manifests from arguments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from componentrun.client import (
    BadRequestError,
    InputTable,
    PlatformError,
    RunComponentError,
    RunLimitError,
    RunPlatformError,
    RunStoppedError,
    RunUserError,
    UserError,
)
from componentrun.client.models import parse_run
from componentrun.client.outcome import _FINAL, error_of, result_of
from componentrun.client.request.arguments import RunOptions, is_same_request, manifest_of
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.errors import Reason


def run(phase: str, reason: str = "", **status: Any) -> Any:
    raw = {"metadata": {"name": "a"}, "spec": {"component": "c"}}
    return parse_run(raw | {"status": {"phase": phase, "reason": reason or phase, **status}})


def manifest(component: str | None = "delays", **options: Any) -> dict[str, Any]:
    arguments = {"name": "a", "tables": {}, "parameters": None}
    arguments |= {key: options.pop(key) for key in list(options) if key in arguments}
    chosen: RunOptions = options  # type: ignore[assignment]
    return manifest_of(component, **arguments, options=chosen)  # type: ignore[arg-type]


def test_the_final_phases_are_those_of_core() -> None:
    assert frozenset(TERMINAL) == _FINAL


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.USER_ERROR, RunUserError),
        (Reason.INVALID_CONFIGURATION, RunUserError),
        (Reason.APPLICATION_ERROR, RunComponentError),
        (Reason.OUT_OF_MEMORY, RunLimitError),
        (Reason.CANCELLED, RunStoppedError),
        (Reason.STORAGE_UNAVAILABLE, RunPlatformError),
        ("OfALaterRelease", RunPlatformError),
    ],
)
def test_the_class_of_the_error_follows_from_the_reason(reason: str, kind: type[Exception]) -> None:
    result = result_of(run("Failed", reason, message="It failed. Do this.", advice="Do this."))
    error = error_of(result)
    assert type(error) is kind
    assert error is not None
    assert (error.result, error.advice) == (result, "Do this.")
    assert f"({reason}): It failed." in str(error)


def test_errors_of_runs_are_those_of_the_whole_project() -> None:
    assert issubclass(RunUserError, UserError)
    assert issubclass(RunPlatformError, PlatformError)


def test_a_run_that_goes_on_has_no_result() -> None:
    with pytest.raises(BadRequestError, match="no result yet: it is `Running`"):
        result_of(run("Running"))
    assert error_of(result_of(run("Succeeded"))) is None


def test_arguments_become_a_manifest() -> None:
    made = manifest(
        tables={"in.c-nyc.flights": "flights.csv"},
        parameters={"decimals": 2, "b": 1},
        outputs={"bar.csv": "out.c-nyc.bar"},
        default_bucket="out.c-nyc",
        configuration="42",
        secrets={"db.#password": ("db-login", "password")},
        timeout=timedelta(minutes=15),
        memory="1Gi",
        network="bridge",
        labels={"team": "sales"},
        spec={"priorityClassName": "low"},
    )
    assert made["metadata"] == {"name": "a", "labels": {"team": "sales"}}
    assert made["spec"] == {
        "priorityClassName": "low",
        "component": "delays",
        "timeout": "900s",
        "configuration": {
            "id": "42",
            "parametersText": '{"decimals": 2, "b": 1}',
            "secrets": [{"path": "db.#password", "secretKeyRef": {"name": "db-login", "key": "password"}}],
        },
        "input": {"tables": [{"source": "in.c-nyc.flights", "destination": "flights.csv"}]},
        "output": {
            "tables": [{"source": "bar.csv", "destination": "out.c-nyc.bar"}],
            "defaultBucket": "out.c-nyc",
        },
        "network": {"mode": "bridge"},
        "resources": {"limits": {"memory": "1Gi"}},
    }


def test_full_mappings_are_models() -> None:
    made = manifest(tables=[InputTable(source="in.c-a.b", columns=("x",), changed_since="adaptive")])
    assert made["spec"]["input"]["tables"] == [{"source": "in.c-a.b", "columns": ["x"], "changedSince": "adaptive"}]


def test_an_invalid_argument_is_named_before_anything_is_sent() -> None:
    with pytest.raises(BadRequestError, match=r"`spec\.component`|found both"):
        manifest("delays", image="x:1")
    with pytest.raises(BadRequestError, match="destination"):
        manifest(tables={"in.c-a.b": "../b.csv"})


def test_the_same_request_is_recognised_by_its_spec() -> None:
    made = manifest(tables={"in.c-a.b": "b.csv"}, ttl="1h")
    existing = parse_run(made | {"spec": made["spec"] | {"action": "run", "suspend": True, "ttlAfterFinished": "2h"}})
    assert is_same_request(existing, made)
    assert not is_same_request(existing, manifest(tables={"in.c-a.b": "c.csv"}))
