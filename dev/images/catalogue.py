"""All images and the files that each is built from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""Root of the project's work tree."""


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        name: last part of the image name, e.g. `componentrun`.
        context: folder with the Dockerfile.
        inputs: files and folders below the context that the build can use. Folders include all their content.
        target: stage of the Dockerfile. Defaults to the last one.
    """

    name: str
    context: Path
    inputs: tuple[str, ...]
    target: str = ""

    def files(self) -> list[Path]:
        """Every file of the inputs, sorted, without Python's caches.

        Raises:
            FileNotFoundError: an input does not exist.
        """
        paths: set[Path] = set()
        for name in self.inputs:
            path = self.context / name
            if path.is_dir():
                paths.update(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
            elif path.is_file():
                paths.add(path)
            else:
                raise FileNotFoundError(f"image `{self.name}`: its input {path} does not exist; see {__file__}")
        return sorted(paths)


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
"""Images by name."""
