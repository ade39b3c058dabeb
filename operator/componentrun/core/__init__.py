"""Decisions: pure functions of what was observed. Neither a client nor a watcher is imported here.

Packages and modules, lowest first:

    limits      how long the operator waits for what
    redact      takes secret values out of texts
    schema      checks parameters against the JSON Schemas of a Component
    images      names of images, and credentials of pull secrets
    request     what a run asks for, checked and resolved against its Component
    builds      images that are built from git repositories: what goes into a build, and what comes out of it
    pod         the pod of an attempt, its Secret and its network policy, as plain JSON
    podstatus   what a pod's status says
    queue       which queued runs may start
    storages    what is known of a Storage, and what follows for its runs
    lease       which operator works, and what time the API servers have
    lifecycle   what happens to a run next, and the status that says so
    components  deprecation of a Component, and its status

How the controller uses them (times are injected; `run` is the observed ComponentRun):

- `podstatus.reading.read_pod` sorts a pod's raw JSON once. `lifecycle.plan.plan` says what to do, and when to look
  again. If the plan is one `LookAtPod`, the controller reads that pod by name and plans again with `pod_was_read=True`.
- Action `StartAttempt`, in this order; the first error ends it (`lifecycle.status.start_failed`):
  `request.resolve.resolve`, `pod.networkpolicy.build_policy`, `pod.build.build_pod`, `pod.build.build_secret` (the pod
  owns it), `lifecycle.status.attempt_started`. A 409 for the pod or the Secret is fine if it belongs to the run.
- Action `Publish`: `lifecycle.status.published` is final. `refused` means that a table does not fit: what is always
  stored comes next. `publish_failed` is final unless the error is a `TransientError` and the retry limit is not over.
- Before each status write: `redact.status.redact_status` with the values of the Secret's `redact` list; None if the
  Secret can't be read, and then the component's output is withheld.

The controller lists pods before the first reconcile, and observes a pod's DELETED event once with `gone=True`.
"""
