"""A processor: gives the only table another name, and keeps what its manifest says. Parameter: `name`."""

import shutil

from keboola.component.base import ComponentBase


class RenameTable(ComponentBase):  # type: ignore[misc]  # the library has no types
    """As in the template of public components."""

    def run(self) -> None:
        """Copy the table, and say what was found."""
        (table,) = self.get_input_tables_definitions()
        keys, state = sorted(self.configuration.config_data), self.get_state_file()
        print(f"found {keys} and the state {state} as {self.environment_variables.component_id}")
        out = self.create_out_table_definition(
            self.configuration.parameters["name"], primary_key=table.primary_key, schema=table.column_names
        )
        shutil.copy(table.full_path, out.full_path)
        self.write_manifest(out)


if __name__ == "__main__":
    RenameTable().execute_action()
