"""What the benchmark of many runs is made of, without a control plane."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
import yaml

from benchmarks.harness import usage
from benchmarks.throughput.control_plane import free_ports
from benchmarks.throughput.costs.audit_log import Write
from benchmarks.throughput.costs.figures import RUN_OWNER, batch_values, to_figures
from benchmarks.throughput.costs.measured import Batch, Cost
from benchmarks.throughput.manifests import BATCH, JOB, KINDS, POD, RUN, Kind
from benchmarks.throughput.many_runs import copies_needed
from benchmarks.throughput.simulation import kwok
from componentrun.api.componentrun import ComponentRun

METRICS = """# HELP rest_client_requests_total Requests
rest_client_requests_total{code="200",host="a:1",method="PATCH"} 5.0
rest_client_requests_total{code="201",host="a:1",method="POST"} 2.0
rest_client_requests_total{code="200",host="a:1",method="GET"} 11.0
rest_client_requests_total_other{method="POST"} 100.0
workqueue_depth 3.0
"""


def test_samples_of_a_counter_are_added_up_where_their_labels_are_wanted() -> None:
    wanted = usage.counted(METRICS, "rest_client_requests_total", lambda labels: labels["method"] in {"PATCH", "POST"})
    assert wanted == 7
    assert usage.counted(METRICS, "workqueue_depth", lambda labels: not labels) == 3


def test_cpu_time_and_memory_of_a_process_are_read() -> None:
    begun = usage.cpu_seconds(os.getpid())
    ends = time.process_time() + 0.1
    while time.process_time() < ends:
        pass
    assert usage.cpu_seconds(os.getpid()) - begun >= 0.05
    assert 10 < usage.resident_mib(os.getpid()) <= usage.peak_mib(os.getpid())


def test_the_configuration_of_kwok_has_its_options_and_all_stages() -> None:
    documents = list(yaml.safe_load_all(kwok.kwok()))
    assert [item["kind"] for item in documents] == ["KwokConfiguration", *["Stage"] * 10]
    selector = documents[0]["options"]["manageNodesWithAnnotationSelector"]
    name, _, value = selector.partition("=")
    assert kwok.node(3)["metadata"]["annotations"][name] == value


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


STATUS = Write("operator", "patch", "componentruns/status")
CREATE = Write("operator", "create", "pods")
KUBELET = Write("kwok", "patch", "pods/status")


def a_batch() -> Batch:
    before = Cost({"operator": 1.0, "kube-apiserver": 0.0}, {"operator": 80.0}, {STATUS: 4, CREATE: 1}, own_reads=0)
    after = Cost(
        {"operator": 3.0, "kube-apiserver": 0.5, "kwok": 1.0},
        {"operator": 90.0},
        {STATUS: 54, CREATE: 11, KUBELET: 70},
        own_reads=1,
    )
    return Batch(10, 30.0, after.since(before))


def test_the_difference_of_two_readings_is_divided_among_all_objects() -> None:
    batch = a_batch()
    assert (batch.per_minute, batch.cpu_ms("operator"), batch.cpu_ms("kwok")) == (20, 200, 100)
    assert (batch.writes(), batch.writes("operator"), batch.cost.own_reads) == (13, 6, 1)


def test_the_table_of_writes_has_a_line_for_each_client() -> None:
    assert a_batch().table() == [
        "kwok 7.00: patch pods/status 7.00",
        "operator 6.00: patch componentruns/status 5.00, create pods 1.00",
    ]


def test_the_figures_of_a_batch_have_each_kind_of_write_of_the_owner() -> None:
    values = batch_values("throughput.run", a_batch(), RUN_OWNER)
    assert (values["throughput.run.writes"], values["throughput.run.writes.all"]) == (6, 13)
    assert (values["throughput.run.writes.status"], values["throughput.run.writes.pods.create"]) == (5, 1)
    assert (values["throughput.run.writes.events"], values["throughput.run.writes.other"]) == (0, 0)
    assert values["throughput.run.memory.operator"] == 90


def test_figures_have_the_unit_of_their_name_and_their_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.report.machine.describe", lambda: "machine")
    values = {"throughput.job.rate": [10.0], "throughput.run.rate": [12.0], "throughput.run.many.ready": [3.0]}
    found: dict[str, Any] = {
        item.name: item for item in to_figures(values, {"throughput.run.rate": "throughput.job.rate"})
    }
    assert (found["throughput.run.rate"].unit, found["throughput.run.rate"].ratio) == ("1/min", 1.2)
    assert (found["throughput.run.many.ready"].unit, found["throughput.run.many.ready"].against) == ("s", None)


def test_ports_that_were_free_differ() -> None:
    assert len(set(free_ports(6))) == 6


@pytest.mark.parametrize(("scale", "finished", "copies"), [(1, 11_000, 0), (0.4, 4_400, 6_600), (0.02, 220, 0)])
def test_copies_make_up_the_number_of_finished_runs_unless_it_is_a_trial(
    scale: float, finished: int, copies: int
) -> None:
    assert copies_needed(scale, finished) == copies
