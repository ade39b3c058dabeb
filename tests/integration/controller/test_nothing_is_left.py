"""Leftovers of a killed operator or of a manual deletion are removed by the operator or by garbage collection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from dev.cluster import waiting
from e2e.tenant.tenant import phase_of
from tests.integration.controller import killing
from tests.integration.controller.conftest import left
from tests.integration.controller.killing import Death
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

WORDS = "id,text\n1,one\n2,two\n3,three\n"
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]},
}


def die(operator: OperatorProcess, folder: Path, death: Death) -> Any:
    """Start an operator that dies. `operator` has the same name and takes over."""
    environment = {
        **operator.environment,
        "COMPONENTRUN_OPERATOR_NAME": operator.name,
        "COMPONENTRUN_PORT": str(operator.port),
    }
    return killing.start(environment, folder, "first", death)


def gone(tenant: Tenant, name: str) -> None:
    waiting.until(lambda: left(tenant, name), what=f"the end of what {name} left", timeout=120)


class TestPodsThatNobodyWroteDown:
    """The operator died after it created the pods, so they wait for a Secret that nobody creates."""

    @pytest.fixture
    def name(self, tenant: Tenant, operator: OperatorProcess, submit: Any, tmp_path: Path) -> str:
        tenant.put_table("in.c-main.words", WORDS)
        first = die(operator, tmp_path, Death(1, before=False, of="POST pods"))
        name = str(submit("copy", **COPY))
        first.join(timeout=120)
        assert not first.is_alive()
        about = f"involvedObject.name={name}-1,reason=FailedMount"
        waiting.until(
            lambda: None if tenant.kubectl("get", "events", "--field-selector", about, "-o", "name").stdout else "none",
            what="the kubelet's complaint",
            timeout=120,
        )
        return name

    def test_one_that_is_deleted_before_anybody_saw_it_has_not_run_and_is_made_again(
        self, tenant: Tenant, operator: OperatorProcess, name: str
    ) -> None:
        (pod,) = tenant.pods(name)
        told = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
        assert all(container.state.waiting is not None for container in told)
        with PodsSeen(tenant) as seen:
            tenant.kubectl("delete", "pod", f"{name}-1")
            operator.start()
            status = tenant.wait(name)["status"]
            assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
            assert seen.of(name) == {pod.metadata.uid, status["attempts"][0]["podUID"]}
        assert tenant.table("out.c-main.words") == WORDS

    def test_one_that_is_found_is_given_its_secret_and_runs(
        self, tenant: Tenant, operator: OperatorProcess, name: str
    ) -> None:
        operator.start()
        status = tenant.wait(name)["status"]
        assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status

    def test_one_whose_run_is_deleted_goes_with_it(self, tenant: Tenant, name: str) -> None:
        tenant.kubectl("delete", "componentrun", name, "--wait=false")
        gone(tenant, name)


def test_a_secret_that_was_not_made_any_more_is_made_by_the_next_operator(
    tenant: Tenant, operator: OperatorProcess, submit: Any, tmp_path: Path
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    first = die(operator, tmp_path, Death(1, before=True, of="POST secrets"))
    name = submit("copy", **COPY)
    first.join(timeout=120)
    assert not first.is_alive()
    assert tenant.get(name)["status"]["attempts"]
    operator.start()
    status = tenant.wait(name)["status"]
    assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
    assert tenant.table("out.c-main.words") == WORDS


class TestRunsThatAreDeletedWithoutTheirDependents:
    """`kubectl delete --cascade=orphan`: garbage collection leaves the pod alone."""

    def test_while_they_run(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        operator.start()
        name = submit("sleep-for", "300")
        tenant.wait(name, lambda run: phase_of(run) == "Running")
        tenant.kubectl("delete", "componentrun", name, "--cascade=orphan")
        gone(tenant, name)

    def test_while_no_operator_is_there(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        operator.start()
        name = submit("sleep-for", "300")
        tenant.wait(name, lambda run: phase_of(run) == "Running")
        operator.kill()
        tenant.kubectl("delete", "componentrun", name, "--cascade=orphan")
        # An operator that is installed for all namespaces does not delete it either, because the run was not its own.
        assert len(tenant.pods(name)) == 1
        operator.start()
        gone(tenant, name)


class TestWhatGarbageCollectionDoes:
    def test_a_secret_whose_pod_never_came_goes(self, tenant: Tenant) -> None:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": "r-never-1", "uid": "6c2c0a4e-0000-4000-8000-000000000000"}
        labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.RUN_LABEL: "r-never"}
        metadata = {"name": "r-never-1", "labels": labels, "ownerReferences": [owner]}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"grant": "x"}}
        tenant.kubectl("create", "-f", "-", stdin=json.dumps(body))
        gone(tenant, "r-never")

    def test_a_network_policy_goes_with_its_storage(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        tenant.wait(submit("true"))
        assert policies(tenant)
        tenant.kubectl("delete", "storage.componentrun.dev", "main")
        waiting.until(lambda: policies(tenant) or None, what="the end of the policy", timeout=120)


def policies(tenant: Tenant) -> str:
    return tenant.kubectl("get", "networkpolicies", "-o", "name").stdout
