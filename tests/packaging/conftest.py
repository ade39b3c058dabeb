"""The chart for all tests of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dev.cluster.build import builds
from tests.packaging.charts import Chart


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a module in one process, because they share images and rendered charts."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(scope="session")
def helm() -> str:
    return shutil.which("helm") or str(builds.build(["helm"]) / "helm")


@pytest.fixture(scope="session")
def rendered(helm: str) -> Chart:
    return Chart(helm)
