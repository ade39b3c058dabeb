"""Manual edits of pods and values from another release, on the real API server, never cause a wrong verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from dev.cluster import waiting
from e2e.tenant.holding import UNTIL_TOLD, let_go

if TYPE_CHECKING:
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

GROUP = {"concurrency": {"group": "one-at-a-time"}}


def labels_of(tenant: Tenant, pod: str) -> dict[str, str]:
    return dict(json.loads(tenant.kubectl("get", "pod", pod, "-o", "jsonpath={.metadata.labels}").stdout))


def patch_labels(tenant: Tenant, pod: str, labels: dict[str, Any]) -> None:
    tenant.kubectl("patch", "pod", pod, "--type=merge", "-p", json.dumps({"metadata": {"labels": labels}}))


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    "labels",
    [
        {names.MANAGED_BY_LABEL: None},
        {names.RUN_LABEL: None, names.RUN_UID_LABEL: "another", names.ATTEMPT_LABEL: "7"},
    ],
    ids=["managed-by", "the others"],
)
def test_a_pod_whose_labels_are_edited_gets_them_back_and_the_next_of_its_group_waits(
    tenant: Tenant, operator: OperatorProcess, submit: Any, labels: dict[str, Any], restarted: bool
) -> None:
    operator.start()
    first = submit("sh", "-c", UNTIL_TOLD, **GROUP)
    tenant.wait(first, lambda run: run.get("status", {}).get("phase") == "Running")
    second = submit("true", **GROUP)
    tenant.wait(second, lambda run: run.get("status", {}).get("phase") == "Queued")
    before = labels_of(tenant, f"{first}-1")
    if restarted:
        operator.kill()
    patch_labels(tenant, f"{first}-1", labels)
    if restarted:
        operator.start()
    waiting.until(
        lambda: None if labels_of(tenant, f"{first}-1") == before else "not given back",
        what=f"the labels of {first}-1",
        timeout=120,
    )
    assert tenant.get(first)["status"]["phase"] == "Running"
    assert tenant.get(second)["status"]["phase"] == "Queued"
    let_go(tenant, first)
    for name in (first, second):
        assert tenant.wait(name)["status"]["phase"] == "Succeeded"


def test_a_storage_that_this_release_can_not_read_has_its_run_wait_and_say_so(
    tenant: Tenant, operator: OperatorProcess, submit: Any
) -> None:
    """A value that the installed CRD accepts and the models reject: only one of them treats U+00A0 as a space."""
    tenant.apply("Storage", "newer", {"bucket": "newer", "endpoint": "http://store\u00a0.test"})
    operator.start()
    name = submit("true", storage="newer")
    refused = tenant.wait(name, lambda run: bool(run.get("status", {}).get("conditions")))["status"]
    assert "phase" not in refused
    (condition,) = refused["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Accepted", "False", "UnsupportedValue")
    assert "Storage `newer` can't be read by this release" in condition["message"]
    assert tenant.wait(submit("true"))["status"]["phase"] == "Succeeded"
    tenant.kubectl("delete", "storage", "newer")
    ended = tenant.wait(name)["status"]
    assert (ended["phase"], ended["reason"]) == ("Failed", "StorageNotFound")
