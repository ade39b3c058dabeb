"""Whether the holder of a Lease has certainly ended, by what the API server says about its pod."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.lease.holder import CONTAINER, HolderPod, has_ended

HOLDER = HolderPod("componentrun-operator-7d9-abcde", "5f0c7d1e-0000-4000-8000-000000000001")
ACQUIRED = "2026-12-01T09:00:00.250000Z"
BEFORE, SAME_SECOND, AFTER = "2026-12-01T08:59:59Z", "2026-12-01T09:00:00Z", "2026-12-01T09:00:01Z"


def pod(
    state: dict[str, Any] | None = None, last: dict[str, Any] | None = None, *, name: str = CONTAINER, **changed: Any
) -> dict[str, Any]:
    status = {"name": name, "state": state or {"running": {"startedAt": BEFORE}}, "lastState": last or {}}
    whole = {"metadata": {"uid": HOLDER.uid}, "status": {"phase": "Running", "containerStatuses": [status]}}
    return {**whole, **changed}


CERTAIN: dict[str, dict[str, Any] | None] = {
    "its pod does not exist": None,
    "another pod has its name": pod(metadata={"uid": "another"}),
    "its pod failed": pod(status={"phase": "Failed"}),
    "its pod succeeded": pod(status={"phase": "Succeeded"}),
    "its container has ended": pod({"terminated": {"startedAt": BEFORE, "finishedAt": AFTER}}),
    "its container waits to be restarted": pod(
        {"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {"finishedAt": AFTER}}
    ),
    "its container was restarted": pod({"running": {"startedAt": AFTER}}, {"terminated": {"finishedAt": SAME_SECOND}}),
}
UNCERTAIN: dict[str, dict[str, Any]] = {
    "its container runs": pod(),
    "the container before it ended": pod(last={"terminated": {"finishedAt": BEFORE}}),
    "the container before it may have ended in the same second": pod(last={"terminated": {"finishedAt": SAME_SECOND}}),
    "its container may have started in the same second": pod({"running": {"startedAt": SAME_SECOND}}),
    "another container of its pod ended": pod({"terminated": {"finishedAt": AFTER}}, name="proxy"),
    "its pod is being deleted": pod(metadata={"uid": HOLDER.uid, "deletionTimestamp": AFTER}),
    "its pod has no statuses": pod(status={"phase": "Running"}),
    "its node does not report": pod(status={"phase": "Unknown"}),
    "times have no zone": pod({"terminated": {"finishedAt": "2030-01-01T00:00:00"}}),
}


@pytest.mark.parametrize("found", CERTAIN.values(), ids=list(CERTAIN))
def test_the_holder_has_ended_if(found: dict[str, Any] | None) -> None:
    assert has_ended(HOLDER, ACQUIRED, found)


@pytest.mark.parametrize("found", UNCERTAIN.values(), ids=list(UNCERTAIN))
def test_nothing_is_certain_if(found: dict[str, Any]) -> None:
    assert not has_ended(HOLDER, ACQUIRED, found)


@pytest.mark.parametrize("acquired", ["", "soon", "2026-12-01T09:00:00"])
def test_without_the_time_of_acquisition_only_the_pod_counts(acquired: str) -> None:
    assert not has_ended(HOLDER, acquired, pod({"terminated": {"finishedAt": AFTER}}))
    assert has_ended(HOLDER, acquired, None)


def test_an_identity_names_its_pod() -> None:
    assert HolderPod.of(HOLDER.identity("1a2b3c4d")) == HOLDER


@pytest.mark.parametrize("identity", ["", "operator-0-1-1a2b3c4d", "host_name-1-1a2b3c4d", "a__c", "a_b_c_d"])
def test_an_identity_of_another_form_names_no_pod(identity: str) -> None:
    assert HolderPod.of(identity) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([BEFORE, AFTER, "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["state", "running", "name"]), inner),
)


@given(status=st.dictionaries(st.sampled_from(["phase", "containerStatuses"]), JSON))
def test_a_status_of_any_shape_is_read(status: dict[str, Any]) -> None:
    assert not has_ended(HOLDER, ACQUIRED, pod(status=status))
