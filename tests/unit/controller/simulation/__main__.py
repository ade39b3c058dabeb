"""Search schedule after schedule for violations: `python -m tests.unit.controller.simulation [first] [minutes]`.

Prints each violation with the smallest schedule that leads to it. Exits with 1 if there was any.
"""

from __future__ import annotations

import logging
import sys
import time

from tests.unit.controller.simulation.schedule import made_from
from tests.unit.controller.simulation.simulator import shrunk, simulate


def main() -> int:
    """Search. Returns the exit code."""
    logging.getLogger("componentrun").addHandler(logging.NullHandler())
    first, minutes = (int(text) for text in (*sys.argv[1:], "0", "1")[:2])
    until, seed, found = time.monotonic() + 60 * minutes, first, 0
    while time.monotonic() < until:
        schedule = made_from(seed)
        result = simulate(schedule)
        if result.violations:
            found += 1
            small = shrunk(schedule, result)
            log = "\n".join(small.found.log)
            sys.stdout.write(f"{small.found.violations}\n{small.schedule}\n{log}\n\n")
        seed += 1
    sys.stdout.write(f"{seed - first} schedules from {first}, {found} with violations\n")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
