"""Build the pod of an attempt and its Secret, as JSON, from the parts in the other modules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.core.pod import containers, security, volumes
from componentrun.core.pod import metadata as podmeta
from componentrun.core.pod.settings import PodSettings
from componentrun.wire import grants
from componentrun.wire.documents import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRun
    from componentrun.core.request.resolve import EffectiveRun
    from componentrun.wire.grants import GrantIn, GrantOut

__all__ = ["PodSettings", "build_pod", "build_secret"]


def build_pod(
    effective: EffectiveRun, run: ComponentRun, attempt: int, agent_image: str, settings: PodSettings
) -> dict[str, Any]:
    """Build the pod of an attempt.

    The run owns the pod. Its labels are those of names.py, and it meets the restricted pod security standard.

    Raises:
        UserError: (InvalidSpec) `spec.podTemplate` tries to change the pod's security.
    """
    name = names.pod_name(effective.name, attempt)
    template = run.spec.pod_template
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": effective.namespace,
            "labels": podmeta.pod_labels(effective, attempt, template),
            "annotations": podmeta.pod_annotations(effective, settings, template),
            "ownerReferences": [podmeta.owner(run)],
        },
        "spec": _spec(effective, run, name, agent_image, settings),
    }


def _spec(
    effective: EffectiveRun, run: ComponentRun, name: str, agent_image: str, settings: PodSettings
) -> dict[str, Any]:
    # Every step but the last one is an init container, and the kubelet runs these in order.
    *earlier, last = containers.steps(effective, agent_image, settings, secret=name)
    return {
        "hostname": podmeta.hostname(name),
        # Containers are never restarted: a component runs once, and the operator decides about another attempt.
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": settings.upload_seconds,
        "activeDeadlineSeconds": backstop_seconds(effective, settings),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security.pod_security(effective.user_id),
        "initContainers": [
            containers.stage_out(effective, agent_image, settings),
            containers.stage_in(effective, agent_image, settings),
            *([] if effective.gelf is None else [containers.gelf(effective.gelf, agent_image, settings, effective)]),
            *earlier,
        ],
        "containers": [last],
        "volumes": volumes.volumes(effective, secret=name),
        **podmeta.scheduling(effective, run),
    }


def backstop_seconds(effective: EffectiveRun, settings: PodSettings) -> int:
    """Seconds until the kubelet stops the pod if no operator does. Longer than any timeout of the operator.

    The operator must stop the pod first: if the kubelet does and the component ignores SIGTERM, the component uses the
    whole grace period, and stage-out has only 2 s left. Each step may wait for its image.
    """
    starts = (1 + len(effective.processors)) * settings.stage_in_seconds
    return starts + effective.total_seconds + 2 * settings.upload_seconds


def build_secret(
    run: ComponentRun,
    attempt: int,
    *,
    pod_uid: str,
    grant_in: GrantIn,
    grant_out: GrantOut,
    redact: Sequence[str],
    token: str | None = None,
) -> dict[str, Any]:
    """Build the attempt's Secret. It has the name of its pod, which owns it, so they are garbage-collected together.

    The Secret is immutable, so that the kubelet reads it once and need not watch it.

    Args:
        run: the run.
        attempt: number of the attempt, starting at 1.
        pod_uid: uid of the pod, which must already exist.
        grant_in: grant that only stage-in can read.
        grant_out: grant that only stage-out can read.
        redact: values to redact in events and statuses. They are not mounted in any container.
        token: token for the component's environment; None if none is forwarded.
    """
    name = names.pod_name(run.metadata.name, attempt)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": run.metadata.namespace,
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                names.RUN_LABEL: podmeta.label_value(run.metadata.name),
                names.ATTEMPT_LABEL: str(attempt),
            },
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod_uid}],
        },
        "type": "Opaque",
        "immutable": True,
        "stringData": {
            grants.GRANT_IN_KEY: to_json(grant_in),
            grants.GRANT_OUT_KEY: to_json(grant_out),
            grants.REDACT_KEY: json.dumps(list(redact), ensure_ascii=False),
            # A copy, so that the component's token is the one that is redacted, even if the original changes meanwhile.
            **({grants.TOKEN_KEY: token} if token is not None else {}),
        },
    }
