"""What a Component allows its runs to set: sizes, limits, timeouts and tags."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.common import quantity_value
from componentrun.core.request.resolve import EffectiveRun, resolve
from componentrun.core.request.resources import SIZES
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component, make_run


def of_component(component: dict[str, Any] | None = None, **spec: Any) -> EffectiveRun:
    return resolve(make_run(component="cleaner", **spec), make_component(**(component or {})), "lake")


CHANNELS = [{"name": "release", "tag": "1.0"}, {"name": "stable", "semver": "^1"}]
LARGE = {"limits": {"cpu": "3", "memory": "4Gi"}}


@pytest.mark.parametrize(
    ("component", "spec", "limits"),
    [
        ({"allowed": {"sizes": ["xsmall", "small"]}}, {"size": "small"}, {"cpu": "2", "memory": "256Mi"}),
        ({"allowed": {"sizes": ["xsmall"]}}, {}, {"cpu": "1", "memory": "256Mi"}),
        (
            {"allowed": {"sizes": ["medium", "small"]}},
            {"resources": {"limits": {"cpu": "4", "memory": "0.5Gi"}}},
            {"cpu": "4", "memory": "0.5Gi"},
        ),
        (
            {"resources": LARGE, "allowed": {"sizes": ["xsmall"]}},
            {"resources": LARGE},
            {"cpu": "3", "memory": "4Gi"},
        ),
        ({"allowed": {"resources": {"memory": "512Mi"}}}, {"size": "medium"}, {"cpu": "4", "memory": "512Mi"}),
        (
            {"allowed": {"resources": {"ephemeral-storage": "2Gi", "cpu": "9"}}},
            {},
            {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "2Gi"},
        ),
        ({"allowed": {}}, {"size": "large"}, {"cpu": "14", "memory": "1818Mi"}),
    ],
)
def test_limits_within_it(component: dict[str, Any], spec: dict[str, Any], limits: dict[str, str]) -> None:
    found = of_component(component, **spec)
    assert found.limits == limits
    assert found.requests == limits | {name: "0" for name in limits if name == "ephemeral-storage"}


@pytest.mark.parametrize(
    ("component", "run", "seconds"),
    [({"allowed": {"timeout": "2h"}}, "2h", 7200), ({"allowed": {"timeout": "2h"}}, None, 3600)],
)
def test_a_timeout_within_it(component: dict[str, Any], run: str | None, seconds: int) -> None:
    assert of_component(component, timeout=run).timeout_seconds == seconds


@pytest.mark.parametrize(
    ("component", "tag", "image"),
    [
        ({"tag": "1", "allowed": {"tags": ["2", "3"]}}, "3", "r.io/x:3"),
        ({"tag": "1", "allowed": {"tags": []}}, "1", "r.io/x:1"),
        ({"tag": "1", "allowed": {"tags": []}}, None, "r.io/x:1"),
        ({"allowed": {"tags": []}}, "latest", "r.io/x:latest"),
        ({"image": "r.io/x:5", "allowed": {"tags": []}}, "5", "r.io/x:5"),
        ({"tag": "1", "allowed": {}}, "any", "r.io/x:any"),
        ({"channels": CHANNELS, "allowed": {"tags": []}}, "1.0", "r.io/x:1.0"),
        ({"channels": CHANNELS, "allowed": {"tags": ["1.2.0"]}}, "1.2.0", "r.io/x:1.2.0"),
    ],
)
def test_a_tag_within_it(component: dict[str, Any], tag: str | None, image: str) -> None:
    assert of_component({"image": "r.io/x"} | component, tag=tag).image == image


@pytest.mark.parametrize(
    ("component", "spec", "message"),
    [
        (
            {"allowed": {"sizes": ["xsmall", "small"]}}, {"size": "large"},
            "spec.size: found `large`, which Component `cleaner` does not allow; expected one of `xsmall`, `small`",
        ),
        (
            {"allowed": {"resources": {"memory": "512Mi"}}}, {"size": "large"},
            "spec.size: `1818Mi` of `memory` is more than Component `cleaner` allows (`512Mi`)",
        ),
        (
            {"allowed": {"resources": {"cpu": "2"}}}, {"resources": {"limits": {"cpu": "2001m"}}},
            "spec.resources.limits: `2001m` of `cpu` is more than Component `cleaner` allows (`2`)",
        ),
        (
            {"allowed": {"sizes": ["small", "medium"]}}, {"resources": {"limits": {"memory": "1Gi"}}},
            "spec.resources.limits: `1Gi` of `memory` is more than Component `cleaner` allows (`512Mi`)",
        ),
        (
            {"resources": LARGE, "allowed": {"resources": {"memory": "2Gi"}}}, {},
            "Component `cleaner`: spec.resources.limits: `4Gi` of `memory` is more than Component `cleaner` allows",
        ),
        (
            {"allowed": {"resources": {"ephemeral-storage": "1Gi"}}},
            {"resources": {"requests": {"ephemeral-storage": "2Gi"}}},
            "spec.resources.requests.ephemeral-storage: `2Gi` is more than the limit `1Gi`",
        ),
        (
            {"timeout": "5m", "allowed": {"timeout": "30m"}}, {"timeout": "31m"},
            "spec.timeout: `31m` is more than Component `cleaner` allows (`30m`)",
        ),
        (
            {"allowed": {"timeout": "30m"}}, {},
            "Component `cleaner`: spec.timeout: the default `1h00m` is more than Component `cleaner` allows (`30m`)",
        ),
        (
            {"tag": "1", "allowed": {"tags": ["2"]}}, {"tag": "3"},
            "spec.tag: found `3`, which Component `cleaner` does not allow; expected one of `1`, `2`",
        ),
        (
            {"image": "r.io/x:5", "allowed": {"tags": []}}, {"tag": "latest"},
            "spec.tag: found `latest`, which Component `cleaner` does not allow; expected one of `5`",
        ),
        (
            {"channels": CHANNELS, "allowed": {"tags": ["1.2.0"]}}, {"tag": "1.3.0"},
            "spec.tag: found `1.3.0`, which Component `cleaner` does not allow; expected one of `1.0`, `1.2.0`",
        ),
    ],
)  # fmt: skip
def test_more_is_refused(component: dict[str, Any], spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        of_component(component, **spec)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert message in caught.value.message
    assert caught.value.advice


@given(size=st.sampled_from((None, *SIZES)), most=st.integers(1, 2048), memory=st.integers(1, 4096))
def test_no_run_gets_more_memory_than_it(size: str | None, most: int, memory: int) -> None:
    component = {"allowed": {"resources": {"memory": f"{most}Mi"}}}
    spec: dict[str, Any] = {"size": size} if size else {"resources": {"limits": {"memory": f"{memory}Mi"}}}
    try:
        found = of_component(component, **spec)
    except UserError:
        wanted = 256 * SIZES[size][1] if size else memory
        assert wanted > most - 1, "less is never refused"
    else:
        assert quantity_value(found.limits["memory"]) <= most * 2**20
