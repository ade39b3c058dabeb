"""Lock files of npm that do not fit their projects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.lockfiles.npm import check_npm_lock

LOCK = json.dumps({"lockfileVersion": 3, "packages": {"": {}, "node_modules/@team/a": {}, "node_modules/b": {}}})


def project(*names: str) -> str:
    return json.dumps({"name": "app", "dependencies": dict.fromkeys(names, "1.0.0")})


@pytest.mark.parametrize(
    ("found", "lock"),
    [
        (project("@team/a", "b"), LOCK),
        (project(), LOCK),
        ("{}", LOCK),
        (project("c"), '{"lockfileVersion": 1, "dependencies": {}}'),
        ("[]", "not json"),
    ],
)
def test_what_fits_or_can_not_be_compared(found: str, lock: str) -> None:
    check_npm_lock(found, lock)


def test_a_dependency_that_is_missing_is_named() -> None:
    with pytest.raises(BuildError, match="names `left-pad`, which") as caught:
        check_npm_lock(project("b", "left-pad"), LOCK)
    assert caught.value.problem is BuildProblem.LOCK_OUTDATED
    assert "npm install" in caught.value.advice


@given(st.text(), st.text())
def test_any_text_is_no_defect(found: str, lock: str) -> None:
    check_npm_lock(found, lock)
