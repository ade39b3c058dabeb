"""Every query of the dashboard runs on a real Prometheus that scrapes the real operator and collector."""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dev.cluster.host import packages
from dev.cluster.host.ports import free_port
from dev.install import NAMESPACE, RELEASE
from e2e import tenant as tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection

DASHBOARD = Path(__file__).parents[2] / "dashboards" / "componentrun.json"
PARTS = ("operator", "collector")
VARIABLES = {"$__rate_interval": "30s", "$__range": "5m", "$component": ".*"}
SCRAPED_EVERY = 1.0


def panels() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in entries if panel["type"] != "row"]


def queries() -> list[Any]:
    """Each query as Grafana would send it, named after its panel."""
    parameters = []
    for panel in panels():
        for target in panel["targets"]:
            text = target["expr"]
            for variable, value in VARIABLES.items():
                text = text.replace(variable, value)
            parameters.append(pytest.param(text, id=f"{panel['title']} {target['refId']}"))
    return parameters


@dataclass(frozen=True)
class Prometheus:
    """A private Prometheus."""

    url: str
    begun: float

    def get(self, path: str, **parameters: Any) -> Any:
        request = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
            return json.load(answer)["data"]

    def numbers(self, query: str) -> list[float]:
        """Every value of a query from the start until now."""
        series_list = self.get("query_range", query=query, start=self.begun, end=time.time(), step=SCRAPED_EVERY)[
            "result"
        ]
        return [float(value) for series in series_list for _, value in series["values"]]

    def wait_for(self, query: str, least: float) -> None:
        """Wait until the query returns at least `least`."""
        deadline = time.monotonic() + 60
        while not any(float(series["value"][1]) >= least for series in self.get("query", query=query)["result"]):
            assert time.monotonic() < deadline, f"{query} did not reach {least}"
            time.sleep(SCRAPED_EVERY / 2)

    def wait_for_samples(self, more: int) -> None:
        """Wait for `more` new samples of each part. A scrape that times out produces none."""
        sample_count = "min(count_over_time(componentrun_build_info[1h]))"
        self.wait_for(sample_count, max(self.numbers(sample_count)) + more)


@contextmanager
def forwarded(connection: Connection, deployment: str) -> Iterator[int]:
    """Forward a local port to port 8080 of a pod."""
    command = [
        str(connection.bin_dir / "kubectl"), "--kubeconfig", str(connection.kubeconfig), "--namespace", NAMESPACE,
        "port-forward", f"deployment/{deployment}", ":8080",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert match, f"kubectl port-forward to {deployment} said: {line!r}; is the operator installed?"
            yield int(match[1])
        finally:
            process.terminate()


@contextmanager
def running(folder: Path, targets: dict[str, int]) -> Iterator[Prometheus]:
    """Debian's Prometheus, which scrapes these ports."""
    packages.install(["prometheus"], why="the dashboard's queries are put to it")
    port = free_port()
    jobs = [{"job_name": part, "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]} for part, at in targets.items()]
    config = folder / "prometheus.yml"
    every = f"{SCRAPED_EVERY:.0f}s"
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": every}, "scrape_configs": jobs}))
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Prometheus(f"http://127.0.0.1:{port}", time.time())
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def prometheus(
    connection: Connection, components: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that has samples of successful and failed runs."""
    with ExitStack() as stack:
        targets = {part: stack.enter_context(forwarded(connection, f"{RELEASE}-{part}")) for part in PARTS}
        server = stack.enter_context(running(tmp_path_factory.mktemp("prometheus"), targets))
        wait_until_it_answers(server)
        tenant = tenants.create(connection)
        stack.callback(tenant.delete)
        # Twice, because a counter's first sample is not an increase.
        for _ in range(2):
            ended_runs = "sum(componentrun_run_duration_seconds_count)"
            old_count = max(server.numbers(ended_runs), default=0)  # there is no series before the first run has ended
            names = [
                tenant.run(components, "rows", output={"defaultBucket": "out.c-main"}),
                tenant.run(components, "exit1"),
            ]
            for name in names:
                tenant.wait(name)
            server.wait_for(ended_runs, old_count + len(names))
            server.wait_for_samples(3)
        yield server


def wait_until_it_answers(server: Prometheus) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if len(server.get("query", query="componentrun_build_info")["result"]) == len(PARTS):
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "Prometheus scraped nothing within two minutes"
        time.sleep(SCRAPED_EVERY / 2)


@pytest.mark.parametrize("query", queries())
def test_every_query_finds_numbers(prometheus: Prometheus, query: str) -> None:
    numbers = prometheus.numbers(query)
    assert any(math.isfinite(number) for number in numbers), f"nothing but {numbers[:3]} for {query}"


def test_every_panel_says_what_it_shows() -> None:
    for panel in panels():
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]


def test_panels_do_not_overlap() -> None:
    used: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & used, panel["title"]
        used |= cells
