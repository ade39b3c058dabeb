"""Mean departure and arrival delay of each carrier, with the airlines' names.

A component as it would be written for any platform with this contract: it uses the `keboola-component` library and
knows nothing of ComponentRun.
"""

import csv
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from keboola.component.base import ComponentBase
from keboola.component.exceptions import UserException

COLUMNS = ["carrier", "name", "flights", "mean_dep_delay", "mean_arr_delay"]
NOT_AVAILABLE = {"", "NA"}
MOST_DECIMALS = 6

log = logging.getLogger(__name__)


class Mean:
    """The mean of the values that are known."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def add(self, text: str) -> None:
        if text not in NOT_AVAILABLE:
            self.count += 1
            self.total += int(text)

    def text(self, decimals: int) -> str:
        return f"{self.total / self.count:.{decimals}f}" if self.count else ""


class Component(ComponentBase):
    def run(self) -> None:
        decimals = self.configuration.parameters.get("decimals", 2)
        if not isinstance(decimals, int) or not 0 <= decimals <= MOST_DECIMALS:
            raise UserException(f"Parameter 'decimals' must be a whole number from 0 to 6, not {decimals!r}.")
        names = {row["carrier"]: row["name"] for row in self.rows("airlines.csv", ["carrier", "name"])}
        flights: dict[str, int] = defaultdict(int)
        departures: dict[str, Mean] = defaultdict(Mean)
        arrivals: dict[str, Mean] = defaultdict(Mean)
        for number, row in enumerate(self.rows("flights.csv", ["carrier", "dep_delay", "arr_delay"]), start=1):
            carrier = row["carrier"]
            flights[carrier] += 1
            departures[carrier].add(row["dep_delay"])
            arrivals[carrier].add(row["arr_delay"])
            if number % 100_000 == 0:
                log.info("%s flights read", f"{number:,}")
        log.info("%s flights of %s carriers read", f"{sum(flights.values()):,}", len(flights))
        table = self.create_out_table_definition("delays.csv", primary_key=["carrier"])
        with Path(table.full_path).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for carrier in sorted(flights):
                means = departures[carrier].text(decimals), arrivals[carrier].text(decimals)
                writer.writerow([carrier, names.get(carrier, ""), flights[carrier], *means])
        self.write_manifest(table)

    def rows(self, file_name: str, columns: list[str]) -> Iterator[dict[str, str]]:
        """The rows of an input table, one at a time."""
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
        # Exit code 1: the message is for the user of the component.
        log.error("%s", error)  # noqa: TRY400 - a user has no use for a traceback
        sys.exit(1)
    except Exception:
        log.exception("unexpected error")
        sys.exit(2)
