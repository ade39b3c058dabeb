"""`make demo`, as a person sees it the second time."""

from __future__ import annotations

import re
import subprocess
import sys

from dev.demo import data


def test_the_demo_ends_with_the_table_that_a_component_made() -> None:
    done = subprocess.run([sys.executable, "-m", "dev.demo"], capture_output=True, text=True, check=False, timeout=600)
    shown = done.stdout
    assert done.returncode == 0, shown + done.stderr
    assert "`in.c-nyc.flights` has 336,776 rows" in shown + done.stderr
    assert re.search(r"ComponentRun `delays-\w+` Succeeded", shown + done.stderr)
    assert re.search(r"EV +ExpressJet Airlines Inc\. +54173 +19\.96 +15\.80", shown)
    assert re.search(r"Hawaiian Airlines Inc\. +1301", shown), "the query over two Iceberg tables"
    assert "export KUBECONFIG=" in shown
    commands = [line.removeprefix("$ ") for line in shown.splitlines() if line.startswith("$ ")]
    assert "componentrun submit --file examples/delays-python/run.yaml --follow --namespace demo" in commands
    assert len([line for line in commands if line.startswith("componentrun table put")]) == len(data.tables())
    assert "already up" in shown + done.stderr, "no part of the cluster is started a second time"
