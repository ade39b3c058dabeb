"""Names that stand on objects in the cluster: labels, annotations, containers, volumes. One place for each."""

from __future__ import annotations

import re
from typing import Final

GROUP: Final = "componentrun.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "componentrun"

RUN_LABEL: Final = f"{GROUP}/run"
"""Name of the run; also the label by which pods are watched."""
OUR_PODS: Final = f"{RUN_LABEL},{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Selects the pods that an operator has made, and may delete."""
RUN_UID_LABEL: Final = f"{GROUP}/run-uid"
ATTEMPT_LABEL: Final = f"{GROUP}/attempt"
COMPONENT_LABEL: Final = f"{GROUP}/component"
CONFIGURATION_LABEL: Final = f"{GROUP}/configuration"
OPERATOR_LABEL: Final = f"{GROUP}/operator"
"""On a run: the operator that it is for, where there are several (a canary, a test); without it, the nameless one."""
STORAGE_LABEL: Final = f"{GROUP}/storage"
TABLE_ANNOTATION: Final = f"{GROUP}/table"
"""On a Job that maintains a table: the table's id."""
SPARK_LABEL: Final = f"{GROUP}/spark"
"""On Jobs that maintain tables, and on their pods: a hash of the Storage."""
PRE_PULL_LABEL: Final = f"{GROUP}/pre-pull"
"""On DaemonSets that keep an image on nodes, and on their pods, which have no `RUN_LABEL`: name of the DaemonSet."""
OUR_PRE_PULLS: Final = f"{PRE_PULL_LABEL},{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Selects these DaemonSets, and these pods."""
BUILD_LABEL: Final = f"{GROUP}/build"
"""On the pod of a build, which has no `RUN_LABEL`, and on its Secrets: name of the ComponentBuild."""
BUILD_NAMESPACE_LABEL: Final = f"{GROUP}/build-namespace"
"""Beside it: namespace of the ComponentBuild."""
BUILD_UID_LABEL: Final = f"{GROUP}/build-uid"
"""Beside it: uid of the ComponentBuild."""
OUR_BUILDS: Final = f"{BUILD_LABEL},{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Selects the pods and Secrets of builds."""
PODS_OF_BUILDS: Final = f"{OUR_BUILDS},{BUILD_NAMESPACE_LABEL}"
"""Selects the same, if they name the namespace of their ComponentBuild."""
START_BUILD_PREFIX: Final = f"start-build.{GROUP}/"
"""On a Component, followed by the name of a channel: asks the operator to build the channel's image without a run. Each
value is one request, which the status answers."""
FRESH_BUILD_PREFIX: Final = f"fresh-build.{GROUP}/"
"""Likewise: a time in the form of `FRESH_FORMAT`. Images of the channel that were built for an earlier time, or for
none, are not used."""
FRESH_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
CATALOGUE_LABEL: Final = f"{GROUP}/catalogue"
"""On a Component or ClusterComponent: name of the catalogue that owns it. `componentrun catalogue sync` changes and
deletes only objects with the name of its catalogue."""
CATALOGUE_DIGEST_ANNOTATION: Final = f"{GROUP}/catalogue-digest"
"""Beside the label: digest of what was applied."""
IMPORTED_ANNOTATION: Final = f"{GROUP}/imported"
"""On a Component that was imported: JSON with what its source says about it and a Component has no field for."""
NETWORK_CLASS_LABEL: Final = f"{GROUP}/network-class"
"""Selects the pods that one NetworkPolicy is about; pods that may reach the same share a class."""

KUEUE_PREFIX: Final = "kueue.x-k8s.io/"
"""Labels that a run hands on to its pod: Kueue manages single pods by them."""
KUEUE_QUEUE_LABEL: Final = f"{KUEUE_PREFIX}queue-name"

TIMEOUT_ANNOTATION: Final = f"{GROUP}/timeout-seconds"
"""On the pod, for people: how long the component may run."""
TIMEOUT_VARIABLE: Final = "COMPONENTRUN_TIMEOUT_SECONDS"
GROUP_VARIABLE: Final = "COMPONENTRUN_CONCURRENCY_GROUP"
"""The same among the environment of stage-out, where nobody can change it any more: what the operator goes by."""
IMAGE_ANNOTATION: Final = f"{GROUP}/image-resolution"
"""On the pod: how the digest of the component's image was found, as JSON."""
STEP_IMAGES_ANNOTATION: Final = f"{GROUP}/step-image-resolutions"
"""On the pod: the same for its processors, as a JSON object by container."""
UPLOAD_ANNOTATION: Final = f"{GROUP}/upload-seconds"
"""On the pod, for people: how long stage-out may take. The operator goes by the pod's own grace period."""

STAGE_IN: Final = "stage-in"
STAGE_OUT: Final = "stage-out"
GELF: Final = "gelf"
COMPONENT: Final = "component"
BUILD: Final = "build"
"""Source of the events that the lines of a build become. No container has this name."""
CONTAINERS: Final = (STAGE_IN, COMPONENT, GELF, STAGE_OUT)
"""Names of the containers of a pod without processors, in the order in which their work begins."""
STEPS_VARIABLE: Final = "COMPONENTRUN_STEPS"
"""In the environment of stage-out of a pod with processors: its steps, as JSON (`core.pod.steps`)."""
_STEP: Final = re.compile(rf"(?P<agent>to-)?({COMPONENT}|(before|after)-\d{{1,2}})")

DATA_VOLUME: Final = "data"
GRANT_IN_VOLUME: Final = "grant-in"
GRANT_OUT_VOLUME: Final = "grant-out"
TMP_VOLUME: Final = "tmp"

PRE_PULL: Final = "pre-pull"
"""Container of a pod that keeps an image on its node."""
IMAGE_VOLUME: Final = "image"
"""Volume of such a pod: the image."""

CHAIN_VOLUME: Final = "chain"
"""What the agents between two steps need. No component and no processor mounts it."""

MAX_RUN_NAME: Final = 58
"""Characters of a run's name, so that `<run>-<attempt>` is a label value, too."""


def pod_name(run: str, attempt: int | str) -> str:
    """Name of an attempt's pod, and of its Secret."""
    return f"{run}-{attempt}"


def processor_container(position: str, number: int) -> str:
    """Name of a processor's container, such as `before-1`.

    Args:
        position: `before` or `after`.
        number: its place among those of its position, from 1.
    """
    return f"{position}-{number}"


def agent_before(step: str) -> str:
    """Name of the agent's container that prepares the data folder for a step, such as `to-after-1`."""
    return f"to-{step}"


def is_step(container: str) -> bool:
    """Whether this is the component, a processor, or an agent between two of them."""
    return _STEP.fullmatch(container) is not None


def is_program(container: str) -> bool:
    """Whether this is the component or a processor."""
    found = _STEP.fullmatch(container)
    return found is not None and not found["agent"]


def is_of_a_run(container: str) -> bool:
    """Whether this is a container that the operator puts into a pod."""
    return container in CONTAINERS or is_step(container)
