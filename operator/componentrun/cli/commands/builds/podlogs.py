"""The log of a build's pod: what its steps print, one after another.

The pod is in the platform's namespace, which few people may read, and it is deleted after the build. What then remains
are the last lines of the commands in the status of the build, and the events of the runs that waited for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.cli.errors import BadRequestError, NotAllowedError, NotFoundError
from componentrun.process.kubernetes.resources import PODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.build.componentbuild import ComponentBuild
    from componentrun.cli.session import Session
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["print_log"]

_POLL_SECONDS: Final = 0.5
_ENDED: Final = frozenset({"Succeeded", "Failed"})


def print_log(session: Session, build: ComponentBuild, step: str | None, *, follow: bool) -> None:
    """Print what the steps of a build have printed.

    Without the pod, or the right to read its log, print the last lines that the status has.

    Args:
        session: of the command.
        build: the build.
        step: only this step; None: all steps that have begun.
        follow: print new lines until the build has ended.

    Raises:
        BadRequestError: the build has no pod yet, or no such step.
        NotFoundError: the pod is gone, and the status has no last lines.
        NotAllowedError: likewise, for somebody who may not read the log.
    """
    pod = build.status.pod
    if pod is None:
        raise _without_pod(build)
    try:
        _print_steps(session, pod.namespace, pod.name, step, follow=follow)
    except NotFoundError as error:
        summary = f"pod `{pod.namespace}/{pod.name}` is gone: pods of builds are deleted after their end"
        advice = f"`componentrun build get {build.metadata.name}` shows how the build ended."
        _print_last_words(session, build, NotFoundError(summary, advice), error)
    except NotAllowedError as error:
        summary = f"you are not allowed to read the log of pod `{pod.name}` in namespace `{pod.namespace}`"
        advice = (
            f"`componentrun build get {build.metadata.name}` shows the steps and how the build ended. For the log, ask "
            f"your cluster's administrator for the verb `get` on `pods` and `pods/log` in namespace `{pod.namespace}`."
        )
        _print_last_words(session, build, NotAllowedError(summary, advice), error)


def _without_pod(build: ComponentBuild) -> BadRequestError:
    name, phase = build.metadata.name, build.status.phase or "Pending"
    if build.status.completion_time:
        return BadRequestError(f"build `{name}` ended without a pod", f"`componentrun build get {name}` says why.")
    return BadRequestError(f"build `{name}` has no pod yet: it is `{phase}`", "Try again in a few seconds.")


def _print_last_words(
    session: Session, build: ComponentBuild, problem: BadRequestError, cause: BadRequestError
) -> None:
    """Print the last lines of the commands and why there are not more; without any, raise the problem."""
    words = build.status.last_words
    if not words:
        raise problem from cause
    session.output.note(f"{problem.summary}; these are the last lines of the commands")
    for line in words.rstrip("\n").split("\n"):
        session.output.line(line)


def _print_steps(session: Session, namespace: str, name: str, step: str | None, *, follow: bool) -> None:
    pod = session.cluster.get(PODS, name, namespace=namespace)
    containers = [item["name"] for item in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])]
    if step is not None and step not in containers:
        raise BadRequestError(
            f"`--step {step}`: there is no such step", f"The steps are {', '.join(f'`{item}`' for item in containers)}."
        )
    for container in containers if step is None else [step]:
        if follow:
            pod = _begun(session, pod, container)
        if not _has_begun(pod, container):
            return
        for line in session.cluster.log(name, container, namespace=namespace, follow=follow):
            session.output.line(line)


def _begun(session: Session, pod: JsonObject, container: str) -> JsonObject:
    """The pod when a container has begun, or can't begin any more."""
    metadata = pod["metadata"]
    while not _has_begun(pod, container) and pod.get("status", {}).get("phase") not in _ENDED:
        session.makers.sleep(_POLL_SECONDS)
        pod = session.cluster.get(PODS, metadata["name"], namespace=metadata["namespace"])
    return pod


def _has_begun(pod: Mapping[str, Any], container: str) -> bool:
    status = pod.get("status") or {}
    containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    state = next((item.get("state") or {} for item in containers if item["name"] == container), {})
    return "running" in state or "terminated" in state
