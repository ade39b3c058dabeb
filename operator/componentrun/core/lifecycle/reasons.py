"""docs/reference/reasons.md, made from `errors.Reason`: what each reason means and who acts.

`python -m componentrun.core.lifecycle.reasons` prints the page; a test holds the file equal to it.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from typing import Final

from componentrun import errors
from componentrun.errors import RETRIED_BEFORE_START, RETRIED_IF_NAMED, Reason

__all__ = ["WHO_ACTS", "ends_table", "meanings", "reasons_page", "retried"]

_NOBODY: Final = "nobody"
_AUTHOR: Final = "the run's author"
_DEVELOPER: Final = "the component's developer"
_PLATFORM: Final = "the platform team"

WHO_ACTS: Final[dict[Reason, str]] = {
    Reason.QUEUED: _NOBODY,
    Reason.SUSPENDED: f"{_AUTHOR}: take `spec.suspend` away when it may start",
    Reason.RETRYING: _NOBODY,
    Reason.PENDING: _NOBODY,
    Reason.STAGING_IN: _NOBODY,
    Reason.RUNNING: _NOBODY,
    Reason.STAGING_OUT: _NOBODY,
    Reason.PUBLISHING: _NOBODY,
    Reason.TERMINATING: _NOBODY,
    Reason.UNSUPPORTED_VALUE: f"{_PLATFORM}: install the release that knows it again, or delete the run",
    Reason.SUCCEEDED: f"{_NOBODY}; with the result `Warning`, {_AUTHOR} should read `status.warnings`",
    Reason.CANCELLED: _NOBODY,
    Reason.REPLACED: _NOBODY,
    Reason.CONCURRENCY_FORBIDDEN: f"{_AUTHOR}: run it when the other one has ended, or choose another policy",
    Reason.USER_ERROR: f"{_AUTHOR}: the component's own message says what to change",
    Reason.APPLICATION_ERROR: f"{_DEVELOPER}: `status.lastWords` and the run's events",
    Reason.OUT_OF_MEMORY: f"{_AUTHOR}: a larger `size`; {_PLATFORM} where the message names an agent",
    Reason.TIMEOUT: f"{_AUTHOR}: a longer `timeout`; {_DEVELOPER} where it hangs",
    Reason.DISK_FULL: f"{_AUTHOR}: less data, or more `ephemeral-storage`; {_PLATFORM}: a larger `dataSize`",
    Reason.EVICTED: f"{_AUTHOR}: run it again; {_PLATFORM} where it happens often",
    Reason.NODE_LOST: f"{_AUTHOR}: run it again; {_PLATFORM}: look at the node",
    Reason.POD_DELETED: f"{_AUTHOR}: run it again; whoever deletes pods should set `spec.cancel` instead",
    Reason.IMAGE_PULL_FAILED: f"{_AUTHOR}: name, tag, `imagePullSecrets`",
    Reason.REGISTRY_UNAVAILABLE: f"{_PLATFORM}: the registry, and the nodes' way to it",
    Reason.START_FAILED: f"{_DEVELOPER}: the image's entrypoint, architecture, user; {_PLATFORM}: broken mounts",
    Reason.UNSCHEDULABLE: f"{_PLATFORM}: more nodes; or {_AUTHOR}: ask for less",
    Reason.NODE_REFUSED: f"{_PLATFORM} where it happens often",
    Reason.POD_REJECTED: f"{_PLATFORM}: quota, pod security, admission",
    Reason.NAMESPACE_TERMINATING: f"{_NOBODY}: the run goes with its namespace",
    Reason.INVALID_SPEC: f"{_AUTHOR}: the message names the field",
    Reason.COMPONENT_NOT_FOUND: f"{_AUTHOR}: name another, or have it created",
    Reason.STORAGE_NOT_FOUND: f"{_PLATFORM}: create it, or mark one `default: true`",
    Reason.SECRET_NOT_FOUND: f"{_AUTHOR} for a secret of the configuration, {_PLATFORM} for that of the Storage",
    Reason.CONFIG_MAP_NOT_FOUND: f"{_AUTHOR}: create it, or correct `configuration.parametersFrom`",
    Reason.INPUT_NOT_FOUND: f"{_AUTHOR}: correct the mapping, or run what makes the table first",
    Reason.INPUT_INVALID: f"{_AUTHOR}: correct the mapping",
    Reason.STORAGE_BUCKET_NOT_FOUND: f"{_PLATFORM}: create the bucket, or correct the Storage",
    Reason.STORAGE_ACCESS_DENIED: f"{_PLATFORM}: the Storage's credentials and their rights",
    Reason.STORAGE_UNSCOPED: f"{_PLATFORM}: another store, `sts`, or `allowUnscoped: true` (docs/security.md)",
    Reason.STORAGE_UNAVAILABLE: f"{_PLATFORM}: the object store",
    Reason.LOADER_UNAVAILABLE: f"{_PLATFORM}: the pods of Deployment `loader`, and `loader.enabled` of the chart",
    Reason.CATALOG_UNFIT: f"{_PLATFORM}: the condition `Catalog` of the Storage, and `componentrun doctor`",
    Reason.STAGE_IN_FAILED: f"{_PLATFORM}: the log of `stage-in`",
    Reason.STAGE_OUT_FAILED: f"{_PLATFORM}: the log of `stage-out`",
    Reason.OUTPUT_MISSING: f"{_DEVELOPER}, or {_AUTHOR} where the mapping is wrong",
    Reason.OUTPUT_INVALID: f"{_DEVELOPER}: the message names file, line and what was expected",
    Reason.PUBLISH_FAILED: f"{_PLATFORM}: the object store and the operator's log",
    Reason.INTERNAL: "the developers of ComponentRun: please report it with the run's YAML",
}
"""Who can do something about it, and what. A test holds that no reason is missing."""

_ON_THE_WAY: Final = "On the way"
_HEAD: Final = """\
# Reasons

