"""Signs files, so that whoever has the key can tell whether they were changed: a `.sig` beside each, and a list.

A component as it would be written for any platform with this contract: it uses the `keboola-component` library and
knows nothing of ComponentRun.
"""

import csv
import hashlib
import hmac
import logging
import sys
from pathlib import Path

from keboola.component.base import ComponentBase
from keboola.component.dao import FileDefinition, TableMetadata
from keboola.component.exceptions import UserException

COLUMNS = ["id", "name", "bytes", "algorithm", "signature"]
ALGORITHMS = ("sha256", "sha512")

log = logging.getLogger(__name__)


class Component(ComponentBase):
    def run(self) -> None:
        self.validate_configuration_parameters(["tag", "#key"])
        self.validate_image_parameters(["algorithm"])
        algorithm = self.configuration.image_parameters["algorithm"]
        if algorithm not in ALGORITHMS:
            raise UserException(f"Image parameter 'algorithm' must be one of {ALGORITHMS}, not {algorithm!r}.")
        tag = self.configuration.parameters["tag"]
        files = self.get_input_files_definitions(tags=[tag])
        if not files:
            raise UserException(f"No file has the tag {tag!r}; look at the input mapping.")
        signatures = [(file, self.sign(file, algorithm)) for file in sorted(files, key=lambda file: file.full_name)]
        for file, signature in signatures:
            self.write_signature(file, signature)
        self.write_list(signatures, algorithm)
        log.info("%s files signed", len(files))

    def sign(self, file: FileDefinition, algorithm: str) -> str:
        key: str = self.configuration.parameters["#key"]
        signature = hmac.new(key.encode(), digestmod=getattr(hashlib, algorithm))
        with Path(file.full_path).open("rb") as stream:
            while block := stream.read(1 << 20):
                signature.update(block)
        return signature.hexdigest()

    def write_signature(self, file: FileDefinition, signature: str) -> None:
        """A file that is kept for ever."""
        beside = self.create_out_file_definition(f"{file.name}.sig", tags=["signature"], is_permanent=True)
        Path(beside.full_path).write_text(signature + "\n", encoding="ascii")
        self.write_manifest(beside)

    def write_list(self, signatures: list[tuple[FileDefinition, str]], algorithm: str) -> None:
        """A table without a header line, described by a manifest of the old form."""
        told = TableMetadata()
        told.add_table_description("Which files were signed, and how")
        told.add_column_data_type("bytes", "INTEGER")
        table = self.create_out_table_definition(
            "signatures.csv",
            destination=self.configuration.parameters.get("table", ""),
            columns=COLUMNS,
            primary_key=["id"],
            incremental=True,
            table_metadata=told,
            delimiter="\t",
            enclosure="'",
        )
        with Path(table.full_path).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="\t", quotechar="'", lineterminator="\n")
            for file, signature in signatures:
                writer.writerow([file.id, file.name, file.size_bytes, algorithm, signature])
        self.write_manifest(table, legacy_manifest=True)


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
