"""Mean departure and arrival delay of each carrier, with the airlines' names.

A component as it would be written for any platform with this contract: it uses the `keboola-component` library and
knows nothing of ComponentRun.
"""

import csv
import logging
import sys
from collections import defaultdict
from pathlib import Path

from keboola.component.base import ComponentBase
from keboola.component.exceptions import UserException

COLUMNS = ["carrier", "name", "flights", "mean_dep_delay", "mean_arr_delay"]
NOT_AVAILABLE = {"", "NA"}


class Mean:
    """The mean of the values that are known."""

    def __init__(self):
        self.count = 0
        self.total = 0

    def add(self, text):
        if text not in NOT_AVAILABLE:
            self.count += 1
            self.total += int(text)

    def text(self, decimals):
        return f"{self.total / self.count:.{decimals}f}" if self.count else ""


class Component(ComponentBase):
    def run(self):
        decimals = self.configuration.parameters.get("decimals", 2)
        if not isinstance(decimals, int) or not 0 <= decimals <= 6:
            raise UserException(f"Parameter 'decimals' must be a whole number from 0 to 6, not {decimals!r}.")
        names = self.read_names()
        flights, departures, arrivals = defaultdict(int), defaultdict(Mean), defaultdict(Mean)
        for number, row in enumerate(self.rows("flights.csv", ["carrier", "dep_delay", "arr_delay"]), start=1):
            carrier = row["carrier"]
            flights[carrier] += 1
            departures[carrier].add(row["dep_delay"])
            arrivals[carrier].add(row["arr_delay"])
            if number % 100_000 == 0:
                logging.info("%s flights read", f"{number:,}")
        logging.info("%s flights of %s carriers read", f"{sum(flights.values()):,}", len(flights))
        table = self.create_out_table_definition("delays.csv", primary_key=["carrier"])
        with Path(table.full_path).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for carrier in sorted(flights):
                means = departures[carrier].text(decimals), arrivals[carrier].text(decimals)
                writer.writerow([carrier, names.get(carrier, ""), flights[carrier], *means])
        self.write_manifest(table)

    def read_names(self):
        return {row["carrier"]: row["name"] for row in self.rows("airlines.csv", ["carrier", "name"])}

    def rows(self, file_name, columns):
        path = Path(self.tables_in_path, file_name)
        if not path.is_file():
            raise UserException(f"Input table {file_name} is missing; add it to the input mapping.")
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            absent = [column for column in columns if column not in (reader.fieldnames or [])]
            if absent:
                raise UserException(f"{file_name} has no column {', '.join(absent)}; it has {reader.fieldnames}.")
            yield from reader


if __name__ == "__main__":
    try:
        Component().execute_action()
    except UserException as error:
        logging.error(error)
        sys.exit(1)
    except Exception:
        logging.exception("unexpected error")
        sys.exit(2)
