"""A processor: keeps the rows with a value in a column, without a header line, and describes the table in a manifest.

Parameters: `column`, `#value`.
"""

import csv
from pathlib import Path

from keboola.component.base import ComponentBase


class FilterRows(ComponentBase):  # type: ignore[misc]  # the library has no types
    """As in the template of public components."""

    def run(self) -> None:
        """Filter each table."""
        parameters = self.configuration.parameters
        for table in self.get_input_tables_definitions():
            out = self.create_out_table_definition(table.name, primary_key=["id"], schema=["id", "text"])
            with (
                Path(table.full_path).open(newline="", encoding="utf-8") as source,
                Path(out.full_path).open("w", newline="", encoding="utf-8") as target,
            ):
                rows = [row for row in csv.DictReader(source) if row[parameters["column"]] == parameters["#value"]]
                csv.DictWriter(target, ["id", "text"], lineterminator="\n").writerows(rows)
            self.write_manifest(out)


if __name__ == "__main__":
    FilterRows().execute_action()
