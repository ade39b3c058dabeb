"""The chart, rendered by the real helm: what it puts into a cluster, and what it refuses."""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.collector import settings as collector_settings
from componentrun.controller import settings as operator_settings
from componentrun.core.lease import holder as leaseholder
from componentrun.maintenance import settings as maintenance_settings
from componentrun.nodelogs import settings as nodelogs_settings
from componentrun.process.serving.authority import Authority
from componentrun.process.serving.certificate import CERTIFICATE, KEY, Certificate
from componentrun.process.settings import variables
from componentrun.wire import logserver
from dev.install import chart
from tests.environment import settings_from
from tests.packaging.charts import IMAGE, Chart, containers, environment, handshake, of_kind, rights
from tests.packaging.rights import LEASE, PRE_PULL, SPARK, USED

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = (
    "networkPolicy.enabled=true",
    "metrics.serviceMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "grafanaDashboard.enabled=true",
)


@pytest.fixture(scope="session")
def documents(rendered: Chart) -> list[dict[str, Any]]:
    """The chart with every toggle on, and with logs read over the API."""
    return rendered.render("collector.reader=api", *EVERYTHING)


@pytest.fixture(scope="session")
def with_node(rendered: Chart) -> list[dict[str, Any]]:
    """The same, with logs read from the nodes' files, which is the default."""
    return rendered.render(*EVERYTHING)


@pytest.fixture(scope="session")
def pod(with_node: list[dict[str, Any]]) -> dict[str, Any]:
    """The pod of a log server."""
    (found,) = of_kind(with_node, "DaemonSet")
    return dict(found["spec"]["template"]["spec"])


@pytest.fixture(scope="session")
def rules(rendered: Chart) -> dict[str, list[dict[str, Any]]]:
    """Rules of the cluster roles, by the last word of their names."""
    roles = of_kind(rendered.render("collector.reader=api"), "ClusterRole")
    return {role["metadata"]["name"].rpartition("-")[2]: role["rules"] for role in roles}


def maintenance_pod(documents: list[dict[str, Any]]) -> dict[str, Any]:
    (job,) = of_kind(documents, "CronJob")
    return dict(job["spec"]["jobTemplate"]["spec"]["template"]["spec"])


def operator_container(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return next(container for container in containers(documents) if container["name"] == "operator")


def test_helm_finds_nothing_to_complain_about(rendered: Chart) -> None:
    done = rendered.run("lint", IMAGE, *EVERYTHING)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_what_is_generated_is_up_to_date() -> None:
    stale = [
        file.name for file, content in chart.generated().items() if not file.is_file() or file.read_text() != content
    ]
    assert not stale, f"{stale} differ from what they are made of: run `make generate`"


def test_no_copy_is_left_of_a_definition_that_is_gone() -> None:
    copies = {path.name for path in (chart.CHART / "files" / "crds").iterdir()}
    assert copies == {path.name for path in (chart.ROOT / "crds").glob("*.yaml")}


def test_every_value_has_a_comment() -> None:
    assert chart.undocumented() == []


def test_every_value_is_in_the_schema_and_nothing_else_is() -> None:
    schema = json.loads((chart.CHART / "values.schema.json").read_text())
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())

    def differences(given: dict[str, Any], described: dict[str, Any], path: str) -> list[str]:
        if "$ref" in described:
            described = schema["definitions"][described["$ref"].rpartition("/")[2]]
        if "properties" not in described or not given:
            return []
        known = set(described["properties"]) - {"global"}
        odd = [f"{path}{name}" for name in known ^ set(given)] if not path.endswith("resources.") else []
        for name in known & set(given):
            if isinstance(given[name], dict):
                odd += differences(given[name], described["properties"][name], f"{path}{name}.")
        return odd

    assert differences(values, schema, "") == []


