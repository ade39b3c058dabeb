"""The chart for all tests of it."""

from __future__ import annotations

import shutil

import pytest

from dev.cluster.build import builds
from tests.packaging.charts import Chart


@pytest.fixture(scope="session")
def helm() -> str:
    return shutil.which("helm") or str(builds.build(["helm"]) / "helm")


@pytest.fixture(scope="session")
def rendered(helm: str) -> Chart:
    return Chart(helm)
