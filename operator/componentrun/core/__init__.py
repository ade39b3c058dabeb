"""Decisions: pure functions of what was observed. Neither a client nor a watcher is imported here.

What the controller calls (every function is pure and total; times are injected; `run` is the observed ComponentRun):

Seeing and deciding
    podview.read_pod(obj, *, gone=False) -> PodView           raw pod JSON, sorted once
    plan.plan(observed) -> Plan                               what to do, and when to look again

Starting an attempt (action `StartAttempt`), in this order; the first error ends it (`status.start_failed`)
    effective.resolve(run, component, storage_name) -> EffectiveRun      raises UserError
        .inputs/.outputs/.config/.plain_secrets/.network/... are what plan object, grants and pod are made of
    networkpolicy.network_class(network, storage_name) -> str
    networkpolicy.build_policy(network, storage, store_addresses=..., dns_cidrs=...) -> dict     owned by the Storage
    podbuilder.build_pod(effective, run, attempt, agent_image, settings) -> dict              create; 409: get, check run uid
    podbuilder.build_secret(run, attempt, pod_uid=..., grant_in=..., grant_out=..., redact=...) -> dict    after the pod: owned by it
    status.attempt_started(run, effective, number=..., pod_uid=..., input_tables=..., now=...) -> ComponentRunStatus
    status.start_failed(run, error, limits=..., now=...) -> ComponentRunStatus
        not terminal where the error is a TransientError and `limits.start_retry` is not over: write it, try again with backoff

Publishing (action `Publish`)
    status.published(run, tables=..., warnings=..., now=...) -> ComponentRunStatus            final
    status.publish_failed(run, error, limits=..., now=...) -> ComponentRunStatus              as start_failed

Around every status write
    redaction.redact_status(status, values) -> ComponentRunStatus     values = the Secret's `redact` list; None where it can't be
        read: then the component's own words are withheld. Call it where `needs_redaction(before, after)` says so.
    status.without_events(status) -> dict[str, Any]                   the document to write: all but the collector's `events`
    status.lifecycle_event(before, after) -> KubernetesEvent | None   for the final status that `published` & co. return
    status.is_terminal(status) -> bool

What the controller must see to: pods are listed before the first reconcile (a pod that is not in the cache counts as deleted once its
attempt is older than `limits.pod_missing`); a pod's DELETED event is observed once with `gone=True`, with the last object seen.
"""
