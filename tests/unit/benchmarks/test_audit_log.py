"""Writes are counted in the API server's audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.throughput.costs.audit_log import AuditLog, Write, policy, to_write

if TYPE_CHECKING:
    from pathlib import Path


def an_event(user: str = "admin", agent: str = "kwok/v0.8.0 (linux/amd64)", **changes: Any) -> dict[str, Any]:
    return {
        "verb": "patch",
        "user": {"username": user},
        "userAgent": agent,
        "objectRef": {"resource": "pods", "subresource": "status", "namespace": "n", "name": "p"},
        "responseStatus": {"code": 200},
        **changes,
    }


@pytest.mark.parametrize(
    ("user", "agent", "client"),
    [
        ("system:serviceaccount:throughput:operator", "componentrun", "operator"),
        ("system:serviceaccount:kube-system:job-controller", "kube-controller-manager/v1", "job-controller"),
        ("system:kube-scheduler", "kube-scheduler/v1.35.4", "kube-scheduler"),
        ("admin", "kwok/v0.8.0 (linux/amd64)", "kwok"),
        ("admin", "benchmark", "benchmark"),
    ],
)
def test_a_client_is_named_by_its_user_or_by_its_user_agent(user: str, agent: str, client: str) -> None:
    assert to_write(an_event(user, agent)) == Write(client, "patch", "pods/status")


def test_a_write_without_a_subresource_has_the_name_of_the_resource() -> None:
    assert to_write(an_event(verb="create", objectRef={"resource": "pods"})) == Write("kwok", "create", "pods")


def test_a_refused_write_is_a_kind_of_its_own() -> None:
    write = to_write(an_event(responseStatus={"code": 409}))
    assert (write.status, str(write)) == (409, "patch pods/status (409)")


def test_writes_are_counted_once_while_the_log_grows(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    log = AuditLog(file)
    assert log.counts() == {}
    line = json.dumps(an_event())
    file.write_text(f"{line}\n{line}\n{line[:20]}")
    write = Write("kwok", "patch", "pods/status")
    assert log.counts() == {write: 2}
    with file.open("a") as stream:
        stream.write(f"{line[20:]}\n")
    assert log.counts() == {write: 3}


def test_the_policy_logs_writes_and_no_reads() -> None:
    rules = json.loads(policy())["rules"]
    assert rules[0] == {"level": "None", "verbs": ["get", "list", "watch"]}
    assert rules[-1] == {"level": "Metadata"}
