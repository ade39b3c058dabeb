"""Label selectors and field selectors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tests.fakekube.refusals import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakekube.kinds import Kind

_KEY: Final = r"[A-Za-z0-9][\w./-]*"
_SET: Final = re.compile(rf"^({_KEY})\s+(in|notin)\s+\(([^)]*)\)$")
_EQUALITY: Final = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*([\w.-]*)$")
_EXISTS: Final = re.compile(rf"^(!?)\s*({_KEY})$")
_COMMA_OUTSIDE_PARENTHESES: Final = re.compile(r",(?![^(]*\))")
_ALWAYS_SELECTABLE: Final = ("metadata.name", "metadata.namespace")


def label_predicate(selector: str) -> Callable[[Mapping[str, str]], bool]:
    """Whether labels fit a selector such as `a=b,c!=d,e in (f, g),h,!i`.

    Raises:
        Refused: it can't be parsed.
    """
    tests = [_requirement(part.strip()) for part in _COMMA_OUTSIDE_PARENTHESES.split(selector)] if selector else []
    return lambda labels: all(test(labels) for test in tests)


def _requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(text):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(text):
        key, operator, wanted = found[1], found[2], found[3]
        if operator == "!=":
            return lambda labels: labels.get(key) != wanted
        return lambda labels: labels.get(key) == wanted
    if found := _EXISTS.match(text):
        key = found[2]
        return (lambda labels: key not in labels) if found[1] else (lambda labels: key in labels)
    raise bad_request(f"unable to parse requirement: {text!r}")


def field_predicate(selector: str, kind: Kind) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an object fits a selector such as `status.phase!=Running`.

    Raises:
        Refused: the kind can't be selected by one of the fields, or the selector can't be parsed.
    """
    tests: list[Callable[[Mapping[str, Any]], bool]] = []
    for part in selector.split(",") if selector else ():
        found = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", part)
        if found is None:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        path, operator, wanted = found[1], found[2], found[3]
        if path not in (*_ALWAYS_SELECTABLE, *kind.fields):
            raise bad_request(f"field label not supported: {path}")
        tests.append(_field_test(path, wanted, is_equal=operator != "!="))
    return lambda obj: all(test(obj) for test in tests)


def _field_test(path: str, wanted: str, *, is_equal: bool) -> Callable[[Mapping[str, Any]], bool]:
    def test(obj: Mapping[str, Any]) -> bool:
        value: Any = obj
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return (("" if value is None else str(value)) == wanted) is is_equal

    return test


def predicate(labels: str, fields: str, kind: Kind) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an object fits both selectors."""
    by_labels, by_fields = label_predicate(labels), field_predicate(fields, kind)
    return lambda obj: by_labels(obj["metadata"].get("labels") or {}) and by_fields(obj)
