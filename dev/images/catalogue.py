"""Which images there are, and which files go into each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The project's work tree."""


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: last part of the image's name, e.g. `componentrun`.
        context: folder with the Dockerfile.
        inputs: files and folders below the context that the build may see; folders with all that is in them.
        target: stage of the Dockerfile; empty: the last one.
    """

    name: str
    context: Path
    inputs: tuple[str, ...]
    target: str = ""

    def files(self) -> list[Path]:
        """Every file of the inputs, sorted, without what Python leaves behind.

        Raises:
            FileNotFoundError: an input is not there.
        """
        found: set[Path] = set()
        for name in self.inputs:
            path = self.context / name
            if path.is_dir():
                found.update(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
            elif path.is_file():
                found.add(path)
            else:
                raise FileNotFoundError(f"image `{self.name}`: its input {path} is not there; see {__file__}")
        return sorted(found)


def _example(name: str, *inputs: str) -> Image:
    return Image(f"example-{name}", ROOT / "examples" / name, ("Dockerfile", *inputs))


_SOURCES: Final = ("Dockerfile", "pyproject.toml", "uv.lock", "requirements-bootstrap.txt", "operator/componentrun")
_ALL: Final = (
    Image("componentrun", ROOT, _SOURCES),
    Image("componentrun-loader", ROOT, _SOURCES, target="loader"),
    Image("componentrun-spark", ROOT, (*_SOURCES, "requirements-spark.txt", "spark-jars.txt"), target="spark"),
    Image("test-components", ROOT / "e2e" / "components", ("Dockerfile", "bin")),
    _example("delays-python", "requirements.txt", "src"),
    _example("weather-python", "requirements.txt", "src"),
    _example("sign-python", "requirements.txt", "src"),
    _example("shell", "src"),
    _example("r", "src"),
)

IMAGES: Final[Mapping[str, Image]] = MappingProxyType({image.name: image for image in _ALL})
"""Every image by its name."""
