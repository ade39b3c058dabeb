"""Decisions: pure functions of what was observed. Neither a client nor a watcher is imported here.

What the controller calls (every function is pure and total; times are injected; `run` is the observed ComponentRun):

Seeing and deciding
    podview.read_pod(obj, *, gone=False) -> PodView           raw pod JSON, sorted once
    plan.plan(observed) -> Plan                               what to do, and when to look again
        if the plan is one `LookAtPod`, read that pod by name, then plan again with `pod_was_read=True`

Starting an attempt (action `StartAttempt`), in this order; the first error ends it (`status.start_failed`)
    effective.resolve(run, component, storage_name, referenced) -> EffectiveRun      raises UserError
        .inputs/.outputs/.config/.plain_secrets/.network/... are what plan object, grants and pod are made of
    networkpolicy.network_class(network, storage_name) -> str
    networkpolicy.build_policy(network, storage, store_addresses=..., dns_cidrs=...) -> dict   owned by the Storage
    podbuilder.build_pod(effective, run, attempt, agent_image, settings) -> dict
        raises UserError; create it; 409: get it and check its label run-uid
    podbuilder.build_secret(run, attempt, pod_uid=..., grant_in=..., grant_out=..., redact=...) -> dict
        after the pod, because it is owned by it; 409 is fine
    status.attempt_started(run, effective, number=..., pod_uid=..., input_tables=..., now=...) -> ComponentRunStatus
    status.start_failed(run, error, limits=..., now=...) -> ComponentRunStatus
        not terminal where the error is a TransientError and `limits.start_retry` is not over:
        write it, try again with backoff

Publishing (action `Publish`)
    status.published(run, tables=..., warnings=..., now=...) -> ComponentRunStatus            final
    status.refused(run, error, now) -> ComponentRunStatus     a table does not fit: what is stored always comes next
    status.publish_failed(run, error, limits=..., now=..., begun=...) -> ComponentRunStatus   as start_failed

Around every status write
    redactor.Redactor(values), lineredactor.LineRedactor(redactor, masks): takes secrets out of texts, and of the lines
        of one container; masks.Masks: values of `::add-mask::` lines; secretshapes: secrets known by their form
    redaction.needs_redaction(before, after) -> bool
    redaction.redact_status(status, values) -> ComponentRunStatus; redaction.redact_action(action, values) -> Action
        values = the Secret's `redact` list; None where it can't be read: the component's own words are withheld then
    status.without_events(status) -> dict[str, Any]                   the document to write: all but `events`
    status.lifecycle_event(before, after) -> KubernetesEvent | None   for statuses that the controller makes itself
    status.is_terminal(status) -> bool

What the controller must see to: pods are listed before the first reconcile; a pod's DELETED event is observed once with
`gone=True`, with the last object seen.
"""
