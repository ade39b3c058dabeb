"""Runs and pods as the API server sends them."""

from __future__ import annotations

from typing import Any

from componentrun.api import names
from componentrun.collector.runs.facts import RunFacts, run_facts

UID = "0a1b2c3d-0000-4000-8000-000000000001"


def raw_run(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "team", "name": "clean", "uid": UID, "resourceVersion": "1"},
        "spec": {"component": "cleaner", "configuration": {"id": "c-1"}},
        "status": status,
    }


def a_run(**status: Any) -> RunFacts:
    return run_facts(raw_run(**status))


def ended_run(**status: Any) -> RunFacts:
    return a_run(**ENDED | status)


ENDED: dict[str, Any] = {
    "phase": "Succeeded",
    "result": "Success",
    "reason": "Succeeded",
    "message": "All is well",
    "startTime": "2026-11-24T07:00:00.000001Z",
    "completionTime": "2026-11-24T07:00:12.500001Z",
    "phases": [
        {"phase": "Queued", "startTime": "2026-11-24T06:59:59Z"},
        {"phase": "Running", "startTime": "2026-11-24T07:00:05.25Z"},
        {"phase": "Succeeded", "startTime": "2026-11-24T07:00:12.500001Z"},
    ],
}


def raw_pod(*statuses: dict[str, Any], phase: str = "Running", uid: str = "pod-uid") -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "team",
            "name": "clean-1",
            "uid": uid,
            "resourceVersion": "1",
            "labels": {names.RUN_LABEL: "clean", names.RUN_UID_LABEL: UID},
        },
        "spec": {"initContainers": [{"name": names.STAGE_OUT, "restartPolicy": "Always"}, {"name": names.STAGE_IN}]},
        "status": {"phase": phase, "containerStatuses": list(statuses)},
    }


def container(name: str, state: str, **details: Any) -> dict[str, Any]:
    found = {"name": name, "state": {state: details}, "restartCount": 0}
    return found | ({} if state == "waiting" else {"containerID": "containerd://4711"})
