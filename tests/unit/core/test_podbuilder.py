"""The pod: golden files for the whole, rules for what must never be otherwise.

`UPDATE_GOLDEN=1 pytest tests/unit/core/test_podbuilder.py` writes tests/golden/ anew; read the difference before you
commit it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from componentrun.agent.outcome import TERMINATION_BYTES
from componentrun.core.pod.build import PodSettings, build_pod, build_secret
from componentrun.core.pod.containers import KUBERNETES_VARIABLES
from componentrun.core.pod.metadata import hostname, label_value
from componentrun.core.request.resolve import resolve
from componentrun.errors import UserError
from componentrun.wire import grants
from componentrun.wire.agents import from_json
from componentrun.wire.chain import TERMINATION_VARIABLE
from componentrun.wire.grants import GrantIn, GrantOut, PostPolicy
from tests.unit.core.make import make_component, make_run

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun

GOLDEN = Path(__file__).parents[2] / "golden"
AGENT_IMAGE = "registry.example.com/componentrun:0.1.0"
SECRETS = ["plain-hush", "s3cr3t-from-a-secret", "https://store/plan-in?X-Amz-Signature=f00", "policy-signature"]


def simple() -> tuple[ComponentRun, dict[str, Any]]:
    run = make_run()
    return run, build_pod(resolve(run, None, "lake"), run, 1, AGENT_IMAGE, PodSettings())


def everything() -> tuple[ComponentRun, dict[str, Any]]:
    run = make_run(
        name="nightly.load",
        component="cleaner",
        size="medium",
        timeout="2h",
        action="load",
        priorityClassName="batch-low",
        configuration={
            "id": "77",
            "row": "r1",
            "version": "3",
            "branch": "dev",
            "parameters": {"#key": "plain-hush", "db": {}},
            "secrets": [{"path": "db.#password", "secretKeyRef": {"name": "db", "key": "password"}}],
        },
        network={"mode": "none", "egress": [{"cidr": "203.0.113.7/32", "port": 5432}]},
        podTemplate={
            "labels": {"team": "data", "componentrun.dev/network-class": "open-please"},
            "annotations": {"note": "hello", "componentrun.dev/timeout-seconds": "1"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "batch", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "runtimeClassName": "gvisor",
            "imagePullSecrets": [{"name": "registry-login"}],
        },
    )
    component = make_component(
        tag="2.0",
        command=["/bin/cleaner"],
        args=["--out", "$(date)", "plain"],
        resources={"limits": {"memory": "1Gi", "ephemeral-storage": "2Gi"}},
        network={"egress": [{"cidr": "203.0.113.0/24"}]},
        runAsUser=4711,
        readOnlyRootFilesystem=True,
        dataSize="50Gi",
    )
    pulls = ("registry-login", "agents-login")
    effective = resolve(run, component, "lake", pull_secrets=pulls)
    return run, build_pod(effective, run, 2, AGENT_IMAGE, PodSettings(stack_id="eu-1"))


def root() -> tuple[ComponentRun, dict[str, Any]]:
    run = make_run(component="cleaner")
    return run, build_pod(resolve(run, make_component(runAsUser=0), "lake"), run, 1, AGENT_IMAGE, PodSettings())


def gelf() -> tuple[ComponentRun, dict[str, Any]]:
    run = make_run(component="cleaner")
    component = make_component(logging={"gelf": {"server": "udp", "visibility": {"debug": "verbose"}}})
    return run, build_pod(resolve(run, component, "lake"), run, 1, AGENT_IMAGE, PodSettings())


def processors() -> tuple[ComponentRun, dict[str, Any]]:
    """One with another user and a read-only root before the component, and two after it."""
    run = make_run(component="cleaner", size="medium", processors={
        "before": [{"component": "unzip", "parameters": {"#key": "plain-hush"}}],
        "after": [{"component": "header"}, {"component": "header", "tag": "2.0"}],
    })  # fmt: skip
    known = {
        "unzip": make_component("unzip", type="processor", tag="1.1", runAsUser=4711, readOnlyRootFilesystem=True),
        "header": make_component(
            "header", type="processor", tag="1.4", command=["/header"], resources={"limits": {"memory": "64Mi"}}
        ),
    }
    effective = resolve(run, make_component(tag="2.0"), "lake", None, known)
    return run, build_pod(effective, run, 1, AGENT_IMAGE, PodSettings())


PODS = {"simple": simple, "everything": everything, "root": root, "gelf": gelf, "processors": processors}
WITH_PROCESSORS = {"processors"}


@pytest.mark.parametrize("name", PODS)
def test_the_pod_is_the_golden_one(name: str) -> None:
    path = GOLDEN / f"pod-{name}.yaml"
    _, pod = PODS[name]()
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(pod, sort_keys=False, width=120))
    assert pod == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("name", PODS)
def test_what_an_agent_leaves_is_kept_whole_also_beside_containers_that_others_put_in(name: str) -> None:
    """The kubelet cuts messages to shares of 12 KiB (pkg/kubelet/status, normalizeStatus); half a result is none."""
    _, pod = PODS[name]()
    injected = 2
    for agent in ("stage-in", "stage-out"):
        env = {item["name"]: item["value"] for item in all_containers(pod)[agent].get("env", ())}
        limit = int(env.get(TERMINATION_VARIABLE, TERMINATION_BYTES))
        assert 12 * 1024 // (len(all_containers(pod)) + injected) >= limit > 256
        assert (limit == TERMINATION_BYTES) is (name not in WITH_PROCESSORS)


def test_the_component_is_not_told_where_kubernetes_is_and_the_agents_hold_no_variables() -> None:
    """A kubelet adds these to each container, unless the container has variables of these names."""
    _, pod = everything()
    for name, container in all_containers(pod).items():
        env = {item["name"]: item.get("value") for item in container.get("env", ())}
        found = {key: value for key, value in env.items() if key.startswith("KUBERNETES_")}
        assert found == (dict.fromkeys(KUBERNETES_VARIABLES, "") if name == "component" else {}), name


def test_a_forwarded_token_is_in_the_components_environment_and_nowhere_else() -> None:
    forward = {"url": "https://storage.example.com", "tokenSecretRef": {"name": "storage-token", "key": "token"}}
    component = make_component(forwardToken=forward)
    run = make_run(component="cleaner")
    pod = build_pod(resolve(run, component, "lake"), run, 2, AGENT_IMAGE, PodSettings())
    env = {item["name"]: item for item in all_containers(pod)["component"]["env"]}
    of_this_attempt = {"secretKeyRef": {"name": pod["metadata"]["name"], "key": "token"}}
    for prefix in ("KBC_", "COMPONENTRUN_"):
        assert env[f"{prefix}TOKEN"] == {"name": f"{prefix}TOKEN", "valueFrom": of_this_attempt}
        assert env[f"{prefix}URL"] == {"name": f"{prefix}URL", "value": "https://storage.example.com"}
    for name, container in all_containers(pod).items():
        if name != "component":
            assert "token" not in json.dumps(container).lower()
    mounted = [item["key"] for volume in pod["spec"]["volumes"] for item in volume.get("secret", {}).get("items", [])]
    assert sorted(mounted) == ["grant-in", "grant-out"]


def test_without_one_nothing_is_set() -> None:
    run, pod = PODS["everything"]()
    assert not [item for item in all_containers(pod)["component"]["env"] if item["name"].endswith(("_TOKEN", "_URL"))]
    secret = build_secret(
        run, 1, pod_uid="u", grant_in=GrantIn("u"), grant_out=GrantOut("u", PostPolicy("u", {}, "k", 1)), redact=()
    )
    assert "token" not in secret["stringData"]


def all_containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["name"]: c for c in pod["spec"]["initContainers"] + pod["spec"]["containers"]}


def test_a_gelf_server_holds_nothing_of_the_run_and_the_component_finds_it() -> None:
    _, pod = PODS["gelf"]()
    assert [item["name"] for item in pod["spec"]["initContainers"]] == ["stage-out", "stage-in", "gelf"]
    server = all_containers(pod)["gelf"]
    assert [mount["mountPath"] for mount in server["volumeMounts"]] == ["/tmp"]
    assert "env" not in server
    env = {item["name"]: item["value"] for item in all_containers(pod)["component"]["env"]}
    for prefix in ("KBC_", "COMPONENTRUN_"):
        assert (env[f"{prefix}LOGGER_ADDR"], env[f"{prefix}LOGGER_PORT"]) == ("127.0.0.1", "12201")
    assert "debug=verbose" in server["command"][-1]
    assert "error=normal" in server["command"][-1]


def test_without_a_gelf_server_components_log_to_the_console() -> None:
    _, pod = PODS["everything"]()
    assert "gelf" not in all_containers(pod)
    assert not [item for item in all_containers(pod)["component"]["env"] if "LOGGER" in item["name"]]


@pytest.mark.parametrize("name", ["simple", "everything", "gelf"])
class TestRestrictedPodSecurity:
    """Rules of https://kubernetes.io/docs/concepts/security/pod-security-standards/, baseline and restricted."""

    def test_no_host_namespace_port_or_path(self, name: str) -> None:
        spec = PODS[name]()[1]["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert not [c for c in all_containers({"spec": spec}).values() if "ports" in c]
        allowed = {
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
            "secret",
        }
        for volume in spec["volumes"]:
            assert len(set(volume) & allowed) == 1
            assert set(volume) <= allowed | {"name"}

    def test_nobody_is_root_or_can_become_it(self, name: str) -> None:
        spec = PODS[name]()[1]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        for container in all_containers({"spec": spec}).values():
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert not {"privileged", "runAsUser", "runAsNonRoot", "procMount", "seLinuxOptions"} & set(context)

    def test_seccomp_and_sysctls(self, name: str) -> None:
        context = PODS[name]()[1]["spec"]["securityContext"]
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"sysctls", "seLinuxOptions", "appArmorProfile", "windowsOptions"} & set(context)


