"""Names, labels, annotations and scheduling of a run's pod."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.channels import ImageResolution
from componentrun.api.common import API_VERSION, GROUP
from componentrun.core.pod.networkpolicy import network_class
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun
    from componentrun.api.run.podtemplate import PodTemplate
    from componentrun.core.pod.settings import PodSettings
    from componentrun.core.request.resolve import EffectiveRun

__all__ = [
    "hostname",
    "identity_labels",
    "label_value",
    "owner",
    "pod_annotations",
    "pod_labels",
    "scheduling",
    "with_image_of",
]

_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_NOT_IN_A_LABEL: Final = re.compile(r"[^-A-Za-z0-9_.]+")
_MAX_LABEL: Final = 63
_HASH_LENGTH: Final = 8
_SECURITY_ANNOTATIONS: Final = (
    "container.apparmor.security.beta.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
)


def label_value(text: str) -> str:
    """The text as a label value. If it is not valid, the value is its valid part with a hash, so that it is unique."""
    if _LABEL_VALUE.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
    head = _NOT_IN_A_LABEL.sub("-", text)[: _MAX_LABEL - _HASH_LENGTH - 1].strip("-_.")
    return f"{head}-{digest}" if head else digest


def pod_labels(effective: EffectiveRun, attempt: int, template: PodTemplate | None) -> dict[str, str]:
    """The labels of a pod: ComponentRun's, and those of the template, except of ComponentRun's API group."""
    labels = {
        **identity_labels(effective.name, effective.uid, attempt),
        names.COMPONENT_LABEL: label_value(effective.component_id),
        names.STORAGE_LABEL: label_value(effective.storage),
        names.NETWORK_CLASS_LABEL: network_class(effective.network, effective.storage),
    }
    labels |= effective.queue_labels
    if effective.configuration_id:
        labels[names.CONFIGURATION_LABEL] = label_value(effective.configuration_id)
    return _foreign((template and template.labels) or {}) | labels


def identity_labels(run: str, run_uid: str, attempt: int) -> dict[str, str]:
    """The labels that identify a pod and its run."""
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.RUN_LABEL: label_value(run),
        names.RUN_UID_LABEL: label_value(run_uid),
        names.ATTEMPT_LABEL: str(attempt),
    }


def pod_annotations(effective: EffectiveRun, settings: PodSettings, template: PodTemplate | None) -> dict[str, str]:
    """The annotations of a pod: ComponentRun's, and those of the template, except of ComponentRun's API group.

    Raises:
        UserError: (InvalidSpec) the template tries to change a security setting.
    """
    template_annotations = _foreign((template and template.annotations) or {})
    for key in template_annotations:
        if key.startswith(_SECURITY_ANNOTATIONS):
            raise UserError(
                f"spec.podTemplate.annotations: `{key}` changes the pod's security, which a run can't: leave it out",
                Reason.INVALID_SPEC,
            )
    return template_annotations | {
        names.TIMEOUT_ANNOTATION: str(effective.timeout_seconds),
        names.UPLOAD_ANNOTATION: str(settings.upload_seconds),
        **(
            {names.IMAGE_ANNOTATION: _resolution_text(effective.image_resolution)} if effective.image_resolution else {}
        ),
        # The default container of `kubectl logs`, also if it is an init container.
        "kubectl.kubernetes.io/default-container": names.COMPONENT,
    }


def _resolution_text(resolution: ImageResolution) -> str:
    return resolution.model_dump_json(by_alias=True, exclude_none=True)


def with_image_of(pod: dict[str, Any], effective: EffectiveRun) -> EffectiveRun:
    """The run with the image of its existing pod: the tag may have moved since an earlier operator created the pod.

    Unchanged if its Component has no channels.
    """
    if effective.image_resolution is None:
        return effective
    image = next(str(item["image"]) for item in pod["spec"]["containers"] if item["name"] == names.COMPONENT)
    text = (pod["metadata"].get("annotations") or {}).get(names.IMAGE_ANNOTATION, "")
    try:
        resolution = ImageResolution.model_validate_json(text)
    except ValueError:  # somebody has edited it
        resolution = effective.image_resolution
    return replace(effective, image=image, image_resolution=resolution)


def _foreign(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if not key.startswith(f"{GROUP}/")}


def hostname(pod: str) -> str:
    """The pod's name as a single DNS label, because a run's name may contain dots."""
    return pod.replace(".", "-")[:_MAX_LABEL].strip("-")


def owner(run: ComponentRun) -> dict[str, Any]:
    """The owner reference of a pod to its run, so that it is deleted with the run and has only one controller.

    `blockOwnerDeletion` is not set: with the admission plugin OwnerReferencesPermissionEnforcement (OpenShift), setting
    it requires permission for the run's finalizers, and nothing depends on the order of deletion.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": run.KIND,
        "name": run.metadata.name,
        "uid": run.metadata.uid,
        "controller": True,
    }


def scheduling(effective: EffectiveRun, run: ComponentRun) -> dict[str, Any]:
    """Scheduling and registry credentials, from the pod template, the run and its Component."""
    template = run.spec.pod_template
    result: dict[str, Any] = {}
    if run.spec.priority_class_name:
        result["priorityClassName"] = run.spec.priority_class_name
    if template:
        fields = template.to_dict()
        keys = ("nodeSelector", "tolerations", "affinity", "runtimeClassName")
        result |= {key: fields[key] for key in keys if fields.get(key)}
    if effective.pull_secrets:
        result["imagePullSecrets"] = [{"name": name} for name in effective.pull_secrets]
    return result
