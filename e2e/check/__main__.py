"""`python -m e2e.check [lint|unit|cluster ...]`: runs the checks, stops at the first that fails."""

from __future__ import annotations

import subprocess
import sys
import time

from e2e.check.steps import environment, steps_for


def main(arguments: list[str]) -> int:
    """Run the steps; the exit code is that of the first that failed."""
    try:
        steps = steps_for(tuple(arguments))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    began = time.monotonic()
    for number, step in enumerate(steps, 1):
        print(f"==> [{number}/{len(steps)}] {step.title}: {' '.join(step.command)}", flush=True)
        started = time.monotonic()
        code = subprocess.run(step.command, env=environment(), check=False).returncode
        took = time.monotonic() - started
        print(f"    {step.title}: {'ok' if code == 0 else f'FAILED (exit {code})'} after {took:.0f} s", flush=True)
        if code:
            return code
    print(f"==> all {len(steps)} steps passed in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
