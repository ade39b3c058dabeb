"""Tables and queries as data frames."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from componentrun.client.frames import read_arrow, read_pandas, read_polars, write_csv
from componentrun.client.storage.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from componentrun.client.storage.tablestore import TableDetails, TableInfo, TableStore

__all__ = ["Query", "Table"]


class _Rows(ABC):
    """Rows that can be read. Each call reads them again."""

    @abstractmethod
    def _save(self, path: Path) -> None:
        """Write the rows to a Parquet file."""

    def to_arrow(self) -> pa.Table:
        """The rows as `pyarrow.Table`. Requires pyarrow."""
        return self._read(read_arrow)

    def to_pandas(self) -> pd.DataFrame:
        """The rows as `pandas.DataFrame`. Requires pyarrow and pandas."""
        return self._read(read_pandas)

    def to_polars(self) -> pl.DataFrame:
        """The rows as `polars.DataFrame`. Requires polars."""
        return self._read(read_polars)

    def _read(self, read: Callable[[Path], Any]) -> Any:
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            path = Path(folder, "rows.parquet")
            self._save(path)
            return read(path)


class Table(_Rows):
    """One table of a Storage. It need not exist before it is written."""

    def __init__(self, store: Callable[[], TableStore], table_id: str) -> None:
        """`Client.table` makes it. `store` opens the tables at the first use."""
        self._store = store
        self.id = table_id

    def __repr__(self) -> str:
        """Which table."""
        return f"Table({self.id!r})"

    def _save(self, path: Path) -> None:
        self._store().export(self.id, path, text=False)

    def details(self) -> TableDetails:
        """Columns, primary key, versions and size.

        Raises:
            UserError: (InputNotFound) there is no such table.
        """
        return self._store().details(self.id)

    def write(self, data: Any, *, key: Sequence[str] = (), incremental: bool = False, typed: bool = True) -> TableInfo:
        """Load rows in one transaction.

        Args:
            data: a `pandas.DataFrame` (its index is left out), a `polars.DataFrame`, a `pyarrow.Table`, another object
                with the Arrow PyCapsule interface, or a list of dicts.
            key: columns of the primary key.
            incremental: add the rows, and replace rows with the same key, instead of replacing the table.
            typed: whether columns have the types of the data; otherwise they are text.

        Raises:
            UserError: the data does not fit the table.
        """
        with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
            path = Path(folder, "rows.csv")
            schema = write_csv(data, path)
            return self._store().put(
                path,
                self.id,
                incremental=incremental,
                primary_key=tuple(key),
                progress=no_progress,
                schema=schema if typed else (),
            )


class Query(_Rows):
    """A query over the tables of a Storage."""

    def __init__(self, store: Callable[[], TableStore], sql: str) -> None:
        """`Client.query` makes it. Nothing is executed yet."""
        self._store = store
        self.sql = sql

    def _save(self, path: Path) -> None:
        with self._store().query(self.sql) as answer:
            Path(answer.save("parquet", None)[0]).rename(path)
