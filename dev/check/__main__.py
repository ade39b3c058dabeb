"""`python -m dev.check [lint|unit|cluster ...]`: run the checks, and continue after a failed check if possible."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from dev.check.steps import environment, steps_for

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dev.check.steps import Step


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
    codes: dict[str, int] = {}
    background_results: dict[str, Future[int]] = {}
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
            codes[step.title] = run(step)
            if codes[step.title] and not step.stands_alone:
                break
        codes |= {title: task.result() for title, task in background_results.items()}
    failed = [step.title for step in steps if codes.get(step.title)]
    elapsed = f"{time.monotonic() - start:.0f} s"
    if failed:
        print(f"==> FAILED after {elapsed}: {', '.join(failed)}", flush=True)
        return codes[failed[0]]
    print(f"==> all {len(steps)} steps passed in {elapsed}", flush=True)
    return 0


def run(step: Step) -> int:
    """Run one step, print its result and return its exit code."""
    start = time.monotonic()
    code = subprocess.run(step.command, env=environment(), check=False).returncode
    print(_result(step, code, start), flush=True)
    return code


def run_in_background(step: Step, heading: str) -> int:
    """Run one step, print its output and its result when it has ended, and return its exit code."""
    start = time.monotonic()
    process = subprocess.run(
        step.command, env=environment(), check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace",
    )  # fmt: skip
    print(f"\n{heading}\n{process.stdout}{_result(step, process.returncode, start)}", flush=True)
    return process.returncode


def _result(step: Step, code: int, start: float) -> str:
    outcome = "ok" if code == 0 else f"FAILED (exit {code})"
    return f"    {step.title}: {outcome} after {time.monotonic() - start:.0f} s"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
