"""Fields of a kubeconfig, and errors that name them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from componentrun.process.kubernetes.access.credentials import Pem
from componentrun.process.kubernetes.access.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Section"]

_CORRECT = "Correct the file, or set KUBECONFIG to another one."
_KINDS = {str: "text", bool: "`true` or `false`", list: "a list", dict: "a mapping"}
_SECRET = frozenset({"token", "password", "value", "client-key-data"})
"""Fields whose values no message contains. `value` is that of a plugin's environment variable."""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping in a kubeconfig: a cluster, a user, a context, or a part of one."""

    fields: Mapping[str, Any]
    file: Path
    """File that has it; relative paths in it start at the file's folder."""
    where: str = ""
    """How messages call it: `user "ann"`. Empty: the file itself."""

    def text(self, name: str) -> str:
        """A text; empty if the field is not set."""
        return str(self._value(name, str) or "")

    def required(self, name: str, expected: str) -> str:
        """A text that has to be there; `expected` says what it looks like."""
        text = self.text(name)
        if not text:
            raise self.error(name, "it is not set", expected)
        return text

    def flag(self, name: str) -> bool:
        """A boolean; false if the field is not set."""
        return bool(self._value(name, bool))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        items = self._value(name, list) or []
        if wrong := [item for item in items if not isinstance(item, str)]:
            raise self.error(name, f"found `{wrong[0]}`", "a list of texts")
        return tuple(items)

    def sections(self, name: str) -> list[Section]:
        """A list of mappings."""
        items = self._value(name, list) or []
        if wrong := [item for item in items if not isinstance(item, dict)]:
            raise self.error(name, f"found `{wrong[0]}`", "a list of mappings")
        return [Section(item, self.file, self._inside(f"{name}[{number}]")) for number, item in enumerate(items)]

    def section(self, name: str, where: str = "") -> Section | None:
        """A mapping; None if the field is not set. `where`: how messages call it."""
        value = self._value(name, dict)
        return None if value is None else Section(value, self.file, where or self._inside(name))

    def pem(self, name: str) -> Pem | None:
        """PEM data: of the field `<name>-data` in Base64, else of the file that `name` names."""
        if data := self.text(f"{name}-data"):
            return Pem(self._decoded(f"{name}-data", data), f"{self.file}: {self._inside(f'{name}-data')}")
        if not self.text(name):
            return None
        path = self.path(name)
        try:
            return Pem(path.read_bytes(), str(path))
        except OSError as error:
            raise self.error(name, f"`{path}`: {error.strerror}", "a PEM file that can be read") from error

    def path(self, name: str) -> Path:
        """A path; a relative one starts at the folder of the kubeconfig."""
        return self.file.parent / self.text(name)

    def error(self, name: str, problem: str, expected: str, advice: str = "") -> AccessError:
        """An error about a field."""
        return AccessError(
            f"kubeconfig `{self.file}`: {self._inside(name)}: {problem}; expected {expected}",
            advice=advice or _CORRECT,
        )

    def _decoded(self, name: str, data: str) -> bytes:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise self.error(name, str(error), "Base64 of a PEM file") from error

    def _value(self, name: str, kind: type) -> Any:
        value = self.fields.get(name)
        if value is not None and not isinstance(value, kind):
            raise self.error(name, f"found {_shown(name, value)}", _KINDS[kind])
        return value

    def _inside(self, name: str) -> str:
        return f"{self.where}: `{name}`" if self.where else f"`{name}`"


def _shown(name: str, value: Any) -> str:
    """A value as messages show it; only its type if it is, or may contain, a secret."""
    is_secret = name in _SECRET or isinstance(value, list | dict)
    return f"a value of type `{type(value).__name__}`" if is_secret else f"`{value}`"
