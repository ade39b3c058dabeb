"""Advice of errors is written in whole sentences: it follows the summary in a message, and stands alone elsewhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "operator" / "componentrun"
FILES = sorted(PACKAGE.rglob("*.py"))


def first_words(value: ast.expr) -> str:
    """The beginning of a literal text; empty if it begins with a value."""
    if isinstance(value, ast.JoinedStr):
        value = value.values[0]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def last_words(value: ast.expr) -> str:
    """The end of a literal text; empty if it ends with a value."""
    if isinstance(value, ast.JoinedStr):
        value = value.values[-1]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_advice_begins_and_ends_as_a_sentence_does(file: Path) -> None:
    keywords = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.keyword)]
    values = [item.value for item in keywords if item.arg == "advice"]
    texts = [(value.lineno, first_words(value), last_words(value)) for value in values]
    assert [(line, end) for line, _, end in texts if end and not end.endswith((".", "?", "!", ":"))] == []
    assert [(line, start) for line, start, _ in texts if start and start[0].islower()] == []