@pytest.mark.parametrize("name", PODS)
class TestWhatHoldsForEveryPod:
    def test_each_grant_is_in_its_own_agent_and_read_only(self, name: str) -> None:
        pod = PODS[name]()[1]
        volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
        seen: dict[str, list[str]] = {}
        for container in all_containers(pod).values():
            for mount in container["volumeMounts"]:
                if "secret" in volumes[mount["name"]]:
                    assert mount["readOnly"] is True
                    assert mount["mountPath"] == grants.GRANT_MOUNT
                    keys = [i["key"] for i in volumes[mount["name"]]["secret"]["items"]]
                    seen.setdefault(container["name"], []).extend(keys)
        assert seen == {"stage-out": ["grant-out"], "stage-in": ["grant-in"]}
        assert all(v["secret"]["defaultMode"] == 0o440 for v in volumes.values() if "secret" in v)

    def test_no_container_shares_its_tmp_with_another(self, name: str) -> None:
        pod = PODS[name]()[1]
        places = [
            m["name"] for c in all_containers(pod).values() for m in c["volumeMounts"] if m["mountPath"] == "/tmp"
        ]
        assert len(places) == len(set(places))

    def test_every_mount_has_its_volume_and_every_volume_is_mounted(self, name: str) -> None:
        pod = PODS[name]()[1]
        mounted = {m["name"] for c in all_containers(pod).values() for m in c["volumeMounts"]}
        assert mounted == {v["name"] for v in pod["spec"]["volumes"]}

    def test_no_secret_value_stands_in_it(self, name: str) -> None:
        text = json.dumps(PODS[name]()[1])
        assert not [value for value in SECRETS if value in text]
        assert "secretKeyRef" not in text
        assert "envFrom" not in text

    def test_no_token_of_the_cluster_reaches_it(self, name: str) -> None:
        spec = PODS[name]()[1]["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert "serviceAccountName" not in spec

    def test_the_uploader_is_there_before_the_component_and_waits_for_its_end(self, name: str) -> None:
        spec = PODS[name]()[1]["spec"]
        assert [c["name"] for c in spec["initContainers"]][:2] == ["stage-out", "stage-in"]
        assert spec["initContainers"][0]["restartPolicy"] == "Always"
        assert "restartPolicy" not in spec["initContainers"][1]
        assert spec["restartPolicy"] == "Never"
        assert spec["terminationGracePeriodSeconds"] == 600
        assert spec["activeDeadlineSeconds"] > int(
            PODS[name]()[1]["metadata"]["annotations"]["componentrun.dev/timeout-seconds"]
        )

    def test_agents_are_not_slowed_by_a_cpu_limit(self, name: str) -> None:
        containers = all_containers(PODS[name]()[1])
        for agent in ("stage-in", "stage-out"):
            assert set(containers[agent]["resources"]["limits"]) <= {"memory", "ephemeral-storage"}
            assert containers[agent]["securityContext"]["readOnlyRootFilesystem"] is True
            assert containers[agent]["terminationMessagePolicy"] == "File"
        assert containers["component"]["terminationMessagePolicy"] == "FallbackToLogsOnError"

    def test_it_goes_with_its_run(self, name: str) -> None:
        run, pod = PODS[name]()
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("ComponentRun", run.metadata.uid, True)


def test_the_template_can_not_choose_its_network_or_timeout() -> None:
    metadata = everything()[1]["metadata"]
    assert metadata["labels"]["componentrun.dev/network-class"] != "open-please"
    assert metadata["labels"]["team"] == "data"
    assert metadata["annotations"]["componentrun.dev/timeout-seconds"] == "7200"


def test_the_template_can_not_switch_security_off() -> None:
    annotations = {"container.apparmor.security.beta.kubernetes.io/component": "unconfined"}
    run = make_run(podTemplate={"annotations": annotations})
    with pytest.raises(UserError, match="apparmor"):
        build_pod(resolve(run, None, "lake"), run, 1, AGENT_IMAGE, PodSettings())


def test_a_disk_limit_for_the_component_leaves_room_for_the_data_folder() -> None:
    containers = all_containers(everything()[1])
    assert containers["component"]["resources"]["limits"]["ephemeral-storage"] == "2Gi"
    assert int(containers["stage-out"]["resources"]["limits"]["ephemeral-storage"]) >= 50 * 2**30
    assert containers["stage-out"]["resources"]["requests"]["ephemeral-storage"] == "16Mi"


def test_without_such_a_limit_nobody_has_one() -> None:
    for container in all_containers(simple()[1]).values():
        assert "ephemeral-storage" not in container["resources"]["limits"]


def test_dollars_in_a_command_arrive_as_they_were_written() -> None:
    args = all_containers(everything()[1])["component"]["args"]
    assert args == ["--out", "$$(date)", "plain"]


class TestSecret:
    def build(self) -> dict[str, Any]:
        post = PostPolicy(
            url="https://store/b", fields={"x-amz-signature": "policy-signature"}, key_prefix="d/", max_bytes=9
        )
        return build_secret(
            make_run(),
            1,
            pod_uid="pod-uid",
            grant_in=GrantIn(plan_url="https://store/plan-in", secrets={"db.#password": "s3cr3t"}),
            grant_out=GrantOut(plan_url="https://store/plan-out", post=post),
            redact=["s3cr3t", "ü"],
        )

    def test_has_exactly_its_three_keys_and_never_changes(self) -> None:
        secret = self.build()
        assert set(secret["stringData"]) == {"grant-in", "grant-out", "redact"}
        assert "data" not in secret
        assert secret["immutable"] is True
        assert json.loads(secret["stringData"]["redact"]) == ["s3cr3t", "ü"]

    def test_grants_can_be_read_back(self) -> None:
        secret = self.build()
        assert from_json(GrantIn, secret["stringData"]["grant-in"]).secrets == {"db.#password": "s3cr3t"}
        assert from_json(GrantOut, secret["stringData"]["grant-out"]).post.max_bytes == 9

    def test_stage_out_does_not_get_the_components_secrets(self) -> None:
        assert "s3cr3t" not in self.build()["stringData"]["grant-out"]

    def test_is_the_pods(self) -> None:
        secret = self.build()
        assert secret["metadata"]["name"] == "daily-1"
        assert secret["metadata"]["ownerReferences"] == [
            {"apiVersion": "v1", "kind": "Pod", "name": "daily-1", "uid": "pod-uid"}
        ]


@given(st.text(max_size=300))
def test_every_text_becomes_a_valid_label_value(text: str) -> None:
    value = label_value(text)
    assert len(value) <= 63
    assert value == "" or (value[0].isalnum() and value[-1].isalnum() and value.isascii())
    assert all(c.isalnum() or c in "-_." for c in value)


@given(st.text(max_size=90), st.text(max_size=90))
def test_two_texts_never_share_a_label_value(one: str, other: str) -> None:
    assert (label_value(one) == label_value(other)) == (one == other)


@pytest.mark.parametrize(
    ("pod", "wanted"), [("daily-1", "daily-1"), ("a.b.c-1", "a-b-c-1"), ("x" * 70 + "-1", "x" * 63)]
)
def test_hostnames_are_one_dns_label(pod: str, wanted: str) -> None:
    assert hostname(pod) == wanted
