"""Build the Job in which Spark maintains one table, as JSON: a restricted pod without a service account token.

The name of the Job is derived from the Storage and the table, so a table never has more than one. Keys are mounted as
files from the Storage's own Secrets; neither environment variables nor arguments contain any.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import API_VERSION, duration_seconds, quantity_value
from componentrun.core.pod.security import container_security, pod_security
from componentrun.wire.spark import CATALOG_FOLDER, STORE_FOLDER, TASK_VARIABLE, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.storage import Storage, StorageSpark
    from componentrun.wire.spark import SparkTask

__all__ = ["build_job", "job_memory", "job_name", "spark_label"]

_SCRATCH: Final = "/tmp"  # noqa: S108 - a volume of the pod
_USER: Final = 1000
_KEPT_SECONDS: Final = 600
_GRACE_SECONDS: Final = 10
_HASH_LENGTH: Final = 16
_LIMITS: Final = {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "20Gi"}
_REQUESTED_CPU: Final = "500m"


def spark_label(storage: Storage) -> str:
    """Value of the label on all Jobs and pods of a Storage."""
    return _hash(storage.metadata.uid or "", storage.metadata.namespace, storage.metadata.name)


def job_name(storage: Storage, table: str) -> str:
    """Name of the Job that maintains a table."""
    return f"{names.MANAGED_BY}-spark-{_hash(spark_label(storage), table)}"


def job_memory(spark: StorageSpark) -> int:
    """Memory limit of the pod in bytes."""
    return int(quantity_value(_limits(spark)["memory"]))


def build_job(
    storage: Storage, spark: StorageSpark, task: SparkTask, image: str, pull_secrets: Sequence[str] = ()
) -> dict[str, Any]:
    """Build the Job.

    Args:
        storage: owner of the Job. Its Secrets are mounted.
        spark: `spec.maintenance.spark` of the Storage.
        task: the task.
        image: image of the pod.
        pull_secrets: image pull secrets in the Storage's namespace, in addition to those of the Storage.
    """
    label = spark_label(storage)
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.SPARK_LABEL: label}
    pod = _pod(storage, spark, task, image)
    pulls = dict.fromkeys([*(ref.name for ref in storage.spec.image_pull_secrets), *pull_secrets])
    if pulls:
        pod["imagePullSecrets"] = [{"name": name} for name in pulls]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(storage, task.table),
            "namespace": storage.metadata.namespace,
            "labels": labels,
            "annotations": {names.TABLE_ANNOTATION: task.table},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": storage.KIND,
                    "name": storage.metadata.name,
                    "uid": storage.metadata.uid,
                }
            ],
        },
        "spec": {
            # After a kill, the second pod continues the work. A Job that fails twice needs a person's attention.
            "backoffLimit": 1,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": int(duration_seconds(spark.timeout)),
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _pod(storage: Storage, spark: StorageSpark, task: SparkTask, image: str) -> dict[str, Any]:
    limits = _limits(spark)
    requests = {name: value for name, value in limits.items() if name != "cpu"} | {"cpu": _REQUESTED_CPU}
    given = spark.resources.requests if spark.resources is not None else None
    secrets = _secrets(storage)
    account = {} if spark.service_account_name is None else {"serviceAccountName": spark.service_account_name}
    return {
        **account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": pod_security(_USER),
        "containers": [
            {
                "name": "spark",
                "image": image,
                "command": ["python3", "-m", "componentrun.spark"],
                "workingDir": _SCRATCH,
                "env": [
                    {"name": TASK_VARIABLE, "value": to_text(task)},
                    {"name": "AWS_REGION", "value": storage.spec.region},
                    {"name": "SPARK_LOCAL_DIRS", "value": _SCRATCH},
                ],
                "resources": {"limits": limits, "requests": requests | dict(given or {})},
                "securityContext": container_security(read_only_root=True),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": names.TMP_VOLUME, "mountPath": _SCRATCH},
                    *({"name": name, "mountPath": folder, "readOnly": True} for name, folder, _ in secrets),
                ],
            }
        ],
        "volumes": [
            {"name": names.TMP_VOLUME, "emptyDir": {"sizeLimit": limits["ephemeral-storage"]}},
            *({"name": name, "secret": {"secretName": of, "defaultMode": 0o440}} for name, _, of in secrets),
        ],
    }


def _limits(spark: StorageSpark) -> dict[str, str]:
    given = spark.resources.limits if spark.resources is not None else None
    return _LIMITS | {str(name): value for name, value in (given or {}).items()}


def _secrets(storage: Storage) -> list[tuple[str, str, str]]:
    """Volume, folder and name of each Secret."""
    catalog = storage.spec.catalog
    store, login = storage.spec.credentials, catalog.credentials if catalog is not None else None
    found = [] if store is None else [("store", STORE_FOLDER, store.secret_name)]
    return found if login is None else [*found, ("catalog", CATALOG_FOLDER, login.secret_name)]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
