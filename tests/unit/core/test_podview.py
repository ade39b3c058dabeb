"""Reading a pod never fails, whatever the API server sends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api import names
from componentrun.core.pod.build import build_pod
from componentrun.core.pod.settings import PodSettings
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.core.podstatus.reading import read_pod
from componentrun.core.podstatus.stuck import next_look, stuck
from componentrun.core.request.resolve import resolve
from tests.unit.core.make import NOW, at, done_in, ended, facts, make_pod, make_run, running, started_status, waiting


def test_all_that_is_there_is_read() -> None:
    pod = make_pod(
        stage_in=done_in(),
        component=ended(137, "OOMKilled", "last words", signal=9),
        stage_out=running(1),
        deleted=(100, 600),
        conditions=[
            {"type": "PodScheduled", "status": "True"},
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"},
        ],
        reason="Evicted",
        message="why",
    )
    view = read_pod(pod)
    assert (view.name, view.uid, view.attempt, view.created, view.node) == ("daily-1", "pod-uid", 1, NOW, "node-a")
    assert (view.reason, view.message, view.disruption) == ("Evicted", "why", "EvictionByEvictionAPI")
    assert (view.deleted_at, view.deletion_grace_seconds) == (at(700), 600)
    assert (view.timeout_seconds, view.upload_seconds, view.scheduled) == (3600, 600, True)
    assert (view.component.exit_code, view.component.signal, view.component.message) == (137, 9, "last words")
    assert view.component.image_id == "registry.example.com/x@sha256:abc"
    assert view.stage_out.state == "running"


@pytest.mark.parametrize(
    ("condition", "scheduled", "words"),
    [
        (
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"},
            False,
            "0/1 nodes",
        ),
        ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}, False, "SchedulingGated"),
        ({"type": "PodScheduled", "status": "True"}, True, ""),
        ({"type": "Ready", "status": "False"}, False, ""),
    ],
)
def test_what_the_scheduler_says(condition: dict[str, Any], scheduled: bool, words: str) -> None:
    view = read_pod(make_pod(node="", conditions=[condition]))
    assert (view.scheduled, view.unschedulable) == (scheduled, words)


def test_the_message_of_an_agent_is_parsed_once_for_all_later_changes_of_its_pod() -> None:
    earlier = read_pod(make_pod(stage_in=done_in(), component=running(1)))
    later = read_pod(make_pod(stage_in=done_in(), component=ended(0)))
    assert earlier.stage_in_result is not None
    assert later.stage_in_result is earlier.stage_in_result


def test_a_disruption_that_was_averted_is_none() -> None:
    condition = {"type": "DisruptionTarget", "status": "False", "reason": "PreemptionByScheduler"}
    assert read_pod(make_pod(conditions=[condition])).disruption == ""


def test_a_container_without_a_state_waits() -> None:
    view = read_pod(make_pod(component={}))
    assert view.component.state == "waiting"


@pytest.mark.parametrize("grace", [63_918_504_008, -1, 1e300, float("inf"), "never"])
def test_a_span_that_nobody_means_is_not_there(grace: object) -> None:
    pod = make_pod(component=ended(0), deleted=(100, 600))
    pod["metadata"]["deletionGracePeriodSeconds"] = grace
    view = read_pod(pod)
    assert view.deletion_grace_seconds is None
    assert diagnose(facts(pod)).message


def test_a_time_so_far_away_that_nothing_can_be_added_is_not_there() -> None:
    pod = make_pod(component=running(1))
    pod["metadata"]["deletionTimestamp"] = "9999-12-31T23:59:59Z"
    assert not facts(pod, seconds=0).has_finished


def test_times_that_are_none_are_none() -> None:
    pod = make_pod(component=ended(137))
    pod["status"]["containerStatuses"][0]["state"]["terminated"] |= {
        "startedAt": None,
        "finishedAt": "0001-01-01T00:00:00Z",
    }
    view = read_pod(pod)
    assert (view.component.started_at, view.component.finished_at) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TERMINATED = "status/containerStatuses/0/state/terminated"
PATHS = [
    *("metadata", "status", "spec", "metadata/labels", "metadata/annotations", "metadata/creationTimestamp"),
    *("metadata/deletionTimestamp", "metadata/deletionGracePeriodSeconds", "status/phase", "status/conditions"),
    *("status/containerStatuses", "status/initContainerStatuses", "status/reason", "status/message"),
    *("status/containerStatuses/0", "status/containerStatuses/0/state", "status/initContainerStatuses/1/state"),
    *(TERMINATED, f"{TERMINATED}/exitCode", f"{TERMINATED}/finishedAt", f"{TERMINATED}/message"),
]


def put(document: Any, path: str, value: Any) -> None:
    """Put a value anywhere, where an earlier change has left such a place."""
    *parents, last = (int(part) if part.isdecimal() else part for part in path.split("/"))
    try:
        for part in parents:
            document = document[part]
        document[last] = value
    except (KeyError, IndexError, TypeError):
        return


@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON), max_size=3), st.booleans(), st.booleans())
def test_anything_at_all_can_be_read_and_judged(changes: list[tuple[str, Any]], gone: bool, early: bool) -> None:
    component = waiting() if early else ended(0)
    pod = make_pod(stage_in=done_in(), component=component, stage_out=running(), deleted=(3, 4), conditions=[{}])
    for path, value in changes:
        put(pod, path, value)
    seen = facts(pod, started_status(), seconds=5, gone=gone)
    assert diagnose(seen).message
    next_look(seen)
    stuck(seen)
    assert isinstance(seen.has_finished, bool)


class TestWhatIsFixedWhenThePodIsMade:
    @staticmethod
    def made() -> dict[str, Any]:
        effective = resolve(make_run(timeout="2h"), None, "lake")
        return build_pod(effective, make_run(timeout="2h"), 1, "agent:1", PodSettings(upload_seconds=700))

    @pytest.mark.parametrize("edited", [{}, {names.TIMEOUT_ANNOTATION: "1", names.UPLOAD_ANNOTATION: "1"}])
    def test_an_edited_annotation_changes_no_time(self, edited: dict[str, str]) -> None:
        pod = self.made()
        pod["metadata"]["annotations"] = edited
        view = read_pod(pod)
        assert (view.timeout_seconds, view.upload_seconds) == (7200, 700)

    def test_a_pod_of_an_earlier_release_has_only_its_annotations(self) -> None:
        pod = self.made()
        del pod["spec"]["initContainers"][0]["env"]
        assert read_pod(pod).timeout_seconds == 7200
