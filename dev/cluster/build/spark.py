"""Spark with Iceberg's jars, downloaded once into a separate folder, at the versions that the work tree pins.

The image `componentrun-spark` uses the same pins. Java is the machine's own; if it is missing, Debian's is installed.
"""

import hashlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.cluster import commands, paths
from dev.cluster.errors import ClusterError
from dev.cluster.host import packages
from dev.cluster.progress import step

MAVEN_VARIABLE: Final = "MAVEN_REPOSITORY"
_MAVEN: Final = "https://repo1.maven.org/maven2"
_ROOT: Final = Path(__file__).resolve().parents[3]
_PACKAGES: Final = _ROOT / "requirements-spark.txt"
_JARS: Final = _ROOT / "spark-jars.txt"
_JAVA: Final = "openjdk-17-jre-headless"
_DONE: Final = "done"


class UnreachableError(ClusterError):
    """Maven Central, or the configured mirror, can't be reached from this machine."""


@dataclass(frozen=True)
class Spark:
    """A Spark installation."""

    python: Path
    """An interpreter that has `pyspark`."""
    jars: tuple[Path, ...]

    @property
    def packages(self) -> Path:
        """The folder that contains `pyspark`, for another interpreter of the same Python version."""
        (folder,) = self.python.parents[1].glob("lib/python*/site-packages")
        return folder

    def environment(self) -> dict[str, str]:
        """Environment variables for a process that starts Spark."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
        return variables | {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "AWS_REGION": "us-east-1",
            # Each process lives for some seconds, so the optimizing compiler costs more than it saves.
            "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }


def up() -> Spark:
    """Return Spark; download it first if it is missing (1 to 2 minutes, 540 MB).

    Raises:
        UnreachableError: the repository of the jars can't be reached.
        ClusterError: a package or a jar can't be downloaded, or is not the pinned one.
    """
    folder = paths.home() / "spark" / _key()
    if shutil.which("java") is None:
        packages.install([_JAVA], why="Spark runs on it")
    with paths.lock("spark"):
        if not (folder / _DONE).is_file():
            with step("fetching Spark and Iceberg's jars"):
                _fetch(folder)
            (folder / _DONE).touch()
    python = folder / "venv" / "bin" / "python3"
    return Spark(python, tuple(sorted((folder / "jars").glob("*.jar"))))


def _key() -> str:
    parts = [_PACKAGES.read_bytes(), _JARS.read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _fetch(folder: Path) -> None:
    python = folder / "venv" / "bin" / "python3"
    for line in _JARS.read_text().splitlines():
        digest, path = line.split()
        _fetch_jar(path, digest, folder / "jars" / Path(path).name)
    commands.run([sys.executable, "-m", "venv", "--clear", folder / "venv"])
    commands.run(
        [python, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--requirement", _PACKAGES],
        timeout=900,
        hint="Spark comes from PyPI",
    )


def _fetch_jar(path: str, digest: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    url = f"{os.environ.get(MAVEN_VARIABLE) or _MAVEN}/{path}"
    hint = f"set {MAVEN_VARIABLE} to a mirror of Maven Central if this machine has no way there"
    part = target.with_suffix(".part")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, part.open("wb") as file:  # noqa: S310 - https
            while block := answer.read(1 << 20):
                file.write(block)
    except urllib.error.HTTPError as error:
        raise ClusterError(f"{url} can't be fetched: {error}", hint=hint) from error
    except OSError as error:
        raise UnreachableError(f"{url} can't be fetched: {error}", hint=hint) from error
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != digest:
        raise ClusterError(f"{url} has the SHA-256 {actual}, and {digest} is pinned in {_JARS.name}", hint=hint)
    part.replace(target)
