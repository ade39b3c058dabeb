"""The Job in which Spark maintains a table."""

from __future__ import annotations

import json
from typing import Any

from componentrun.api import names
from componentrun.api.component import Resources
from componentrun.api.storage import Storage, StorageSpark
from componentrun.core.pod.networkpolicy import build_spark_policy
from componentrun.core.storages.sparkjob import build_job, job_memory, job_name, spark_label
from componentrun.wire.spark import TASK_VARIABLE, SparkTask, from_text

TABLE = "out.c-main.large"


def storage(name: str = "lake", uid: str = "1", **spec: Any) -> Storage:
    catalog = {"uri": "https://catalog.example.com", "warehouse": "lake", "credentials": {"secretName": "login"}}
    given = {"bucket": "bucket", "credentials": {"secretName": "keys"}, "catalog": catalog} | spec
    return Storage.model_validate({"metadata": {"name": name, "namespace": "team", "uid": uid}, "spec": given})


def task(**more: Any) -> SparkTask:
    said: dict[str, Any] = {"storage": {}, "table": TABLE, "scans": False, "history": 86400.0, "file_bytes": 1}
    return SparkTask(**said | {"files": 8, "deleted_percent": 20, "memory": 2**30} | more)


def job(of: Storage | None = None, **spark: Any) -> dict[str, Any]:
    return build_job(of or storage(), StorageSpark.model_validate(spark), task(), "registry/spark:1")


def pod(**spark: Any) -> dict[str, Any]:
    found: dict[str, Any] = job(**spark)["spec"]["template"]["spec"]
    return found


def test_two_operators_make_one_job_for_a_table() -> None:
    assert job()["metadata"]["name"] == job()["metadata"]["name"] == job_name(storage(), TABLE)
    others = {
        job_name(storage(), "out.c-main.other"),
        job_name(storage("two"), TABLE),
        job_name(storage(uid="2"), TABLE),
    }
    assert len({*others, job_name(storage(), TABLE)}) == 4


def test_pull_secrets_of_the_storage_are_used_in_addition() -> None:
    def pulls(storage: Storage, *names: str) -> object:
        job = build_job(storage, StorageSpark(), task(), "registry/spark:1", names)
        return job["spec"]["template"]["spec"].get("imagePullSecrets")

    own = {"imagePullSecrets": [{"name": "default"}, {"name": "both"}]}
    assert pulls(storage(**own), "both", "chart") == [{"name": "default"}, {"name": "both"}, {"name": "chart"}]
    assert pulls(storage()) is None


def test_it_ends_and_goes() -> None:
    spec = job(timeout="2h")["spec"]
    said = ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "parallelism")
    assert [spec[name] for name in said] == [1, 7200, 600, 1]
    assert job()["metadata"]["ownerReferences"][0]["kind"] == "Storage"


def test_its_pod_is_restricted_and_has_no_token() -> None:
    found = pod()
    assert found["automountServiceAccountToken"] is False
    assert found["securityContext"]["runAsNonRoot"] is True
    (container,) = found["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "serviceAccountName" not in found
    assert pod(serviceAccountName="cloud")["serviceAccountName"] == "cloud"


def test_keys_are_files_and_neither_arguments_nor_environment() -> None:
    found = pod()
    (container,) = found["containers"]
    assert [(item["name"], "secret" in item) for item in found["volumes"]] == [
        ("tmp", False), ("store", True), ("catalog", True),
    ]  # fmt: skip
    assert all(item["readOnly"] for item in container["volumeMounts"][1:])
    assert not any("valueFrom" in item for item in container["env"])
    told = next(item["value"] for item in container["env"] if item["name"] == TASK_VARIABLE)
    assert from_text(told) == task()
    assert container["command"] == ["python3", "-m", "componentrun.spark"]


def test_a_storage_with_a_cloud_identity_has_no_secrets() -> None:
    catalog = {"uri": "https://catalog.example.com", "warehouse": "lake"}
    found = job(storage(credentials=None, catalog=catalog))["spec"]["template"]["spec"]
    assert [item["name"] for item in found["volumes"]] == ["tmp"]


def test_resources_are_those_of_the_storage() -> None:
    given = StorageSpark(resources=Resources(limits={"memory": "8Gi"}, requests={"cpu": "1"}))
    resources = build_job(storage(), given, task(), "i")["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {
        "limits": {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "20Gi"},
        "requests": {"cpu": "1", "memory": "8Gi", "ephemeral-storage": "20Gi"},
    }
    assert job_memory(given) == 8 * 2**30


def test_nothing_but_store_catalog_and_dns_is_open_to_it() -> None:
    addresses = {"store_addresses": [("192.0.2.1", 443)], "catalog_addresses": [("192.0.2.2", 8181)]}
    label = spark_label(storage())
    policy = build_spark_policy(storage(), "name", label, **addresses)
    assert policy["spec"]["podSelector"]["matchLabels"] == {names.SPARK_LABEL: label}
    assert job()["spec"]["template"]["metadata"]["labels"][names.SPARK_LABEL] == label
    assert policy["spec"]["ingress"] == []
    dns, *opened = policy["spec"]["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert [rule["to"][0]["ipBlock"]["cidr"] for rule in opened] == ["192.0.2.1/32", "192.0.2.2/32"]
    assert "169.254" not in json.dumps(policy)