<!-- Made by `python -m componentrun.core.lifecycle.reasons`. Change operator/componentrun/errors.py, not this page. -->

A run says where it is, or how it ended, in one word: `status.reason`, which is also the reason of its condition
`Succeeded`. The words do not change: scripts and alerts may match them. `status.message` is a sentence about this run.

*Retried* says which attempts are followed by another one, as long as `retry.limit` allows it (3 where not given): what
happens before the component has started, and what may be tried again later where the run, or its Component, says so.
"""


def meanings() -> dict[Reason, str]:
    """What each reason means: the docstring after the enum's member, which Python itself does not keep."""
    body = next(
        node.body
        for node in ast.parse(inspect.getsource(errors)).body
        if isinstance(node, ast.ClassDef) and node.name == Reason.__name__
    )
    found = {}
    for member, text in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(member.targets[0], ast.Name) and isinstance(text, ast.Expr):
            found[Reason[member.targets[0].id]] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def reasons_page() -> str:
    """The page as Markdown: a heading for each reason, so that it can be linked to."""
    known = meanings()
    ends = list(Reason).index(Reason.SUCCEEDED)
    parts = [_HEAD]
    for title, group in ((_ON_THE_WAY, list(Reason)[:ends]), ("The end", list(Reason)[ends:])):
        parts.append(f"## {title}\n")
        for reason in group:
            told = f"### {reason.value}\n\n{known[reason]}\n\nWho acts: {WHO_ACTS[reason]}.\n"
            parts.append(told if title == _ON_THE_WAY else f"{told}\nRetried: {retried(reason)}.\n")
    return "\n".join(parts)


def retried(reason: Reason) -> str:
    """Whether a run that ended so is tried again."""
    named = "only if `retry.afterStart` names it"
    if reason in RETRIED_BEFORE_START:
        return f"before the start; after it {named}" if reason in RETRIED_IF_NAMED else "before the start"
    return named if reason in RETRIED_IF_NAMED else "never"


def ends_table() -> str:
    """How a run may end and who acts, as a Markdown table for the runbook; without what needs nobody."""
    known = meanings()
    ends = list(Reason)[list(Reason).index(Reason.SUCCEEDED) + 1 :]
    rows = [
        f"| [{reason.value}](../reference/reasons.md#{reason.value.lower()}) | {known[reason]} | {WHO_ACTS[reason]} "
        f"| {retried(reason)} |\n"
        for reason in ends
        if reason is not Reason.CANCELLED
    ]
    return "| Reason | What happened | Who acts | Tried again |\n| --- | --- | --- | --- |\n" + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(reasons_page())