class TestPods:
    def test_there_are_an_operator_a_collector_and_a_loader(self, documents: list[dict[str, Any]]) -> None:
        assert [container["name"] for container in containers(documents)] == ["collector", "loader", "operator"]

    def test_each_holds_to_the_restricted_standard(self, documents: list[dict[str, Any]]) -> None:
        pods = [deployment["spec"]["template"]["spec"] for deployment in of_kind(documents, "Deployment")]
        for pod in [*pods, maintenance_pod(documents)]:
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
            assert all(volume.keys() & {"emptyDir", "projected", "secret"} for volume in pod["volumes"])
            for container in pod["containers"]:
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }

    def test_each_has_probes_and_limits(self, documents: list[dict[str, Any]]) -> None:
        for container in containers(documents):
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            assert container["resources"]["limits"]["memory"]
            assert "cpu" not in container["resources"]["limits"]

    def test_there_is_one_of_each_unless_asked_for(self, documents: list[dict[str, Any]]) -> None:
        for deployment in of_kind(documents, "Deployment"):
            assert deployment["spec"]["replicas"] == 1
        strategies = {
            item["metadata"]["name"].split("-")[-1]: item["spec"]["strategy"]
            for item in of_kind(documents, "Deployment")
        }
        assert strategies["collector"] == {"type": "Recreate"}
        assert strategies["operator"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}

    def test_the_number_of_operators_can_be_lowered(self, rendered: Chart) -> None:
        """The API server refuses a change from RollingUpdate to Recreate by server-side apply, which Helm uses."""
        strategies = []
        for replicas in (2, 1):
            documents = rendered.render(f"operator.replicas={replicas}")
            (operator,) = [
                item for item in of_kind(documents, "Deployment") if item["metadata"]["name"].endswith("operator")
            ]
            strategies.append(operator["spec"]["strategy"])
        assert strategies[0] == strategies[1]

    def test_images_have_a_tag_that_means_one_image(self, documents: list[dict[str, Any]]) -> None:
        version = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"]
        images = {container["image"] for container in containers(documents)}
        repository = "registry.example.com/componentrun"
        assert images == {f"{repository}:{version}", f"{repository}-loader:{version}"}
        assert ":latest" not in json.dumps(documents)

    def test_only_the_pods_that_need_a_token_get_one(self, documents: list[dict[str, Any]]) -> None:
        for account in of_kind(documents, "ServiceAccount"):
            assert account["automountServiceAccountToken"] is False


class TestMaintenance:
    def test_it_starts_on_schedule_one_at_a_time(self, documents: list[dict[str, Any]]) -> None:
        (job,) = of_kind(documents, "CronJob")
        assert (job["spec"]["schedule"], job["spec"]["concurrencyPolicy"]) == ("17 * * * *", "Forbid")
        assert job["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
        pod = maintenance_pod(documents)
        assert (pod["restartPolicy"], pod["containers"][0]["resources"]["limits"]) == ("Never", {"memory": "768Mi"})

    def test_it_understands_what_it_is_given(self, rendered: Chart) -> None:
        def settings(*values: str) -> maintenance_settings.Settings:
            (container,) = maintenance_pod(rendered.render(*values))["containers"]
            return settings_from(
                maintenance_settings.Settings, {item["name"]: item["value"] for item in container["env"]}
            )

        assert settings() == maintenance_settings.Settings()
        told = settings("maintenance.keep=72h", "maintenance.tables.files=9", "namespaces={a}")
        assert (told.maintenance_keep_seconds, told.maintenance_tables_files) == (72 * 3600, 9)
        assert told.namespaces == ("a",)

    def test_its_disk_is_larger_than_what_it_may_use(self, rendered: Chart) -> None:
        pod = maintenance_pod(rendered.render("maintenance.scratchMiB=1000"))
        assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "1256Mi"}}]

    def test_without_it_nothing_of_it_is_left(self, rendered: Chart) -> None:
        assert "maintenance" not in [
            item["metadata"]["name"].rpartition("-")[2] for item in rendered.render("maintenance.enabled=false")
        ]


