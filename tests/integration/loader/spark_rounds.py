"""A process that runs the program of a Spark Job once for each line of stdin, all in one JVM.

The JVM's start costs more than a round. That the program starts from nothing is shown by the test of the Spark Job.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
import types

from componentrun.spark import program
from componentrun.wire.spark import TASK_VARIABLE


def main() -> None:
    """Answer each line, a round, with the exit code that the program would have."""
    logging.basicConfig(level=logging.INFO)
    # Other output to stdout must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        ahead = 86400 * asked["days"]
        program.time = types.SimpleNamespace(time=lambda ahead=ahead: time.time() + ahead)  # type: ignore[assignment]
        code = 0
        try:
            task = program.read_task({TASK_VARIABLE: asked["task"]})
            settings = program.settings_for(task, f"{asked['secrets']}/store", f"{asked['secrets']}/catalog")
            program.maintain(task, settings, asked["jars"])
        except Exception:  # noqa: BLE001 - the test shows the log
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        answers.write(f"{code}\n")


if __name__ == "__main__":
    main()
