"""`python -m e2e.generate`: writes the CRDs, the reference pages, the chart's copies, the benchmarks page."""

from __future__ import annotations

from pathlib import Path

from benchmarks import page
from componentrun.api import crd
from componentrun.cli import reference
from componentrun.core.reasons import reasons_page
from e2e.install import chart

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Write everything; the chart last, because it copies the CRDs."""
    crd.write(ROOT / "crds")
    (ROOT / "docs/reference/reasons.md").write_text(reasons_page(), encoding="utf-8")
    reference.write(ROOT / reference.FILE)
    chart.write()
    page.write()


if __name__ == "__main__":
    main()
