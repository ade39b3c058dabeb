"""The operator as a process on the real cluster: runs end, whatever happens to the operator meanwhile."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

from e2e.tenant.holding import UNTIL_TOLD, let_go

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.faults.wire import Wire
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

WORDS = "id,text\n1,one\n2,two\n3,three\n"
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]},
}


def status_of(run: dict[str, Any]) -> dict[str, Any]:
    return dict(run["status"])


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.2)


class TestOneRun:
    def test_a_table_goes_in_and_comes_out(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        tenant.put_table("in.c-main.words", WORDS)
        operator.start()
        status = status_of(tenant.wait(submit("copy", **COPY)))
        assert (status["phase"], status["reason"], status["exitCode"]) == ("Succeeded", "Succeeded", 0), status
        assert tenant.table("out.c-main.words") == WORDS

    def test_runs_that_were_created_before_it_are_found(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        name = submit("true")
        operator.start()
        assert status_of(tenant.wait(name))["phase"] == "Succeeded"

    def test_parameters_that_are_too_deep_end_their_run_and_keep_no_other_one_waiting(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        parameters: dict[str, Any] = {}
        for _ in range(200):
            parameters = {"deeper": parameters}
        deep = {"parameters": parameters}
        listed = submit("true", configuration=deep)
        operator.start()
        operator.wait_ready()
        watched, other = submit("true", configuration=deep), submit("true")
        for name in (listed, watched):
            status = status_of(tenant.wait(name))
            assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec"), status
            assert "spec.configuration.parameters: nested more than 150 levels deep" in status["message"]
        assert status_of(tenant.wait(other))["phase"] == "Succeeded"

    def test_secret_values_stay_out_of_status_log_and_events(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        tenant.secret("db", {"password": "s3cr3t-of-the-database"})
        operator.start(COMPONENTRUN_LOG_LEVEL="DEBUG")
        reference = {"path": "#password", "secretKeyRef": {"name": "db", "key": "password"}}
        name = submit("exit1", configuration={"id": "c1", "secrets": [reference]})
        run = tenant.wait(name)
        assert status_of(run)["reason"] == "UserError"
        told = json.dumps(run) + operator.log.read_text() + tenant.kubectl("get", "events", "-o", "json").stdout
        assert "s3cr3t-of-the-database" not in told
        assert "X-Amz-Signature" not in told

    def test_a_deleted_pod_ends_the_run(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        operator.start()
        name = submit("sleep-for", "60")
        tenant.wait(name, lambda run: run.get("status", {}).get("phase") == "Running")
        tenant.kubectl("delete", "pod", f"{name}-1", "--grace-period=1", "--wait=false")
        status = status_of(tenant.wait(name))
        assert (status["phase"], status["reason"]) == ("Failed", "PodDeleted"), status

    def test_a_policy_that_somebody_deleted_is_made_again(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        tenant.wait(submit("true"))
        tenant.kubectl("delete", "networkpolicy", "--all")
        operator.kill()
        operator.start()
        tenant.wait(submit("true"))
        assert tenant.kubectl("get", "networkpolicy", "-o", "name").stdout.count("networkpolicy") == 1


class TestRestarts:
    def test_kill_9_at_random_moments_loses_and_doubles_nothing(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        tenant.put_table("in.c-main.words", WORDS)
        seed = random.randrange(1000)  # noqa: S311 - any moment will do
        chance = random.Random(seed)  # noqa: S311 - likewise
        names = [submit("copy", **COPY) for _ in range(4)] + [submit("exit1"), submit("sleep-for", "3")]
        for _ in range(12):
            operator.start()
            time.sleep(chance.uniform(1.2, 3.5))
            operator.kill()
        operator.start()
        ended = [status_of(tenant.wait(name)) for name in names]
        assert [status["reason"] for status in ended] == ["Succeeded"] * 4 + ["UserError", "Succeeded"], (seed, ended)
        assert all(len(status["attempts"]) == 1 for status in ended), seed
        table = tenant.table("out.c-main.words")
        assert table is not None
        assert len(table.splitlines()) == 1 + 4 * 3, (seed, table)

    def test_pods_and_secrets_of_ended_runs_are_gone_in_the_end(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        tenant.wait(submit("true"))
        operator.kill()
        operator.start()
        eventually(lambda: not tenant.kubectl("get", "pods", "-o", "name").stdout)
        eventually(lambda: "secret/r-" not in tenant.kubectl("get", "secrets", "-o", "name").stdout)

    def test_a_terminated_one_ends_while_runs_go_on_and_another_goes_on(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        name = submit("sh", "-c", UNTIL_TOLD)
        tenant.wait(name, lambda run: run.get("status", {}).get("phase") == "Running")
        assert operator.terminate()[0] == 0
        assert "in the middle of a run" not in operator.log.read_text()
        let_go(tenant, name)
        operator.start()
        assert status_of(tenant.wait(name))["phase"] == "Succeeded"


class TestOutages:
    def test_runs_go_on_when_the_api_server_comes_back(
        self, tenant: Tenant, wire: Wire, operator: OperatorProcess, submit: Any
    ) -> None:
        """The operator detects changes made meanwhile: pods that ended, a deleted pod, a new run."""
        operator.start()
        ends_meanwhile, deleted = submit("sh", "-c", UNTIL_TOLD), submit("sleep-for", "300")
        for name in (ends_meanwhile, deleted):
            tenant.wait(name, lambda run: run.get("status", {}).get("phase") == "Running")
        wire.cut()
        created = submit("true")
        let_go(tenant, ends_meanwhile)
        tenant.kubectl("delete", "pod", f"{deleted}-1", "--grace-period=1", "--wait=true")
        eventually(lambda: tenant.pods(ends_meanwhile)[0].status.phase == "Succeeded")
        time.sleep(12)
        wire.mend()
        assert status_of(tenant.wait(ends_meanwhile))["phase"] == "Succeeded"
        assert status_of(tenant.wait(created))["phase"] == "Succeeded"
        assert status_of(tenant.wait(deleted))["reason"] == "PodDeleted"
        operator.wait_ready()

    def test_short_cuts_at_random_moments_do_no_harm(
        self, tenant: Tenant, wire: Wire, operator: OperatorProcess, submit: Any
    ) -> None:
        tenant.put_table("in.c-main.words", WORDS)
        operator.start()
        names = [submit("copy", **COPY) for _ in range(4)]
        for _ in range(12):
            time.sleep(random.uniform(0.1, 1))  # noqa: S311 - any moment will do
            wire.cut()
            time.sleep(random.uniform(0.05, 0.8))  # noqa: S311 - likewise
            wire.mend()
        assert [status_of(tenant.wait(name))["phase"] for name in names] == ["Succeeded"] * 4
        assert len((tenant.table("out.c-main.words") or "").splitlines()) == 1 + 4 * 3


class TestTwoOperators:
    def test_the_one_that_stands_by_goes_on_when_the_other_is_lost(
        self, tenant: Tenant, operator: OperatorProcess, second: OperatorProcess, submit: Any
    ) -> None:
        lease = {"COMPONENTRUN_LEASE": f"{tenant.namespace}/operator", "COMPONENTRUN_LEASE_SECONDS": "30"}
        operator.start(**lease)
        operator.wait_ready()
        name = submit("sh", "-c", UNTIL_TOLD)
        tenant.wait(name, lambda run: run.get("status", {}).get("phase") == "Running")
        second.start(**lease)
        second.wait_ready()
        assert 'leader_election_master_status{name="componentrun"} 0.0' in second.ask("/metrics")[1]
        operator.kill()
        eventually(lambda: 'leader_election_master_status{name="componentrun"} 1.0' in second.ask("/metrics")[1])
        let_go(tenant, name)
        assert status_of(tenant.wait(name))["phase"] == "Succeeded"

    def test_one_that_ends_in_order_hands_over_at_once(
        self, tenant: Tenant, operator: OperatorProcess, second: OperatorProcess, submit: Any
    ) -> None:
        lease = {"COMPONENTRUN_LEASE": f"{tenant.namespace}/operator", "COMPONENTRUN_LEASE_SECONDS": "60"}
        operator.start(**lease)
        operator.wait_ready()
        tenant.wait(submit("true"))
        second.start(**lease)
        second.wait_ready()
        assert operator.terminate()[0] == 0
        assert status_of(tenant.wait(submit("true")))["phase"] == "Succeeded"

    def test_two_without_a_lease_do_no_harm(
        self, tenant: Tenant, operator: OperatorProcess, second: OperatorProcess, submit: Any
    ) -> None:
        tenant.put_table("in.c-main.words", WORDS)
        operator.start()
        second.start()
        names = [submit("copy", **COPY) for _ in range(4)]
        ended = [status_of(tenant.wait(name)) for name in names]
        assert [status["phase"] for status in ended] == ["Succeeded"] * 4, ended
        assert all(len(status["attempts"]) == 1 for status in ended), ended
        assert len((tenant.table("out.c-main.words") or "").splitlines()) == 1 + 4 * 3


class TestHealth:
    def test_it_is_ready_when_it_works_and_tells_why_not_before(
        self, tenant: Tenant, operator: OperatorProcess, submit: Any
    ) -> None:
        operator.start()
        seen = set()
        deadline = time.monotonic() + 120
        while operator.ask("/readyz")[0] != 200 and time.monotonic() < deadline:
            seen.add(operator.ask("/readyz"))
            time.sleep(0.02)
        assert operator.ask("/readyz") == (200, "ready"), seen
        assert operator.ask("/healthz") == (200, "alive")
        tenant.wait(submit("true"))
        counted = 'componentrun_results_total{component="image",reason="Succeeded"} 1.0'
        eventually(lambda: counted in operator.ask("/metrics")[1])
        metrics = operator.ask("/metrics")[1]
        assert 'componentrun_runs{phase="Succeeded"} 1.0' in metrics
        assert 'rest_client_requests_total{code="201"' in metrics
        assert 'componentrun_store_requests_total{operation="write",outcome="ok"}' in metrics

    def test_an_api_server_that_is_away_is_waited_for(self, operator: OperatorProcess, tmp_path: Any) -> None:
        elsewhere = tmp_path / "kubeconfig"
        elsewhere.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                    "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
                    "users": [{"name": "x", "user": {}}],
                }
            )
        )
        operator.start(KUBECONFIG=str(elsewhere))
        deadline = time.monotonic() + 120
        while "waiting for the API server" not in operator.log.read_text():
            assert time.monotonic() < deadline, operator.log.read_text()
            time.sleep(0.2)
        assert operator.ask("/readyz") == (503, "waiting for the API server at https://127.0.0.1:1")
        assert operator.ask("/healthz")[0] == 200
        assert operator.terminate()[0] == 0

    def test_at_rest_it_takes_at_most_120_mib(self, tenant: Tenant, operator: OperatorProcess, submit: Any) -> None:
        operator.is_forked = False
        operator.start()
        for name in [submit("true") for _ in range(3)]:
            tenant.wait(name)
        time.sleep(5)
        assert operator.resident_mib() < 120
