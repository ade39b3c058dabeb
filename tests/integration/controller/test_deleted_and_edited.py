"""Users delete and edit an active run and the objects that it refers to."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import kubernetes.client
import pytest

from dev.cluster import waiting
from e2e.tenant.holding import UNTIL_TOLD, let_go
from e2e.tenant.tenant import phase_of
from tests.integration.controller import killing
from tests.integration.controller.conftest import has_been, left
from tests.integration.controller.killing import Death

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

WORDS = "id,text\n1,one\n2,two\n3,three\n"
TABLES = ("out.c-main.first", "out.c-main.second")
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": table} for table in TABLES]},
}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "full"},
    "spec": {"hard": {"pods": "1"}},
}


def until(tenant: Tenant, name: str, phase: str) -> None:
    tenant.wait(name, lambda run: phase_of(run) == phase)


def _no_quota(tenant: Tenant) -> str | None:
    """None when the quota is in effect."""
    counted = tenant.kubectl("get", "resourcequota", "full", "-o", "jsonpath={.status.hard}").stdout
    return None if "pods" in counted else "not counted yet"


def delete(tenant: Tenant, name: str) -> None:
    tenant.kubectl("delete", "componentrun", name, "--wait=false")


def nothing_is_left(tenant: Tenant, name: str) -> None:
    waiting.until(lambda: left(tenant, name), what=f"the end of what {name} left", timeout=120)


class TestDeleted:
    def test_while_it_is_queued(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        tenant.kubectl("apply", "-f", "-", stdin=json.dumps(QUOTA))
        waiting.until(lambda: _no_quota(tenant), what="the quota", timeout=30)
        operator.start()
        until(tenant, submit("sleep-for", "300"), "Running")
        name = submit("true")
        until(tenant, name, "Queued")
        delete(tenant, name)
        nothing_is_left(tenant, name)

    def test_while_it_runs_and_nothing_is_published(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        name = submit("sleep-for", "300", output={"tables": [{"source": "x.csv", "destination": TABLES[0]}]})
        until(tenant, name, "Running")
        delete(tenant, name)
        nothing_is_left(tenant, name)
        assert tenant.table(TABLES[0]) is None

    @pytest.mark.parametrize("phase", ["StagingIn", "StagingOut"])
    def test_while_something_is_brought(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any, phase: str
    ) -> None:
        """Or a moment later, because the phase is so short."""
        tenant.put_table("in.c-main.words", WORDS)
        operator.start()
        name = submit("copy", **COPY)
        tenant.wait(name, partial(has_been, phase))
        delete(tenant, name)
        nothing_is_left(tenant, name)
        assert operator.terminate()[0] == 0  # it completes a publication that has begun
        first, second = (tenant.table(table) for table in TABLES)
        assert first == second

    def test_while_nobody_was_there(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        operator.start()
        name = submit("sleep-for", "300")
        until(tenant, name, "Running")
        operator.kill()
        delete(tenant, name)
        nothing_is_left(tenant, name)
        operator.start()
        assert tenant.wait(submit("true"))["status"]["phase"] == "Succeeded"

    def test_while_its_tables_were_published_and_nobody_knew(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any, tmp_path: Path
    ) -> None:
        """The operator was killed before the loader's answer arrived. All tables exist, as after any run."""
        tenant.put_table("in.c-main.words", WORDS)
        environment = {
            **operator.environment,
            "COMPONENTRUN_OPERATOR_NAME": operator.name,
            "COMPONENTRUN_PORT": str(operator.port),
        }
        first = killing.start(environment, tmp_path, "first", Death(1, before=False, of="load"))
        name = submit("copy", **COPY)
        first.join(timeout=120)
        assert not first.is_alive()
        delete(tenant, name)
        operator.start()
        nothing_is_left(tenant, name)
        assert [tenant.table(table) for table in TABLES] == [WORDS, WORDS]


class TestEdited:
    def test_what_a_run_is_about_can_not_be_changed(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        name = submit("sh", "-c", UNTIL_TOLD)
        until(tenant, name, "Running")
        for spec in ({"image": "other:1"}, {"args": ["true"]}, {"timeout": "1s"}):
            with pytest.raises(kubernetes.client.ApiException, match="422"):
                tenant.patch(name, spec)
        let_go(tenant, name)
        assert tenant.wait(name)["status"]["phase"] == "Succeeded"

    def test_its_time_to_live_may_be_changed_at_any_time(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        name = submit("true", ttlAfterFinished="1h")
        tenant.wait(name)
        tenant.patch(name, {"ttlAfterFinished": "1s"})
        nothing_is_left(tenant, name)


class TestWhatItRefersTo:
    @pytest.mark.parametrize("change", ["deleted", "changed"])
    def test_a_component_that_changes_meanwhile_is_the_next_runs(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any, images: dict[str, str], change: str
    ) -> None:
        image, _, tag = images["test-components"].rpartition(":")
        tenant.apply("Component", "sleeper", {"image": image, "tag": tag, "args": ["sh", "-c", UNTIL_TOLD]})
        operator.start()
        name = submit(image=None, args=None, component="sleeper")
        until(tenant, name, "Running")
        if change == "deleted":
            tenant.kubectl("delete", "component", "sleeper")
        else:
            tenant.kubectl("patch", "component", "sleeper", "--type=merge", "-p", '{"spec": {"tag": "none"}}')
        let_go(tenant, name)
        status = tenant.wait(name)["status"]
        assert status["phase"] == "Succeeded", status

    def test_a_secret_that_is_missing_is_named(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        operator.start()
        status = tenant.wait(submit("true", configuration=_secret("db")))["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "SecretNotFound")
        assert "db" in status["message"]

    @pytest.mark.parametrize("change", ["deleted", "changed"])
    def test_a_secret_that_changes_meanwhile_is_the_next_runs(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any, change: str
    ) -> None:
        tenant.secret("db", {"password": "s3cr3t-at-the-start"})
        operator.start()
        name = submit("sh", "-c", UNTIL_TOLD, configuration=_secret("db"))
        until(tenant, name, "Running")
        tenant.kubectl("delete", "secret", "db")
        if change == "changed":
            tenant.secret("db", {"password": "s3cr3t-of-later"})
        let_go(tenant, name)
        status = tenant.wait(name)["status"]
        assert status["phase"] == "Succeeded", status

    def test_keys_of_the_storage_that_are_deleted_meanwhile_end_the_run_with_a_reason(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start(COMPONENTRUN_START_RETRY_SECONDS="3", COMPONENTRUN_PUBLISH_RETRY_SECONDS="3")
        table = {"source": "x.csv", "destination": TABLES[0]}
        command = f"{UNTIL_TOLD}; printf 'a\\n1\\n' > /data/out/tables/x.csv"
        name = submit("sh", "-c", command, output={"tables": [table]})
        until(tenant, name, "Running")
        tenant.kubectl("delete", "secret", "store-keys")
        let_go(tenant, name)
        status = tenant.wait(name)["status"]
        assert status["phase"] == "Failed", status
        assert "store-keys" in status["message"], status


def _secret(name: str) -> dict[str, Any]:
    return {"id": "c1", "secrets": [{"path": "#password", "secretKeyRef": {"name": name, "key": "password"}}]}
