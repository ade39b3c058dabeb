"""`python -m dev.check [lint|unit|cluster ...]`: runs the checks; one that fails does not hide what the others find."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from dev.check.steps import environment, steps_for

if TYPE_CHECKING:
    from dev.check.steps import Step


def main(arguments: list[str]) -> int:
    """Run the steps of these groups; the exit code is that of the first that failed."""
    try:
        steps = steps_for(tuple(arguments))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return run_all(steps)


def run_all(steps: tuple[Step, ...]) -> int:
    """Run steps in order; the exit code is that of the first that failed."""
    began = time.monotonic()
    failed: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        print(f"==> [{number}/{len(steps)}] {step.title}: {' '.join(step.command)}", flush=True)
        if code := run(step):
            failed[step.title] = code
            if not step.stands_alone:
                break
    took = f"{time.monotonic() - began:.0f} s"
    if failed:
        print(f"==> FAILED after {took}: {', '.join(failed)}", flush=True)
        return next(iter(failed.values()))
    print(f"==> all {len(steps)} steps passed in {took}", flush=True)
    return 0


def run(step: Step) -> int:
    """Run one step and say how it went; its exit code."""
    started = time.monotonic()
    code = subprocess.run(step.command, env=environment(), check=False).returncode
    took = time.monotonic() - started
    print(f"    {step.title}: {'ok' if code == 0 else f'FAILED (exit {code})'} after {took:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
