"""A second `make demo`, as a user sees it."""

from __future__ import annotations

import re
import subprocess
import sys

from dev.demo import data


def test_the_demo_ends_with_the_table_that_a_component_made() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "dev.demo"], capture_output=True, text=True, check=False, timeout=600
    )
    output = process.stdout
    assert process.returncode == 0, output + process.stderr
    assert "`in.c-nyc.flights` has 336,776 rows" in output + process.stderr
    assert re.search(r"ComponentRun `delays-\w+` Succeeded", output + process.stderr)
    assert re.search(r"EV +ExpressJet Airlines Inc\. +54173 +19\.96 +15\.80", output)
    assert re.search(r"Hawaiian Airlines Inc\. +1301", output), "the query over two Iceberg tables"
    assert "export KUBECONFIG=" in output
    commands = [line.removeprefix("$ ") for line in output.splitlines() if line.startswith("$ ")]
    assert "componentrun submit --file examples/delays-python/run.yaml --follow --namespace demo" in commands
    assert len([line for line in commands if line.startswith("componentrun table put")]) == len(data.tables())
    assert "already up" in output + process.stderr, "no part of the cluster is started a second time"
