"""Flights of each month: a component of one file that needs no package, built from its git repository."""

import csv
import os
import sys
from collections import Counter
from pathlib import Path

DATA = Path(os.environ.get("KBC_DATADIR", "/data"))


def main() -> int:
    """Return 1 for an error of the user, whose message is the last line of stderr."""
    source = DATA / "in" / "tables" / "flights.csv"
    if not source.is_file():
        print("Input table flights.csv is missing: map a table to it.", file=sys.stderr)
        return 1
    with source.open(newline="", encoding="utf-8") as rows:
        reader = csv.DictReader(rows)
        if "month" not in (reader.fieldnames or ()):
            print("There is no column `month` in flights.csv.", file=sys.stderr)
            return 1
        flights = Counter(row["month"] for row in reader)
    with (DATA / "out" / "tables" / "months.csv").open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(("month", "flights"))
        writer.writerows(sorted(flights.items(), key=lambda item: int(item[0])))
    print(f"{sum(flights.values()):,} flights in {len(flights)} months")
    return 0


if __name__ == "__main__":
    sys.exit(main())
