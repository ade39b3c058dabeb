"""The alerts fire when they must, and are silent else; told by Prometheus' own promtool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml

from componentrun.collector.metrics import SINK_OUTCOMES
from componentrun.errors import Reason
from componentrun.loader.metrics import OUTCOMES as LOADER_OUTCOMES
from componentrun.storage.store.connection import StoreOutcome
from dev.cluster.host import packages
from dev.install import chart

ALERTS = chart.CHART / "files" / "alerts.yaml"
CASES = Path(__file__).parent / "alerts.yaml"


@pytest.fixture(scope="session", autouse=True)
def promtool() -> None:
    packages.install(["prometheus"], why="promtool checks the alerts")


def test_each_alert_fires_when_it_must_and_only_then(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.read_text().replace("  - ALERTS\n", f"  - {ALERTS}\n"))
    done = subprocess.run(["promtool", "test", "rules", str(cases)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_in_a_case() -> None:
    alerts = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
    assert alerts == set(re.findall(r'alertname="(\w+)"', CASES.read_text()))


def test_reasons_in_alerts_are_reasons() -> None:
    patterns = re.findall(r'reason=~"([^"]+)"', ALERTS.read_text())
    assert patterns
    assert {word for pattern in patterns for word in pattern.split("|")} <= {str(reason) for reason in Reason}


def test_outcomes_in_alerts_are_what_requests_and_events_end_with() -> None:
    known = {
        "store_requests": set(get_args(StoreOutcome)),
        "sink_events": set(SINK_OUTCOMES),
        "loader_requests": set(LOADER_OUTCOMES),
    }
    found = re.findall(r'componentrun_(\w+?)_total\{[^}]*outcome=~?"([^"]+)"', ALERTS.read_text())
    assert {name for name, _ in found} == set(known)
    for name, pattern in found:
        assert set(pattern.split("|")) <= known[name]
