"""Carries out the action StartAttempt: creates everything that a pod needs, in an order that is safe to repeat.

    1. resolve    Component and its image, Storage (does its store enforce grants?), ConfigMap, secrets
                  -> `core.request.resolve`
    2. plan       look up inputs, write plans to the store, sign grants
    3. policy     create or update the NetworkPolicy of the run's class
    4. pod        create it, owned by the run; an existing pod of its name must be the run's, and a Secret that pod's
    5. status     the caller writes the result of `core.lifecycle.status.attempt_started`
    6. Secret     create it, owned by the pod, so that both are deleted together; the kubelet waits for it

If the operator is killed between two steps, the next reconcile continues: plans are written again under the same
keys, so the grant in an existing Secret still refers to them. A pod that is not recorded in the status never ran.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import quantity_value
from componentrun.api.componentrun import TableStatus
from componentrun.api.mapping.changedsince import ADAPTIVE, changed_since
from componentrun.api.mapping.files import FileStatus
from componentrun.controller.attempts.parametersfrom import referenced_parameters
from componentrun.controller.attempts.podcreation import PodCreator
from componentrun.controller.attempts.secretvalues import SecretValues, forwarded_token, secret_values
from componentrun.controller.schemacheck.parameters import check_parameters
from componentrun.controller.storages.references import new_enough_for
from componentrun.core.components.deprecation import check_deprecation, replacement_of
from componentrun.core.images.pullsecretnames import pull_secret_names
from componentrun.core.lifecycle import status as core_status
from componentrun.core.pod.build import build_secret
from componentrun.core.pod.metadata import with_image_of
from componentrun.core.pod.steps import step_configs
from componentrun.core.request.buckets import writable_buckets
from componentrun.core.request.config import state_secrets
from componentrun.core.request.parameters import StepParameters, parameters_of
from componentrun.core.request.processors import processor_names
from componentrun.core.request.resolve import EffectiveRun, resolve
from componentrun.core.storages.catalog import check_tables_can_be_kept
from componentrun.core.storages.scope import ScopeMethod, need_scope, warning_of
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.fileinput import FileSource
from componentrun.storage.access.grants import MAX_EXPIRY
from componentrun.storage.access.plans import AttemptPlan, prepare_attempt
from componentrun.storage.access.reading import Wish
from componentrun.storage.files.lookup import FileQuery
from componentrun.storage.state.state import Memory, StateOwner, read_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRun, ComponentRunStatus
    from componentrun.controller.images.resolving import Images
    from componentrun.controller.reconcile.policies import Policies
    from componentrun.controller.schemacheck.checker import SchemaChecker
    from componentrun.controller.storages.catalogtables import CatalogTables
    from componentrun.controller.storages.gate import StoreGate
    from componentrun.controller.storages.references import References
    from componentrun.controller.storages.scopes import Scopes
    from componentrun.controller.storages.stores import OpenStorage, Stores
    from componentrun.controller.watching.caches import Caches
    from componentrun.core.limits import Limits
    from componentrun.core.pod.settings import PodSettings
    from componentrun.core.request.files import EffectiveFiles
    from componentrun.core.request.requested import EffectiveInput
    from componentrun.process.kubernetes.client import Kube

__all__ = ["StartSettings", "Started", "Starter"]

_SPARE: Final = timedelta(minutes=15)
"""Added to the validity of a grant, for clock differences and short outages of the operator."""
_GATED: Final = timedelta(hours=20)
"""Added if Kueue decides when the pod may start. Even then, the longest run ends before the sweep deletes what it
reads or writes."""


@dataclass(frozen=True, slots=True)
class StartSettings:
    """Settings for all attempts."""

    agent_image: str
    pod: PodSettings
    limits: Limits


@dataclass(frozen=True, slots=True)
class Started:
    """A pod that exists and waits for its Secret."""

    pod_uid: str
    status: ComponentRunStatus
    """Status to write before the pod gets its Secret."""
    secret: dict[str, Any]


class Starter:
    """Starts attempts."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        references: References,
        stores: Stores,
        scopes: Scopes,
        policies: Policies,
        settings: StartSettings,
        clock: Callable[[], datetime],
        gate: StoreGate,
        catalogs: CatalogTables,
        images: Images,
        checker: SchemaChecker,
    ) -> None:
        """`clock` returns the time for the status; `gate` limits operations on the store."""
        self._images = images
        self._checker = checker
        self._catalogs = catalogs
        self._kube = kube
        self._pods = PodCreator(kube, caches, settings.agent_image, settings.pod)
        self._references = references
        self._stores = stores
        self._scopes = scopes
        self._policies = policies
        self._settings = settings
        self._clock = clock
        self._gate = gate

    async def start(self, run: ComponentRun, number: int) -> Started:
        """Create the attempt's pod. Returns the status to write and the pod's Secret.

        Raises:
            RequeuedError: all slots of the Storage are in use, or the run was cancelled meanwhile.
            UserError: the request can't be fulfilled.
            PlatformError: a store or the API server refused.
            TransientError: a service does not respond, or a quota is exhausted; try again.
        """
        async with self._gate.using(run, interruptible=True):
            return await self._start(run, number)

    async def _start(self, run: ComponentRun, number: int) -> Started:
        # A run keeps the Storage that it started with, even if the namespace's default changes.
        wanted = run.status.storage or run.spec.storage
        as_of = new_enough_for(run)
        opened = await self._stores.open(run.metadata.namespace, wanted, anew=True, as_of=as_of)
        check_tables_can_be_kept(opened.storage, run.spec)
        scope = await self._scopes.of(opened)
        need_scope(opened.storage, scope)
        opened = replace(opened, by_session=scope.means is ScopeMethod.SESSION)
        component = await self._references.component(run.metadata.namespace, run.spec.component, anew=True, as_of=as_of)
        deprecation = await self._check_deprecation(run, component, "spec.component")
        processors = await self._processors(run, component, as_of)
        components = [item for item in (component, *processors.values()) if item is not None]
        pulls = pull_secret_names(run, components, opened.storage, self._settings.pod.agent_pull_secrets)
        image = await self._images.of(run, component, pulls)
        referenced = await referenced_parameters(self._kube, run)
        for processor in processors.values():
            deprecation += await self._check_deprecation(run, processor, "spec.processors")
        self._images.check_processors(processors)
        effective = resolve(run, component, opened.storage.metadata.name, referenced, processors, image, pulls)
        buckets = writable_buckets(run.spec.output, component, run.spec.configuration.id).patterns
        if buckets or any(item.table is not None for item in effective.inputs):
            await self._catalogs.need_fit(opened)
        self._references.check_keys(run, component)
        for processor in processors.values():
            self._references.check_keys(run, processor)
        secrets = await secret_values(self._kube, run, effective)
        given = _given_parameters(run, component, referenced, processors, effective, secrets)
        warnings = await check_parameters(self._checker, run.metadata.namespace, given)
        token = await forwarded_token(self._kube, run, effective)
        memory = await _memory(effective, opened)
        plan = await self._plan(run, number, effective, opened, secrets, memory, buckets)
        await self._policies.ensure(effective.network, opened.storage, opened.store.settings.base_url)
        pod = await self._pods.pod(run, number, effective)
        effective = with_image_of(pod, effective)
        image_warnings = image.warnings if image is not None else ()
        values = (*secrets.all(), *([token] if token else ()))
        known = (*effective.plain_secrets, *values, *state_secrets(memory.state))
        redact = tuple(dict.fromkeys(known))
        uid = pod["metadata"]["uid"]
        secret = build_secret(
            run, number, pod_uid=uid, grant_in=plan.grant_in, grant_out=plan.grant_out, redact=redact, token=token
        )
        status = core_status.attempt_started(
            run,
            effective,
            number=number,
            pod_uid=uid,
            gates=[gate["name"] for gate in pod["spec"].get("schedulingGates") or ()],
            input_tables=[TableStatus(table=item.source, rows=item.rows, bytes=item.bytes) for item in plan.inputs],
            input_files=[FileStatus(id=item.id, name=item.name, bytes=item.size) for item in plan.files],
            warnings=(*warning_of(opened.storage), *deprecation, *warnings, *image_warnings),
            now=self._clock(),
        )
        return Started(uid, status, secret)

    async def _check_deprecation(self, run: ComponentRun, component: Component | None, path: str) -> tuple[str, ...]:
        """Warnings about the deprecation of the Component that the field `path` names.

        Raises:
            UserError: (ComponentWithdrawn) the run was created after the last day of the Component.
            KubeError: the API server refused or is unavailable.
        """
        name = replacement_of(component)
        exists = name is None or await self._references.exists(run.metadata.namespace, name)
        created = run.metadata.creation_timestamp or self._clock()
        return check_deprecation(component, created, path, replacement_exists=exists)

    async def _processors(
        self, run: ComponentRun, component: Component | None, as_of: datetime | None
    ) -> dict[str, Component]:
        """The Components of the run's processors that exist, by name."""
        wanted, namespace = tuple(processor_names(run, component)), run.metadata.namespace
        reads = (self._references.component(namespace, name, anew=True, as_of=as_of) for name in wanted)
        found = await asyncio.gather(*reads)
        return {name: processor for name, processor in zip(wanted, found, strict=True) if processor is not None}

    async def give(self, run: ComponentRun, started: Started) -> None:
        """Create the pod's Secret, after which the pod may run. Raises as `PodCreator.give` does."""
        await self._pods.give(run, started.secret, started.pod_uid)

    async def has_given(self, run: ComponentRun, number: int, pod_uid: str) -> bool:
        """Whether the pod has its Secret."""
        return await self._pods.has_given(run, number, pod_uid)

    async def _plan(
        self,
        run: ComponentRun,
        number: int,
        effective: EffectiveRun,
        opened: OpenStorage,
        secrets: SecretValues,
        memory: Memory,
        buckets: tuple[str, ...],
    ) -> AttemptPlan:
        expires_in, expires_out = self._expiry(effective)
        request = AttemptRequest(
            run=run.metadata.uid,
            title=f"{run.metadata.namespace}/{run.metadata.name}",
            attempt=number,
            expires_in=expires_in,
            expires_out=expires_out,
            inputs=[_source(item, self._clock(), memory) for item in effective.inputs],
            files=[_files(item) for item in effective.input_files],
            outputs=effective.outputs,
            output_files=effective.output_files,
            file_tags=effective.file_tags,
            default_bucket=effective.default_bucket,
            # The apparent size of a sparse file exceeds the space that it uses.
            max_output_bytes=round(quantity_value(effective.data_size)),
            type_support=effective.type_support,
            config=effective.config,
            parameters_text=effective.parameters_text,
            state=memory.state,
            state_number=memory.number,
            secrets=secrets.parameters,
            image_secrets=secrets.image,
            steps=step_configs(effective),
            step_secrets=secrets.steps,
            by_session=opened.by_session,
            buckets=buckets,
        )
        return await prepare_attempt(opened.store, opened.signer, request, partial(self._catalogs.plan, opened, run))

    def _expiry(self, effective: EffectiveRun) -> tuple[timedelta, timedelta]:
        """Validity of the two grants: each until its container must have ended."""
        limits, pod = self._settings.limits, self._settings.pod
        before = timedelta(seconds=2 * limits.pending + limits.image_pull + pod.stage_in_seconds) + _SPARE
        if names.KUEUE_QUEUE_LABEL in effective.queue_labels:
            before += _GATED
        gaps = len(effective.processors) * limits.stage_in  # from one step to the next
        after = timedelta(seconds=effective.total_seconds + gaps + limits.stop_grace + pod.upload_seconds)
        return min(before, MAX_EXPIRY), min(before + after, MAX_EXPIRY)


