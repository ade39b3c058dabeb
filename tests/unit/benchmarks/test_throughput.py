"""What the benchmark of many runs is made of, without a control plane."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
import yaml

from benchmarks import costs
from benchmarks.throughput import fakes
from benchmarks.throughput.load import Batch, Cost
from benchmarks.throughput.manifests import BATCH, JOB, KINDS, POD, RUN, Kind
from benchmarks.throughput.plane import free_ports
from benchmarks.throughput.runs import told
from componentrun.api.componentrun import ComponentRun

METRICS = """# HELP rest_client_requests_total Requests
rest_client_requests_total{code="200",host="a:1",method="PATCH"} 5.0
rest_client_requests_total{code="201",host="a:1",method="POST"} 2.0
rest_client_requests_total{code="200",host="a:1",method="GET"} 11.0
rest_client_requests_total_other{method="POST"} 100.0
workqueue_depth 3.0
"""


def test_samples_of_a_counter_are_added_up_where_their_labels_are_wanted() -> None:
    wanted = costs.counted(METRICS, "rest_client_requests_total", lambda labels: labels["method"] in {"PATCH", "POST"})
    assert wanted == 7
    assert costs.counted(METRICS, "workqueue_depth", lambda labels: not labels) == 3


def test_cpu_time_and_memory_of_a_process_are_read() -> None:
    begun = costs.cpu_seconds(os.getpid())
    ends = time.process_time() + 0.1
    while time.process_time() < ends:
        pass
    assert costs.cpu_seconds(os.getpid()) - begun >= 0.05
    assert 10 < costs.resident_mib(os.getpid()) <= costs.peak_mib(os.getpid())


def test_kwok_is_told_its_options_and_every_step_of_nodes_and_pods() -> None:
    documents = list(yaml.safe_load_all(fakes.kwok()))
    assert [item["kind"] for item in documents] == ["KwokConfiguration", *["Stage"] * 4]
    selector = documents[0]["options"]["manageNodesWithAnnotationSelector"]
    name, _, value = selector.partition("=")
    assert fakes.node(3)["metadata"]["annotations"][name] == value


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_the_name_and_the_batch_that_it_is_given(kind: Kind) -> None:
    body = kind.body("one", "batch")
    assert body["metadata"] == {"name": "one", "labels": {BATCH: "batch"}}


def test_the_bare_pod_and_the_jobs_are_those_that_the_operator_would_make() -> None:
    pod, job = POD.body("a", "b")["spec"], JOB.body("a", "b")["spec"]["template"]["spec"]
    assert pod == job
    assert [item["name"] for item in (*pod["initContainers"], *pod["containers"])] == [
        "stage-out",
        "stage-in",
        "component",
    ]


def test_the_run_is_one_that_the_operator_understands() -> None:
    body = RUN.body("one", "batch")
    body["metadata"] |= {"namespace": "n", "uid": "u"}
    assert ComponentRun.model_validate(body).spec.input.tables


def test_what_was_added_between_two_looks_is_shared_out_among_all() -> None:
    before = Cost({"operator": 1.0}, writes=10, own_writes=4, own_reads=0)
    after = Cost({"operator": 3.0, "kwok": 1.0}, writes=110, own_writes=74, own_reads=1)
    batch = Batch(10, 30.0, after.since(before))
    assert (batch.per_minute, batch.cpu_ms("operator"), batch.cpu_ms("kwok")) == (20, 200, 100)
    assert (batch.cost.writes, batch.cost.own_writes, batch.cost.own_reads) == (100, 70, 1)


def test_figures_have_the_unit_of_their_name_and_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.machine.describe", lambda: "machine")
    values = {"throughput.job.rate": [10.0], "throughput.run.rate": [12.0], "throughput.run.many.ready": [3.0]}
    found: dict[str, Any] = {item.name: item for item in told(values, {"throughput.run.rate": "throughput.job.rate"})}
    assert (found["throughput.run.rate"].unit, found["throughput.run.rate"].ratio) == ("1/min", 1.2)
    assert (found["throughput.run.many.ready"].unit, found["throughput.run.many.ready"].against) == ("s", None)


def test_ports_that_were_free_differ() -> None:
    assert len(set(free_ports(6))) == 6
