"""What `make test` does where a step of it fails: it tells so, and still looks at what does not stand on that."""

from __future__ import annotations

import sys

import pytest

from dev.check import __main__ as check
from dev.check.steps import STEPS, Step


def _step(title: str, code: int, *, stands_alone: bool = True) -> Step:
    return Step("some", title, (sys.executable, "-c", f"raise SystemExit({code})"), stands_alone)


@pytest.mark.parametrize(
    ("steps", "code", "run", "failed"),
    [
        ([_step("one", 0), _step("two", 0)], 0, 2, None),
        ([_step("one", 3), _step("two", 0), _step("three", 4)], 3, 3, "one, three"),
        ([_step("one", 0), _step("two", 5, stands_alone=False), _step("three", 0)], 5, 2, "two"),
        ([_step("one", 1), _step("two", 5, stands_alone=False), _step("three", 0)], 1, 2, "one, two"),
    ],
)
def test_the_steps_that_are_run(
    steps: list[Step],
    code: int,
    run: int,
    failed: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(check, "steps_for", lambda _: tuple(steps))
    assert check.main([]) == code
    *before, last = capfd.readouterr().out.splitlines()
    assert len([line for line in before if line.startswith("==> [")]) == run
    assert last.startswith("==> all 2 steps passed" if failed is None else "==> FAILED after")
    assert failed is None or last.endswith(f" s: {failed}")


def test_only_what_the_tests_stand_on_ends_the_whole() -> None:
    assert [step.title for step in STEPS if not step.stands_alone] == ["cluster", "images and operator"]


def test_a_group_that_there_is_not_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.main(["units"]) == 2
    assert "'units'; there are: lint, unit, cluster" in capfd.readouterr().err
