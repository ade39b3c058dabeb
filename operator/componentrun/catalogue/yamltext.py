"""YAML as Kubernetes' own tools read it, so that a file means the same to `submit` and to `kubectl create`.

Plain dates and times stay the texts that they are (`2026-01-31`, `12:30:00`), and `1e3` is a number. PyYAML would make
objects of dates, and 45000 of half past twelve.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RepeatedKeyError", "documents", "many_documents"]


class RepeatedKeyError(ValueError):
    """An object has a key twice."""


_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?(0b[0-1_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z")
_NUMBER: Final = re.compile(
    r"([-+]?(\.[0-9]+|(0|[1-9][0-9_]*)(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"
)


def documents(text: str) -> Iterator[Any]:
    """The documents in a text, lazily.

    Raises:
        yaml.YAMLError: it is no YAML.
        RepeatedKeyError: an object has a key twice, of which one would be lost.
    """
    import yaml  # noqa: PLC0415 - takes a while to load and only files need it

    yield from yaml.load_all(text, Loader=_loader(yaml.SafeLoader))


def many_documents(text: str) -> list[Any]:
    """The documents in a text, for texts of megabytes: the parser in C is 15 times as fast.

    It refuses some texts that are YAML, such as `{"a":}`. Those are read by `documents`.

    Raises:
        yaml.YAMLError: it is no YAML.
        RepeatedKeyError: an object has a key twice, of which one would be lost.
    """
    import yaml  # noqa: PLC0415 - likewise

    if yaml.__with_libyaml__:
        try:
            return list(yaml.load_all(text, Loader=_loader(yaml.CSafeLoader)))
        except yaml.YAMLError:
            pass  # The other parser decides, and its message is better.
    return list(documents(text))


@functools.cache
def _loader(base: Any) -> Any:
    import yaml  # noqa: PLC0415 - likewise

    class Loader(base):  # type: ignore[misc]  # either of two parsers
        """Dates stay text, and every key of an object is kept."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
            """The object; called by PyYAML."""
            _check_keys(node)
            return super().construct_mapping(node, deep=deep)

    replaced_tags = {f"{_TAG}{kind}" for kind in ("timestamp", "int", "float")}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in replaced_tags]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(f"{_TAG}int", _INTEGER, list("-+0123456789"))
    Loader.add_implicit_resolver(f"{_TAG}float", _NUMBER, list("-+0123456789."))
    return Loader


def _check_keys(node: Any) -> None:
    names = set()
    for key, _ in node.value:
        name = (key.tag, key.value) if isinstance(key.value, str) else None
        if name in names:
            raise RepeatedKeyError(
                f"line {key.start_mark.line + 1}: it has the key `{key.value[:100]}` twice in one object; expected "
                "each key once"
            )
        if name is not None:
            names.add(name)