class TestSettings:
    def test_the_operator_understands_what_it_is_given(self, rendered: Chart) -> None:
        given = environment(rendered.render(), "operator")
        settings = settings_from(operator_settings.Settings, given)
        assert settings.agent_image.startswith("registry.example.com/componentrun:")
        url = "https://release-componentrun-loader.somewhere.svc:8443"
        assert settings == operator_settings.Settings(agent_image=settings.agent_image, loader_url=url)

    def test_the_collector_understands_what_it_is_given(self, rendered: Chart) -> None:
        given = environment(rendered.render("collector.reader=api"), "collector")
        assert settings_from(collector_settings.Settings, given) == collector_settings.Settings()

    def test_whatever_the_operator_reads_the_chart_gives(self, rendered: Chart) -> None:
        read = set(variables(operator_settings.Settings))
        # Where it serves is fixed in the chart; the last one is for tests, and LEASE_SECONDS for the impatient.
        left_out = {"HOST", "PORT", "LEASE_SECONDS", "POD_MISSING_SECONDS"}
        given = {variable["name"] for variable in operator_container(rendered.render())["env"]}
        assert read - given == {f"COMPONENTRUN_{name}" for name in left_out}

    def test_one_operator_needs_no_lease_and_several_do(self, rendered: Chart) -> None:
        alone = settings_from(operator_settings.Settings, environment(rendered.render(), "operator"))
        assert alone.leader_election is None
        documents = rendered.render("operator.replicas=2")
        lease = settings_from(operator_settings.Settings, environment(documents, "operator")).leader_election
        assert lease is not None
        assert (lease.namespace, lease.name) == ("somewhere", "release-componentrun-operator")
        (role,) = of_kind(documents, "Role")
        assert role["metadata"]["namespace"] == lease.namespace

    def test_several_operators_know_each_others_pods(self, rendered: Chart) -> None:
        container = operator_container(rendered.render("operator.replicas=2"))
        fields = {
            item["name"]: item.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath") for item in container["env"]
        }
        assert fields["COMPONENTRUN_POD_NAME"] == "metadata.name"
        assert fields["COMPONENTRUN_POD_UID"] == "metadata.uid"
        assert container["name"] == leaseholder.CONTAINER, "the others look for its status by this name"

    def test_agents_log_in_where_the_operator_does(self, rendered: Chart) -> None:
        documents = rendered.render("imagePullSecrets[0].name=one", "imagePullSecrets[1].name=two")
        assert settings_from(operator_settings.Settings, environment(documents, "operator")).pod.agent_pull_secrets == (
            "one",
            "two",
        )

    def test_values_arrive(self, rendered: Chart) -> None:
        given = environment(
            rendered.render(
                "operator.workers=7",
                "operator.limits.pending=90s",
                "namespaces={a,b}",
                "operator.dnsCidrs={10.0.0.1/32}",
            ),
            "operator",
        )
        settings = settings_from(operator_settings.Settings, given)
        assert settings.workers == 7
        assert settings.limits.pending == 90
        assert settings.namespaces == ("a", "b")
        assert settings.dns_cidrs == ("10.0.0.1/32",)

    def test_whatever_the_collector_reads_the_chart_gives(self, rendered: Chart) -> None:
        read = set(variables(collector_settings.Settings))
        documents = rendered.render("collector.reader=node", "collector.shards=2")
        (stateful,) = of_kind(documents, "StatefulSet")
        (container,) = stateful["spec"]["template"]["spec"]["containers"]
        given = {variable["name"] for variable in container["env"]}
        assert read - given == {"COMPONENTRUN_HOST", "COMPONENTRUN_PORT"}

    def test_shards_share_the_runs(self, rendered: Chart) -> None:
        documents = rendered.render("collector.shards=3")
        assert "release-componentrun-collector" not in [
            item["metadata"]["name"] for item in of_kind(documents, "Deployment")
        ]
        (stateful,) = of_kind(documents, "StatefulSet")
        assert stateful["spec"]["replicas"] == 3
        services = {item["metadata"]["name"]: item["spec"] for item in of_kind(documents, "Service")}
        assert services[stateful["spec"]["serviceName"]]["clusterIP"] == "None"
        (container,) = stateful["spec"]["template"]["spec"]["containers"]
        variables = {variable["name"]: variable for variable in container["env"]}
        ordinal = variables["COMPONENTRUN_COLLECTOR_SHARD"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert ordinal == "metadata.labels['apps.kubernetes.io/pod-index']"
        given = {name: variable["value"] for name, variable in variables.items() if "value" in variable}
        settings = settings_from(collector_settings.Settings, given | {"COMPONENTRUN_COLLECTOR_SHARD": "2"})
        assert (settings.collector_shard, settings.collector_shards) == (2, 3)

    def test_one_collector_is_a_deployment_that_knows_nothing_of_shards(self, rendered: Chart) -> None:
        documents = rendered.render()
        assert not of_kind(documents, "StatefulSet")
        settings = settings_from(collector_settings.Settings, environment(documents, "collector"))
        assert (settings.collector_shard, settings.collector_shards) == (0, 1)


class TestNodeLogs:
    """`collector.reader: node`."""

    def test_it_is_the_default(self, with_node: list[dict[str, Any]]) -> None:
        assert of_kind(with_node, "DaemonSet")
        given = environment(with_node, "collector")
        assert settings_from(collector_settings.Settings, given).collector_reader == "node"

    def test_with_the_reader_api_there_is_none(self, documents: list[dict[str, Any]]) -> None:
        assert not of_kind(documents, "DaemonSet")
        assert not [item for item in documents if "node-logs" in item["metadata"]["name"]]

    def test_it_reads_one_folder_of_the_node_and_changes_nothing(self, pod: dict[str, Any]) -> None:
        assert [volume["hostPath"] for volume in pod["volumes"] if "hostPath" in volume] == [
            {"path": "/var/log/pods", "type": "Directory"}
        ]
        (container,) = pod["containers"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["logs"] == {"name": "logs", "mountPath": "/var/log/pods", "readOnly": True}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)

    def test_it_is_in_roots_group_and_not_root(self, pod: dict[str, Any], rendered: Chart) -> None:
        context = {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert pod["securityContext"] == context
        (found,) = of_kind(rendered.render("collector.reader=node", "nodeLogs.runAsUser=0"), "DaemonSet")
        root = {**context, "runAsNonRoot": False, "runAsUser": 0}
        assert found["spec"]["template"]["spec"]["securityContext"] == root

    def test_it_runs_on_tainted_nodes_too(self, pod: dict[str, Any]) -> None:
        assert pod["tolerations"] == [{"operator": "Exists"}]

    def test_it_has_probes_and_a_limit(self, pod: dict[str, Any]) -> None:
        (container,) = pod["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
        assert container["resources"]["limits"] == {"memory": "256Mi"}

    def test_both_understand_what_they_are_given(self, with_node: list[dict[str, Any]], pod: dict[str, Any]) -> None:
        (container,) = pod["containers"]
        given = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
        reader = "system:serviceaccount:somewhere:release-componentrun-collector"
        assert settings_from(nodelogs_settings.Settings, given) == nodelogs_settings.Settings(nodelogs_reader=reader)
        accounts = {item["metadata"]["name"] for item in of_kind(with_node, "ServiceAccount")}
        assert reader.rpartition(":")[2] in accounts
        assert [port["containerPort"] for port in container["ports"] if port["name"] == "logs"] == [logserver.PORT]
        collector = settings_from(collector_settings.Settings, environment(with_node, "collector"))
        assert collector.node_logs == collector_settings.NodeLogSettings("somewhere")

    def test_the_collector_has_a_token_for_this_alone(self, with_node: list[dict[str, Any]]) -> None:
        (pod,) = [
            item["spec"]["template"]["spec"]
            for item in of_kind(with_node, "Deployment")
            if item["metadata"]["name"].endswith("-collector")
        ]
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "token"]
        (source,) = volume["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == logserver.AUDIENCE
        (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "token"]
        assert f"{mount['mountPath']}/{source['serviceAccountToken']['path']}" == logserver.TOKEN_FILE

    def test_its_certificate_is_believed_by_the_collector_and_by_nobody_else(
        self, with_node: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        (secret,) = [item for item in of_kind(with_node, "Secret") if "node-logs" in item["metadata"]["name"]]
        assert secret["type"] == "kubernetes.io/tls"
        assert set(secret["data"]) == {"ca.crt", CERTIFICATE, KEY}, "the authority's key is nowhere"
        for name, data in secret["data"].items():
            (tmp_path / name).write_bytes(base64.b64decode(data))
        server, client = (
            Certificate(str(tmp_path), "log server", "nodeLogs.tls").context,
            Authority(str(tmp_path / "ca.crt")).context(),
        )
        assert handshake(server, client, logserver.SERVER_NAME) == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, client, "another.componentrun.dev")
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, ssl.create_default_context(), logserver.SERVER_NAME)

    @pytest.mark.parametrize("own", ["", "from-cert-manager"])
    def test_each_side_has_its_own_part_of_the_certificate(self, rendered: Chart, own: str) -> None:
        documents = rendered.render("collector.reader=node", f"nodeLogs.tls.secretName={own}", "loader.enabled=false")
        assert len(of_kind(documents, "Secret")) == (0 if own else 1)
        (server,) = of_kind(documents, "DaemonSet")
        (collector,) = [
            item for item in of_kind(documents, "Deployment") if item["metadata"]["name"].endswith("-collector")
        ]
        expected = {logserver.TLS_FOLDER: (server, [CERTIFICATE, KEY])}
        folder, _, file = logserver.AUTHORITY_FILE.rpartition("/")
        expected[folder] = (collector, [file])
        for path, (workload, keys) in expected.items():
            spec = workload["spec"]["template"]["spec"]
            (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "certificates"]
            assert volume["secret"]["secretName"] == (own or "release-componentrun-node-logs-tls")
            assert volume["secret"]["items"] == [{"key": key, "path": key} for key in keys]
            (mount,) = [item for item in spec["containers"][0]["volumeMounts"] if item["name"] == "certificates"]
            assert mount == {"name": "certificates", "mountPath": path, "readOnly": True}

    def test_its_pods_are_found_by_the_label_that_the_collector_looks_for(
        self, with_node: list[dict[str, Any]]
    ) -> None:
        (found,) = of_kind(with_node, "DaemonSet")
        label, _, value = logserver.SELECTOR.partition("=")
        assert found["spec"]["template"]["metadata"]["labels"][label] == value

    def test_only_the_collector_can_connect_whatever_else_is_chosen(self, rendered: Chart) -> None:
        (policy,) = of_kind(rendered.render("collector.reader=node", "loader.enabled=false"), "NetworkPolicy")
        assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "node-logs"
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        (logs,) = [rule for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == logserver.PORT]
        (peer,) = logs["from"]
        assert set(peer) == {"podSelector"}
        assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "collector"
        ports = [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
        assert ports == [443, 6443]

    def test_it_may_ask_whose_a_token_is_and_nothing_else(self, with_node: list[dict[str, Any]]) -> None:
        (role,) = [role for role in of_kind(with_node, "ClusterRole") if "node-logs" in role["metadata"]["name"]]
        assert rights(role["rules"]) == {("tokenreviews", "create")}
        assert 'request("POST", TOKEN_REVIEWS' in (chart.ROOT / "operator/componentrun/process/guard.py").read_text()

    def test_with_a_list_of_namespaces_the_collector_still_finds_it(self, rendered: Chart) -> None:
        documents = rendered.render("collector.reader=node", "namespaces={one,two}", "rbac.aggregate=false")
        (role,) = [role for role in of_kind(documents, "Role") if role["metadata"]["namespace"] == "somewhere"]
        assert rights(role["rules"]) == {("pods", "list"), ("pods", "watch")}
        (found,) = of_kind(documents, "DaemonSet")
        (container,) = found["spec"]["template"]["spec"]["containers"]
        assert {"name": "COMPONENTRUN_NAMESPACES", "value": "one,two"} in container["env"]


class TestRights:
    def test_what_a_process_may_do_is_what_it_does(self, rules: dict[str, list[dict[str, Any]]]) -> None:
        processes = set(rules) - {"view", "edit", "admin"}
        assert {part: rights(rules[part]) for part in processes} == {part: set(used) for part, used in USED.items()}

    def test_what_one_of_several_operators_may_do_is_what_it_does(self, rendered: Chart) -> None:
        (role,) = of_kind(rendered.render("operator.replicas=2"), "Role")
        assert rights(role["rules"]) == set(LEASE)

    def test_maintenance_creates_jobs_only_where_spark_is_enabled(self, rendered: Chart) -> None:
        documents = rendered.render("maintenance.spark.enabled=true")
        roles = [item for item in of_kind(documents, "ClusterRole") if item["metadata"]["name"].endswith("maintenance")]
        assert rights(roles[0]["rules"]) == {*USED["maintenance"], *SPARK}
        (container,) = maintenance_pod(documents)["containers"]
        told = settings_from(maintenance_settings.Settings, {item["name"]: item["value"] for item in container["env"]})
        assert told.maintenance_spark_image == f"{IMAGE.partition('=')[2]}-spark:0.1.0"

    def test_the_operator_creates_daemon_sets_only_where_images_are_brought_to_nodes(self, rendered: Chart) -> None:
        documents = rendered.render("operator.prePull.enabled=true")
        roles = [item for item in of_kind(documents, "ClusterRole") if item["metadata"]["name"].endswith("operator")]
        assert rights(roles[0]["rules"]) == {*USED["operator"], *PRE_PULL}
        settings = settings_from(operator_settings.Settings, environment(documents, "operator"))
        assert settings.pre_pulls.is_enabled
        assert settings.pre_pulls.namespace == "somewhere"

    @pytest.mark.parametrize("part", [*USED, "lease", "spark", "pre-pull"])
    def test_what_a_right_is_for_stands_where_it_is_said_to(self, part: str) -> None:
        for right, (file, code) in (USED | {"lease": LEASE, "spark": SPARK, "pre-pull": PRE_PULL})[part].items():
            assert code in (chart.ROOT / "operator" / "componentrun" / file).read_text(), (right, file)

    def test_nothing_may_do_everything(self, rules: dict[str, list[dict[str, Any]]]) -> None:
        assert "*" not in json.dumps(rules)

    def test_secrets_are_read_by_name_and_never_listed(self, rules: dict[str, list[dict[str, Any]]]) -> None:
        for part, verbs in {"operator": {"get", "create"}, "collector": {"get"}, "maintenance": {"get"}}.items():
            found = [rule for rule in rules[part] if "secrets" in rule["resources"]]
            assert [set(rule["verbs"]) for rule in found] == [verbs]

    def test_the_collector_changes_nothing_but_a_runs_status(self, rules: dict[str, list[dict[str, Any]]]) -> None:
        writing = [rule for rule in rules["collector"] if set(rule["verbs"]) - {"get", "list", "watch"}]
        assert writing == [
            {"apiGroups": ["componentrun.dev"], "resources": ["componentruns/status"], "verbs": ["patch"]}
        ]

    def test_grants_can_be_made_but_not_changed(self, rules: dict[str, list[dict[str, Any]]]) -> None:
        for rule in rules["operator"]:
            if "secrets" in rule["resources"]:
                assert not {"update", "patch"} & set(rule["verbs"])

    def test_pods_can_be_given_labels_and_nothing_below_them_be_changed(
        self, rules: dict[str, list[dict[str, Any]]]
    ) -> None:
        pods = [rule for rule in rules["operator"] if any(name.startswith("pods") for name in rule["resources"])]
        assert [rule["resources"] for rule in pods] == [["pods"]], "no pods/exec, no pods/ephemeralcontainers"
        assert "update" not in pods[0]["verbs"]

    def test_a_list_of_namespaces_leaves_no_right_outside_of_them(self, rendered: Chart) -> None:
        left_out = ("rbac.aggregate=false", "loader.enabled=false", "collector.reader=api")
        documents = rendered.render("namespaces={one,two}", *left_out)
        assert not of_kind(documents, "ClusterRole")
        assert not of_kind(documents, "ClusterRoleBinding")
        roles = of_kind(documents, "Role")
        assert sorted(role["metadata"]["namespace"] for role in roles) == ["one"] * 3 + ["two"] * 3
        assert {role["metadata"]["namespace"] for role in of_kind(documents, "RoleBinding")} == {"one", "two"}

    def test_users_get_no_more_than_their_role(self, rules: dict[str, list[dict[str, Any]]]) -> None:
        assert {verb for rule in rules["view"] for verb in rule["verbs"]} == {"get", "list", "watch"}
        assert not any("storages" in rule["resources"] for rule in rules["edit"])
        assert not any(
            "/status" in name
            for part in ("view", "edit", "admin")
            for rule in rules[part]
            for name in rule["resources"]
        )


class TestToggles:
    def test_definitions_outlive_the_chart(self, rendered: Chart) -> None:
        for definition in of_kind(rendered.render(), "CustomResourceDefinition"):
            assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        for definition in of_kind(rendered.render("crds.keep=false"), "CustomResourceDefinition"):
            assert "annotations" not in definition["metadata"] or not definition["metadata"]["annotations"]

    def test_definitions_are_those_of_the_project(self, rendered: Chart) -> None:
        made = {
            item["metadata"]["name"]: item["spec"] for item in of_kind(rendered.render(), "CustomResourceDefinition")
        }
        files = [yaml.safe_load(path.read_text()) for path in (chart.ROOT / "crds").glob("*.yaml")]
        assert made == {item["metadata"]["name"]: item["spec"] for item in files}

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            ("crds.install", "CustomResourceDefinition"),
            ("admissionPolicy.enabled", "ValidatingAdmissionPolicy"),
            ("networkPolicy.enabled", "NetworkPolicy"),
            ("metrics.serviceMonitor.enabled", "ServiceMonitor"),
            ("prometheusRule.enabled", "PrometheusRule"),
            ("grafanaDashboard.enabled", "ConfigMap"),
        ],
    )
    def test_each_can_be_turned_on_and_off(self, rendered: Chart, value: str, kind: str) -> None:
        # What the loader and the log servers bring besides is there in any case.
        left_out = ("loader.enabled=false", "collector.reader=api")
        assert of_kind(rendered.render(f"{value}=true", *left_out), kind)
        assert not of_kind(rendered.render(f"{value}=false", *left_out), kind)

    def test_without_a_collector_nothing_of_it_is_left(self, rendered: Chart) -> None:
        assert "collector" not in [
            item["metadata"]["name"].rpartition("-")[2] for item in rendered.render("collector.enabled=false")
        ]

    def test_the_dashboard_is_valid_json(self, rendered: Chart) -> None:
        (config,) = of_kind(rendered.render("grafanaDashboard.enabled=true"), "ConfigMap")
        assert json.loads(config["data"]["componentrun.json"])["title"]


class TestRefusals:
    def test_the_image_has_to_be_named(self, rendered: Chart) -> None:
        assert re.search(
            "image.repository is not set: build the image.*--set image.repository=", rendered.refusal(), re.DOTALL
        )

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            ("operator.workers=0", "operator.workers|operator/workers"),
            ("operator.logLevel=chatty", "operator.logLevel|operator/logLevel"),
            ("operator.limits.pending=forever", "limits.pending|limits/pending"),
            ("operator.limits.pendign=1m", "pendign"),
            ("image.tag=latest", "image.tag|image/tag"),
            ("image.digest=sha256:abc", "image.digest|image/digest"),
            ("colector.enabled=true", "colector"),
            ("collector.reader=files", "collector.reader|collector/reader"),
            ("nodeLogs.folder=relative", "nodeLogs.folder|nodeLogs/folder"),
            ("loader.replicas=0", "loader.replicas|loader/replicas"),
            ("loader.image.tag=latest", "loader.image.tag|loader/image/tag"),
            ("maintenance.keep=long", "maintenance.keep|maintenance/keep"),
            ("namespaces={Not_One}", "namespaces"),
        ],
    )
    def test_a_wrong_value_is_named(self, rendered: Chart, value: str, named: str) -> None:
        assert re.search(named, rendered.refusal(IMAGE, value))