def _given_parameters(
    run: ComponentRun,
    component: Component | None,
    referenced: str | None,
    processors: Mapping[str, Component],
    effective: EffectiveRun,
    secrets: SecretValues,
) -> list[StepParameters]:
    """The parameters of the component and of each processor; none if there is nothing to check them against."""
    components = [item for item in (component, *processors.values()) if item is not None]
    if not (secrets.image or secrets.steps or any(item.spec.configuration for item in components)):
        return []
    configuration = run.spec.configuration
    parameters = parameters_of(configuration, referenced).value
    own = StepParameters(
        "spec.configuration",
        component,
        parameters,
        secrets.parameters,
        tuple(secrets.image.values()),
        row=configuration.row,
    )
    others = [
        StepParameters(
            step.path,
            processors[step.component],
            step.parameters,
            image_secrets=tuple(secrets.steps.get(step.container, {}).values()),
        )
        for step in effective.processors
    ]
    return [own, *others]


async def _memory(effective: EffectiveRun, opened: OpenStorage) -> Memory:
    """The saved state of the run's configuration; empty if it has none."""
    if effective.configuration_id is None:
        return Memory()
    owner = StateOwner(
        effective.component_id, effective.configuration_id, effective.configuration_row, effective.branch
    )
    return await read_memory(opened.store, owner)


def _source(item: EffectiveInput, now: datetime, memory: Memory) -> InputSource:
    adaptive = item.changed_since == ADAPTIVE
    since = changed_since(item.changed_since, now) if item.changed_since is not None and not adaptive else None
    seen = memory.inputs.get(item.table or "") if adaptive else None
    wish = Wish(item.columns, item.where, since, item.limit, seen)
    # Rows beyond the limit are not delivered, so they are still new for the next run.
    remember = adaptive and item.limit is None
    return InputSource(item.table, item.object, item.destination, wish, remember, item.sliced)


def _files(item: EffectiveFiles) -> FileSource:
    query = FileQuery(item.id, item.name, item.glob, item.tags)
    return FileSource(query, item.limit, item.where, optional=item.optional)
