"""`python -m dev.check.quick [BRANCH]`: lint, types, and unit tests affected by changes since BRANCH (`main`)."""

from __future__ import annotations

import sys

from dev.check.__main__ import run_all
from dev.check.changed import ROOT, affected_tests, changed_files
from dev.check.steps import quick_steps


def main(arguments: list[str]) -> int:
    """Run the checks and return the exit code of the first failed step, or 0."""
    return run_all(quick_steps(affected_tests(changed_files(*arguments[:1]), ROOT)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
