"""A process of its own that holds a Spark session: one SQL statement a line in, its rows a line out, as JSON."""

from __future__ import annotations

import json
import os
import sys

from pyspark.sql import SparkSession  # type: ignore[import-not-found]  # only there


def main() -> None:
    """Answer until stdin ends. The first line says how Spark is configured."""
    told = json.loads(sys.stdin.readline())
    # Whatever else writes to stdout must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    builder = SparkSession.builder.master("local[2]")
    for name, value in told.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    answers.write('{"rows": []}\n')
    for line in sys.stdin:
        try:
            rows = [list(row) for row in session.sql(json.loads(line)).collect()]
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
            answers.write(json.dumps({"error": str(error)}) + "\n")
        else:
            answers.write(json.dumps({"rows": rows}, default=str) + "\n")


if __name__ == "__main__":
    main()
