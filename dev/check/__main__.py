"""`python -m dev.check [lint|unit|cluster ...]`: run the checks, and continue after a failed check if possible.

The last lines of each failed step are repeated at the end, because CI systems cut long outputs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dev.check.steps import environment, steps_for

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dev.check.steps import Step


_LAST_LINES: Final = 40


@dataclass(frozen=True)
class Result:
    """How a step ended: its exit code, and the last lines of its output."""

    code: int
    last_lines: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Run the steps of these groups and return the exit code of the first failed step, or 0."""
    try:
        steps = steps_for(tuple(arguments))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return run_all(steps)


def run_all(steps: tuple[Step, ...]) -> int:
    """Run the steps and return the exit code of the first failed step, or 0.

    Steps in the background run one after the other, beside the steps that follow them.
    """
    start = time.monotonic()
    results: dict[str, Result] = {}
    background_results: dict[str, Future[Result]] = {}
    last_in_front = max((number for number, step in enumerate(steps) if not step.in_background), default=-1)
    with ThreadPoolExecutor(1) as background:
        for number, step in enumerate(steps):
            heading = f"==> [{number + 1}/{len(steps)}] {step.title}: {' '.join(step.command)}"
            if step.in_background and number < last_in_front:
                print(f"{heading} (in the background)", flush=True)
                background_results[step.title] = background.submit(run_in_background, step, heading)
                continue
            if step.after_background:
                wait(background_results.values())
            print(heading, flush=True)
            results[step.title] = run(step)
            if results[step.title].code and not step.stands_alone:
                break
        results |= {title: task.result() for title, task in background_results.items()}
    failed = [step.title for step in steps if step.title in results and results[step.title].code]
    elapsed = f"{time.monotonic() - start:.0f} s"
    if failed:
        for title in failed:
            print(
                f"==> the last lines of {title}, which failed:\n{''.join(results[title].last_lines)}",
                end="",
                flush=True,
            )
        print(f"==> FAILED after {elapsed}: {', '.join(failed)}", flush=True)
        return results[failed[0]].code
    print(f"==> all {len(steps)} steps passed in {elapsed}", flush=True)
    return 0


def run(step: Step) -> Result:
    """Run one step, and print its output while it runs and its outcome when it has ended."""
    start = time.monotonic()
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        step.command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None, "stdout is a pipe"
        for line in process.stdout:
            print(line, end="", flush=True)
            last_lines.append(line)
    print(_outcome(step, process.returncode, start), flush=True)
    return Result(process.returncode, tuple(last_lines))


def run_in_background(step: Step, heading: str) -> Result:
    """Run one step, and print its output and its outcome when it has ended."""
    start = time.monotonic()
    process = subprocess.run(
        step.command, env=environment(), check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace",
    )  # fmt: skip
    print(f"\n{heading}\n{process.stdout}{_outcome(step, process.returncode, start)}", flush=True)
    return Result(process.returncode, tuple(process.stdout.splitlines(keepends=True)[-_LAST_LINES:]))


def _outcome(step: Step, code: int, start: float) -> str:
    outcome = "ok" if code == 0 else f"FAILED (exit {code})"
    return f"    {step.title}: {outcome} after {time.monotonic() - start:.0f} s"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
