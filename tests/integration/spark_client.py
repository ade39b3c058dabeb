"""A process with a Spark session: reads one SQL statement per line, and prints its rows as one line of JSON."""

from __future__ import annotations

import json
import os
import sys

from pyspark.sql import SparkSession  # type: ignore[import-not-found]  # only there


def main() -> None:
    """Answer until stdin ends. The first line contains Spark's configuration."""
    told = json.loads(sys.stdin.readline())
    # Other output to stdout must not mix with the answers.
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
        except Exception as error:  # noqa: BLE001 - every error is returned to the test
            answers.write(json.dumps({"error": str(error)}) + "\n")
        else:
            answers.write(json.dumps({"rows": rows}, default=str) + "\n")


if __name__ == "__main__":
    main()
