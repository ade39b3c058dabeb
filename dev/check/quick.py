"""`python -m dev.check.quick [BRANCH]`: lint, types, and the unit tests of what differs from a branch (`main`)."""

from __future__ import annotations

import sys

from dev.check.__main__ import run_all
from dev.check.changed import ROOT, affected_tests, changed_files
from dev.check.steps import quick_steps


def main(arguments: list[str]) -> int:
    """Run them; the exit code is that of the first that failed."""
    return run_all(quick_steps(affected_tests(changed_files(*arguments[:1]), ROOT)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