class TestOddValues:
    """What is legal, if unusual."""

    def from_file(self, rendered: Chart, tmp_path: Path, text: str, *arguments: str) -> list[dict[str, Any]]:
        """The chart with a values file: there, unlike with `--set`, every number is a float to Helm."""
        (tmp_path / "values.yaml").write_text(text)
        command = [rendered.helm, "template", *arguments, str(chart.CHART), "--values", str(tmp_path / "values.yaml")]
        done = subprocess.run([*command, "--set", IMAGE], capture_output=True, text=True, check=True)
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def test_a_quantity_may_be_a_large_number(self, rendered: Chart, tmp_path: Path) -> None:
        values = "agents: {resources: {requests: {cpu: 1, memory: 33554432}, limits: {memory: 1073741824}}}"
        given = environment(self.from_file(rendered, tmp_path, values, "release"), "operator")
        pod = settings_from(operator_settings.Settings, given).pod
        assert (pod.agent_cpu_request, pod.agent_memory_request, pod.agent_memory_limit) == (
            "1",
            "33554432",
            "1073741824",
        )

    def test_names_may_look_like_numbers(self, rendered: Chart, tmp_path: Path) -> None:
        values = (
            "{namespaces: ['0123'], nameOverride: '1e3', fullnameOverride: '2024', collector: {reader: node},"
            " operator: {replicas: 2, priorityClassName: '7'}, networkPolicy: {enabled: true},"
            " metrics: {serviceMonitor: {enabled: true}}, prometheusRule: {enabled: true},"
            " grafanaDashboard: {enabled: true}}"
        )
        documents = self.from_file(rendered, tmp_path, values, "12345", "--namespace", "777")

        def no_texts(value: Any, path: str) -> list[str]:
            if isinstance(value, dict):
                named = {key for key in value if key in {"name", "namespace", "priorityClassName"}}
                strings = set(value) if path.endswith(("labels", "annotations", "matchLabels")) else named
                odd = [f"{path}.{key}" for key in strings if not isinstance(value[key], str)]
                return odd + [found for key in value for found in no_texts(value[key], f"{path}.{key}")]
            if isinstance(value, list):
                return [found for item in value for found in no_texts(item, path)]
            return []

        ours = [item for item in documents if item["kind"] != "CustomResourceDefinition"]
        assert [found for item in ours for found in no_texts(item, item["kind"])] == []

    @pytest.mark.parametrize(
        ("reader", "ports"), [("api", [53, 53, 8443, 443]), ("node", [53, 53, logserver.PORT, 8443, 443])]
    )
    def test_a_closed_way_out_leaves_log_servers_and_loader_open(
        self, rendered: Chart, reader: str, ports: list[int]
    ) -> None:
        documents = rendered.render(
            f"collector.reader={reader}", "networkPolicy.enabled=true", "networkPolicy.egress[0].ports[0].port=443"
        )
        (policy,) = [
            item for item in of_kind(documents, "NetworkPolicy") if item["metadata"]["name"] == "release-componentrun"
        ]
        egress = policy["spec"]["egress"]
        assert [port["port"] for rule in egress for port in rule["ports"]] == ports
        for rule in egress:
            if rule["ports"][0]["port"] == logserver.PORT:
                (found,) = of_kind(documents, "DaemonSet")
                labels = found["spec"]["template"]["metadata"]["labels"]
                assert rule["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
