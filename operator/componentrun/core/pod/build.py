"""The pod of an attempt and its Secret, as plain JSON. One small module for each concern; this one joins them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from componentrun.api import names
from componentrun.core.pod import containers, security, volumes
from componentrun.core.pod import metadata as podmeta
from componentrun.core.pod.settings import PodSettings
from componentrun.wire import agents as exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.api.componentrun import ComponentRun
    from componentrun.core.request.resolve import EffectiveRun
    from componentrun.wire.agents import GrantIn, GrantOut

__all__ = ["PodSettings", "build_pod", "build_secret"]


def build_pod(
    effective: EffectiveRun, run: ComponentRun, attempt: int, agent_image: str, settings: PodSettings
) -> dict[str, Any]:
    """The pod of an attempt: owned by the run, labelled as names.py says, fit for the restricted pod security standard.

    Raises:
        UserError: INVALID_SPEC where `spec.podTemplate` tries to change the pod's security.
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
    return {
        "hostname": podmeta.hostname(name),
        # Never started again in place: a component runs once, and what comes next is the operator's decision.
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": settings.upload_seconds,
        "activeDeadlineSeconds": backstop_seconds(effective, settings),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security.pod_security(effective.user_id),
        "initContainers": [
            containers.stage_out(effective, agent_image, settings),
            containers.stage_in(effective, agent_image, settings),
            *([] if effective.gelf is None else [containers.gelf(effective.gelf, agent_image, settings)]),
        ],
        "containers": [containers.component(effective, settings, secret=name)],
        "volumes": volumes.volumes(effective, secret=name),
        **podmeta.scheduling(run, settings),
    }


def backstop_seconds(effective: EffectiveRun, settings: PodSettings) -> int:
    """When the kubelet stops the pod if no operator does: later than any decision of the operator could be.

    It is a poor stop (a component that ignores SIGTERM keeps the whole grace period, stage-out then gets 2 s), so it
    must not come first.
    """
    return settings.stage_in_seconds + effective.timeout_seconds + 2 * settings.upload_seconds


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
    """The attempt's Secret, named like its pod and owned by it: it goes when the pod goes, without anybody's doing.

    Immutable: the kubelet then reads it once and need not watch it.

    Args:
        run: the run.
        attempt: 1 for the first.
        pod_uid: of the pod that was created before.
        grant_in: for stage-in's eyes only.
        grant_out: for stage-out's eyes only.
        redact: values that must never appear in an event or a status; mounted nowhere.
        token: for the component's environment; None where none is forwarded.
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
            exchange.GRANT_IN_KEY: exchange.to_json(grant_in),
            exchange.GRANT_OUT_KEY: exchange.to_json(grant_out),
            exchange.REDACT_KEY: json.dumps(list(redact), ensure_ascii=False),
            # A copy, so that what the component holds is what is redacted, also if the original changes meanwhile.
            **({exchange.TOKEN_KEY: token} if token is not None else {}),
        },
    }
