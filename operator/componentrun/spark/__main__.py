"""`python -m componentrun.spark`: maintains the table in COMPONENTRUN_SPARK_TASK, then exits."""

import logging
import os
import sys

from componentrun.errors import ComponentRunError
from componentrun.spark.program import maintain, read_task, settings_for

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
try:
    task = read_task(os.environ)
    maintain(task, settings_for(task))
except ComponentRunError as error:
    logging.getLogger("componentrun.spark").error("%s", error.message)  # noqa: TRY400 - the message explains it
    sys.exit(1)
