"""Links of all Markdown pages lead somewhere, and the tests and benchmarks that pages name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.registry import chosen

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.md"))
PAGES = [name for name in NAMES if not re.search(r"(^|/)[.]", name)]
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
TEST_FILE = re.compile(r"\b(?:(?:tests|e2e)/[\w/]+/)?test_\w+\.py\b")


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    anchors: set[str] = set()
    for heading in HEADING.findall(without_code):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        number = 0
        while (unique := f"{anchor}-{number}" if number else anchor) in anchors:
            number += 1
        anchors.add(unique)
    return anchors


def leads_nowhere(page: Path, path: str, anchor: str) -> bool:
    target = page.parent / path if path else page
    if not target.exists():
        return True
    return bool(anchor) and target.suffix == ".md" and anchor not in anchors_of(target.read_text())


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_an_anchor(name: str) -> None:
    page = ROOT / name
    links = LINK.findall(CODE.sub("", page.read_text()))
    assert [f"{path}#{anchor}" for path, anchor in links if leads_nowhere(page, path, anchor)] == []


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("docs/decisions/")])
def test_every_test_that_a_decision_record_names_exists(name: str) -> None:
    files = {path.relative_to(ROOT).as_posix() for folder in ("tests", "e2e") for path in (ROOT / folder).rglob("*.py")}
    known = files | {Path(file).name for file in files}
    assert sorted(set(TEST_FILE.findall((ROOT / name).read_text())) - known) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_benchmark_that_a_page_names_can_be_run(name: str) -> None:
    for benchmark in re.findall(r"ONLY=([\w.]*\w)", (ROOT / name).read_text()):
        assert benchmark == "name" or chosen(benchmark)
