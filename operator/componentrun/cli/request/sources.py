"""Where manifests, tables and files come from besides flags: files, stdin, another run."""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from componentrun.catalogue.yamltext import RepeatedKeyError, documents
from componentrun.cli.errors import BadRequestError
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.client.request.parameters import json_text
from componentrun.wire.jsontext import kind_of, trimmed

__all__ = ["again", "local_file", "parameters", "read"]

_BOM = "\ufeff"
"""The byte order mark that programs on Windows put before a text."""


def again(raw: JsonObject) -> JsonObject:
    """The manifest of a copy of a run, with a new name."""
    metadata = raw["metadata"]
    spec = {key: value for key, value in raw["spec"].items() if key not in {"cancel", "suspend"}}
    stem = metadata["name"].rpartition("-")[0] or metadata["name"]
    labels = {"labels": metadata["labels"]} if metadata.get("labels") else {}
    return {
        "apiVersion": raw["apiVersion"],
        "kind": raw["kind"],
        "metadata": {"generateName": f"{stem}-"} | labels,
        "spec": spec,
    }


def read(file: str) -> tuple[str, str]:
    """Text of a file, and what to call it.

    Raises:
        BadRequestError: it can't be read, or is not text.
    """
    if file == "-":
        title = "what came from stdin"
        try:
            return sys.stdin.read().removeprefix(_BOM), title
        except UnicodeDecodeError as error:
            raise BadRequestError(f"{title} is not text in UTF-8", "Save it in UTF-8.") from error
    return _text(Path(file)), f"`{file}`"


@contextlib.contextmanager
def local_file(path: Path, expected: str) -> Iterator[Path]:
    """A seekable local file: this one, or a copy of the content of a pipe (`-`: stdin).

    Args:
        path: what the person typed.
        expected: what it should be, for messages: `a CSV file`.

    Raises:
        BadRequestError: it does not exist, or is a folder.
    """
    if path.is_file():
        yield path
        return
    if str(path) != "-" and (path.is_dir() or not path.exists()):
        actual = "a folder" if path.is_dir() else "nothing"
        raise BadRequestError(f"found {actual} at `{path}`; expected {expected}", "Check the path.")
    with tempfile.TemporaryDirectory(prefix="componentrun-") as folder:
        copy = Path(folder) / ("stdin" if str(path) == "-" else path.name)
        with copy.open("wb") as target:
            if str(path) == "-":
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with path.open("rb") as source:
                    shutil.copyfileobj(source, target)
        yield copy


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removeprefix(_BOM)
    except OSError as error:
        raise BadRequestError(f"can't read `{path}`: {error.strerror}", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise BadRequestError(f"`{path}` is not text in UTF-8", "Save it in UTF-8.") from error


def parameters(path: Path | None) -> str | None:
    """The object in a JSON file as it is; of a YAML file as JSON, its keys in their order."""
    if path is None:
        return None
    text = trimmed(_text(path))
    try:
        value, is_json = _read(text, path)
    except RecursionError as error:
        raise BadRequestError(f"`{path}` is nested too deep to be read", "Pass deep structures as text.") from error
    if not isinstance(value, dict):
        raise BadRequestError(
            f"`{path}` holds {kind_of(value) if text else 'nothing'}; expected an object of parameters",
            'For example: `{"limit": 10}`.',
        )
    return text if is_json else json_text(value, "spec.configuration.parameters")


def _read(text: str, path: Path) -> tuple[Any, bool]:
    """The value in a text, and whether the text is JSON."""
    try:
        return json.loads(text), True
    except ValueError:
        return _yaml(text, path), False


def _yaml(text: str, path: Path) -> Any:
    import yaml  # noqa: PLC0415 - takes a while to load

    try:
        return next(documents(text), None)
    except RepeatedKeyError as error:
        raise BadRequestError(f"`{path}`, {error}", "Remove one of them.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: PyYAML takes some texts for numbers
        raise BadRequestError(
            f"`{path}` is neither JSON nor YAML: {' '.join(str(error).split())}", "Check its syntax."
        ) from error
