"""What was the weather of each day? Takes the hourly measurements a few days at a time, and remembers how far it got.

A component as it would be written for any platform with this contract: it uses the `keboola-component` library and
knows nothing of ComponentRun.
"""

import csv
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from keboola.component.base import ComponentBase, sync_action
from keboola.component.dao import BaseType, ColumnDefinition, TableDefinition
from keboola.component.exceptions import UserException
from keboola.component.sync_actions import SelectElement

INPUT = "weather.csv"
NEEDED = ["origin", "year", "month", "day", "temp", "precip"]
NOT_AVAILABLE = {"", "NA"}
MOST_DAYS = 366
DAILY = {
    "origin": ColumnDefinition(BaseType.string(), primary_key=True, nullable=False, description="Airport"),
    "day": ColumnDefinition(BaseType.date(), primary_key=True, nullable=False),
    "hours": ColumnDefinition(BaseType.integer(), nullable=False, description="Hours that were measured"),
    "temperature": ColumnDefinition(BaseType.numeric(length="6,2"), description="Mean; empty where nobody measured it"),
    "rain": ColumnDefinition(BaseType.numeric(length="8,2"), nullable=False, description="Sum"),
}
JOURNAL = {
    "run": ColumnDefinition(BaseType.string(), primary_key=True, nullable=False),
    "began": ColumnDefinition(BaseType.timestamp(), nullable=False),
    "outcome": ColumnDefinition(BaseType.string(), nullable=False),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Units:
    """What measurements are told in; they come in degrees Fahrenheit and inches."""

    metric: bool

    def temperature(self, fahrenheit: float) -> float:
        return (fahrenheit - 32) / 1.8 if self.metric else fahrenheit

    def rain(self, inches: float) -> float:
        return inches * 25.4 if self.metric else inches


@dataclass
class Day:
    """The measurements of one day at one airport."""

    hours: int = 0
    temperatures: list[float] = field(default_factory=list)
    rain: float = 0

    def add(self, row: dict[str, str]) -> None:
        self.hours += 1
        if row["temp"] not in NOT_AVAILABLE:
            self.temperatures.append(float(row["temp"]))
        if row["precip"] not in NOT_AVAILABLE:
            self.rain += float(row["precip"])

    def texts(self, units: Units) -> list[str]:
        known = self.temperatures
        mean = f"{units.temperature(sum(known) / len(known)):.2f}" if known else ""
        return [str(self.hours), mean, f"{units.rain(self.rain):.2f}"]


class Component(ComponentBase):
    def run(self) -> None:
        """The next days after those of the last run that went well."""
        began = datetime.now(UTC)
        outcome = "failed"
        try:
            outcome = self.next_days()
        finally:
            self.write_journal(began, outcome)

    @sync_action("airports")
    def airports(self) -> list[SelectElement]:
        """What a form could offer to choose from."""
        return [SelectElement(airport) for airport in sorted({row["origin"] for row in self.rows()})]

    def next_days(self) -> str:
        """What came of it, in a few words."""
        most = self.configuration.parameters.get("days", 30)
        if not isinstance(most, int) or not 1 <= most <= MOST_DAYS:
            raise UserException(f"Parameter 'days' must be a whole number from 1 to {MOST_DAYS}, not {most!r}.")
        through = self.get_state_file().get("through", "")
        found: dict[str, dict[str, Day]] = defaultdict(lambda: defaultdict(Day))
        for row in self.rows():
            day = date(int(row["year"]), int(row["month"]), int(row["day"])).isoformat()
            if day > through:
                found[day][row["origin"]].add(row)
        days = sorted(found)[:most]
        if not days:
            log.warning("Nothing is newer than %s.", through or "the beginning")
            return "nothing new"
        log.info("%s days, from %s to %s", len(days), days[0], days[-1])
        self.write_days({day: found[day] for day in days})
        self.write_report(days)
        self.write_state_file({"through": days[-1]})
        return f"{len(days)} days through {days[-1]}"

    def rows(self) -> Iterator[dict[str, str]]:
        """The measurements, one at a time. What columns there are stands in the table's manifest."""
        try:
            table = self.get_input_table_definition_by_name(INPUT)
        except ValueError as error:
            raise UserException(f"Input table {INPUT} is missing; add it to the input mapping.") from error
        absent = [column for column in NEEDED if column not in table.column_names]
        if absent:
            raise UserException(f"{table.id} has no column {', '.join(absent)}; it has {table.column_names}.")
        with Path(table.full_path).open(newline="", encoding="utf-8") as stream:
            yield from csv.DictReader(stream)

    def write_days(self, days: dict[str, dict[str, Day]]) -> None:
        """A slice of the table for each airport; slices have no header line."""
        units = Units(metric=self.configuration.image_parameters.get("units", "metric") == "metric")
        table = self.create_out_table_definition("daily.csv", is_sliced=True, schema=DAILY, incremental=True)
        folder = Path(table.full_path)
        folder.mkdir()
        for airport in sorted({airport for airports in days.values() for airport in airports}):
            with (folder / f"{airport}.csv").open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                for day, airports in days.items():
                    if airport in airports:
                        writer.writerow([airport, day, *airports[airport].texts(units)])
        self.write_manifest(table)

    def write_report(self, days: list[str]) -> None:
        """A file for people."""
        report = self.create_out_file_definition(f"weather-{days[-1]}.json", tags=["weather-report"])
        Path(report.full_path).write_text(json.dumps({"days": days}), encoding="utf-8")
        self.write_manifest(report)

    def write_journal(self, began: datetime, outcome: str) -> None:
        """A row that is stored also where the run fails."""
        table: TableDefinition = self.create_out_table_definition(
            "journal.csv", schema=JOURNAL, incremental=True, write_always=True, has_header=True
        )
        with Path(table.full_path).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(JOURNAL)
            writer.writerow([self.environment_variables.run_id, began.isoformat(), outcome])
        self.write_manifest(table)


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
