"""What `make test` does where a step of it fails: it tells so, and still looks at what does not stand on that."""

from __future__ import annotations

import itertools
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dev.check import __main__ as check
from dev.check.steps import STEPS, Step

if TYPE_CHECKING:
    from pathlib import Path


def _step(title: str, code: int, *, stands_alone: bool = True, in_background: bool = False) -> Step:
    return _program(title, f"raise SystemExit({code})", stands_alone=stands_alone, in_background=in_background)


def _program(title: str, text: str, *, stands_alone: bool = True, in_background: bool = False) -> Step:
    return Step("some", title, (sys.executable, "-c", text), stands_alone, in_background)


@pytest.mark.parametrize(
    ("steps", "code", "run", "failed"),
    [
        ([_step("one", 0), _step("two", 0)], 0, 2, None),
        ([_step("one", 3), _step("two", 0), _step("three", 4)], 3, 3, "one, three"),
        ([_step("one", 0), _step("two", 5, stands_alone=False), _step("three", 0)], 5, 2, "two"),
        ([_step("one", 1), _step("two", 5, stands_alone=False), _step("three", 0)], 1, 2, "one, two"),
        ([_step("one", 0, in_background=True), _step("two", 0)], 0, 3, None),
        ([_step("one", 3, in_background=True), _step("two", 4)], 3, 3, "one, two"),
        ([_step("one", 3, in_background=True), _step("two", 4, stands_alone=False)], 3, 3, "one, two"),
        ([_step("one", 0), _step("two", 3, in_background=True)], 3, 2, "two"),
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


@pytest.mark.parametrize("in_background", [False, True])
def test_the_last_lines_of_a_failed_step_are_repeated_at_the_end(
    in_background: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = "import sys; [print('line', number, file=sys.stderr) for number in range(100)]; sys.exit('the reason')"
    steps = (_program("bad", fails, in_background=in_background), _program("good", "print('fine')"))
    monkeypatch.setattr(check, "steps_for", lambda _: steps)
    assert check.main([]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines.count("the reason") == 2
    assert lines.count("line 50") == 1
    start = lines.index("==> the last lines of bad, which failed:")
    assert lines[start + 1 : -1] == [f"line {number}" for number in range(61, 100)] + ["the reason"]
    assert lines[-1].endswith(" s: bad")


def test_a_step_in_the_background_runs_beside_the_next_ones_and_shows_its_output_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # a writer and a reader wait for each other
    waits = f"open({str(pipe)!r}).read(); print('behind'); raise SystemExit(7)"
    steps = (
        _program("behind", waits, in_background=True),
        _program("beside", f"print('beside'); open({str(pipe)!r}, 'w').write('x')"),
    )
    monkeypatch.setattr(check, "steps_for", lambda _: steps)
    assert check.main([]) == 7
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("==> [1/2] behind: ")
    assert lines[0].endswith(" (in the background)")
    start = next(number for number, line in enumerate(lines) if number and line.startswith("==> [1/2] behind: "))
    assert lines[start + 1] == "behind"
    assert lines[start + 2].startswith("    behind: FAILED (exit 7) after ")
    assert lines[-1].endswith(" s: behind")


def test_a_step_that_needs_all_processors_waits_for_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done = tmp_path / "done"
    slow = f"import pathlib, time; time.sleep(0.5); pathlib.Path({str(done)!r}).touch()"
    looks = f"import pathlib; raise SystemExit(not pathlib.Path({str(done)!r}).exists())"
    needy = replace(_program("needy", looks), after_background=True)
    monkeypatch.setattr(check, "steps_for", lambda _: (_program("slow", slow, in_background=True), needy))
    assert check.main([]) == 0
    assert "==> all 2 steps passed" in capfd.readouterr().out


def test_each_test_belongs_to_one_step() -> None:
    """The expressions of the steps on the real parts exclude each other, and cover all combinations of markers."""
    expressions = [step.command[step.command.index("-m") + 1] for step in STEPS if "-m" in step.command[2:]]
    chosen = [expression for expression in expressions if "disruptive" in expression]
    assert len(chosen) == 2
    for marks in itertools.product([False, True], repeat=3):
        names = dict(zip(("store", "cluster", "disruptive"), marks, strict=True))
        assert sum(eval(expression, {}, names) for expression in chosen) == 1, names  # noqa: S307 - our own text


def test_only_what_the_tests_stand_on_ends_the_whole() -> None:
    assert [step.title for step in STEPS if not step.stands_alone] == ["cluster", "images and operator"]


def test_a_group_that_there_is_not_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert check.main(["units"]) == 2
    assert "'units'; there are: lint, unit, cluster" in capfd.readouterr().err
