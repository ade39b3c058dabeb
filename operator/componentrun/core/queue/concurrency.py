"""The queue's view of a run: its concurrency group and policy, and whether it waits, has started or has ended.

A run is read for every event, so these functions use the raw object. Fields that are missing or malformed count as
unset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from componentrun import contract
from componentrun.api import names
from componentrun.api.common import Policy
from componentrun.core.lifecycle.conditions import ACCEPTED
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.core.queue.entry import Entry, Order
from componentrun.core.request.image import component_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRun
    from componentrun.core.podstatus.view import PodView

__all__ = [
    "DEFAULTS",
    "Defaults",
    "RunFacts",
    "defaults_of",
    "effective_group",
    "entry_of",
    "entry_of_pod",
    "facts_of",
    "limit_of",
]

Stage = Literal["waiting", "held", "started", "ended"]
_POLICIES: Final = get_args(Policy)


@dataclass(frozen=True, slots=True)
class Defaults:
    """Concurrency settings of a Component, which apply to its runs."""

    policy: Policy = "Queue"
    parallelism: int = 1


DEFAULTS: Final = Defaults()
"""Defaults for runs without a Component, and for Components without settings."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The attributes of a run that the queue needs, without those of its Component."""

    name: str
    order: Order
    stage: Stage
    """`held`: the run has not started, and is suspended, cancelled, not accepted or being deleted."""
    group: str | None
    component: str | None
    policy: Policy | None
    counted: bool
    quota_class: str


def facts_of(run: Mapping[str, Any], version: int, old: RunFacts | None = None) -> RunFacts:
    """Read a run.

    Args:
        run: the object.
        version: its resource version, which determines the run's order if no earlier version is known.
        old: earlier facts about the run; None: there are none.
    """
    metadata, spec = run["metadata"], _dict(run, "spec")
    uid = str(metadata.get("uid", ""))
    number = _dict(_dict(run, "status"), "queue").get("number")
    if old is not None and old.order.uid == uid:
        number = old.order.number
    return RunFacts(
        name=metadata["name"],
        order=Order(str(metadata.get("creationTimestamp", "")), number if isinstance(number, int) else version, uid),
        stage=_stage(run),
        group=_group(spec),
        component=spec.get("component"),
        policy=_policy(_dict(spec, "concurrency")),
        counted=not _is_kueues(metadata, spec),
        quota_class=str(spec.get("priorityClassName") or ""),
    )


def entry_of(facts: RunFacts, defaults: Defaults, *, placed: bool, claimed: bool = False) -> Entry:
    """The run's entry in the queue."""
    policy = facts.policy or defaults.policy
    return Entry(
        name=facts.name,
        order=facts.order,
        group=None if policy == "Allow" else facts.group,
        policy=policy,
        parallelism=defaults.parallelism,
        placed=placed,
        claimed=claimed,
        counted=facts.counted,
        quota_class=facts.quota_class,
    )


def effective_group(run: ComponentRun, component: Component | None) -> str | None:
    """The group in which a run's pod keeps a place; None if its policy is Allow or it has no group."""
    # Not the whole Component, which may have a schema of hundreds of KiB.
    concurrency = component.spec.concurrency if component is not None else None
    defaults = DEFAULTS if concurrency is None else defaults_of({"spec": {"concurrency": concurrency.to_dict()}})
    return entry_of(facts_of(run.to_dict(), 0), defaults, placed=True).group


def entry_of_pod(pod: PodView, run: str, run_uid: str) -> Entry:
    """The entry of a pod whose run no longer exists."""
    return Entry(
        name=f"{run} (deleted, {run_uid})",
        order=Order(f"{pod.created:%Y-%m-%dT%H:%M:%SZ}", 0, run_uid),
        group=pod.group or None,
        placed=True,
        counted=pod.counted,
    )


def defaults_of(component: Mapping[str, Any]) -> Defaults:
    """Concurrency settings of a Component, which apply to its runs."""
    concurrency = _dict(_dict(component, "spec"), "concurrency")
    parallelism = concurrency.get("parallelism")
    return Defaults(
        policy=_policy(concurrency) or DEFAULTS.policy,
        parallelism=parallelism if isinstance(parallelism, int) and parallelism > 0 else DEFAULTS.parallelism,
    )


def limit_of(storages: list[dict[str, Any]], default: int | None) -> int | None:
    """Maximum number of runs of a namespace with a pod: its default Storage's, or the operator's."""
    limits_given = [
        _dict(storage, "spec").get("maxRunning")
        for storage in storages
        if _dict(storage, "spec").get("default") is True
    ]
    limits = [limit for limit in limits_given if isinstance(limit, int)]
    return min(limits, default=default)


def _stage(run: Mapping[str, Any]) -> Stage:
    status, spec = _dict(run, "status"), _dict(run, "spec")
    if status.get("phase") in TERMINAL:
        return "ended"
    if status.get("attempts"):
        return "started"
    is_held = spec.get("cancel") or spec.get("suspend") or run["metadata"].get("deletionTimestamp")
    return "held" if is_held or _is_refused(status) else "waiting"


def _is_refused(status: Mapping[str, Any]) -> bool:
    """Whether the last release that handled the run did not accept it. In that case no other run waits for it."""
    conditions = status.get("conditions")
    return any(
        isinstance(item, dict) and (item.get("type"), item.get("status")) == (ACCEPTED, "False")
        for item in (conditions if isinstance(conditions, list) else ())
    )


def _group(spec: Mapping[str, Any]) -> str | None:
    """The run's group. Defaults to one for the owner of its state; None if it has no state."""
    name = _dict(spec, "concurrency").get("group")
    if name:
        return str(name)
    configuration = _dict(spec, "configuration")
    if not configuration.get("id"):
        return None
    owner = spec.get("component") or component_id(str(spec.get("image", "")), None)
    group = f"{owner}/{configuration['id']}"
    if configuration.get("row"):
        group += f"/{configuration['row']}"
    branch = configuration.get("branch") or contract.DEFAULT_BRANCH
    return group if branch == contract.DEFAULT_BRANCH else f"{group}@{branch}"


def _policy(concurrency: Mapping[str, Any]) -> Policy | None:
    policy = concurrency.get("policy")
    return cast("Policy", policy) if policy in _POLICIES else None


def _is_kueues(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> bool:
    labels = _dict(_dict(spec, "podTemplate"), "labels") | _dict(metadata, "labels")
    return names.KUEUE_QUEUE_LABEL in labels


def _dict(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
