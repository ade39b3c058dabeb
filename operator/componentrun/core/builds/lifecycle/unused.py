"""Which images that were built nothing names any more. Pure.

Objects are searched for digests and names of builds as the API server sends them, so that a field of a newer release
counts as well: whatever an object names is kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

__all__ = ["BUILD_TAG", "BuiltTag", "Uses", "Verdict", "find_uses", "targets_of", "verdicts"]

JsonObject = dict[str, Any]

BUILD_TAG: Final = re.compile(r"build-[0-9a-f]{40}")
"""Tags that are names of builds. Others in the same repository are never deleted."""
_NAMES: Final = re.compile(r"sha256:[0-9a-f]{64}|build-[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class BuiltTag:
    """A tag of a repository that builds are pushed to."""

    repository: str
    tag: str
    digest: str


@dataclass(slots=True)
class Uses:
    """What names images."""

    whys: dict[str, str] = field(default_factory=dict)
    """Why an image is kept, by its digest or the name of its build."""

    def add(self, document: Any, why: str) -> None:
        """Note all digests and names of builds in a document, unless they have a reason already."""
        for name in _NAMES.findall(json.dumps(document)):
            self.whys.setdefault(name, why)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a tag."""

    tag: BuiltTag
    kept_because: str
    """Empty: it is to be deleted."""


def targets_of(
    components: Iterable[JsonObject], builds: Iterable[JsonObject], component: str | None = None
) -> dict[str, str]:
    """The repositories that images of Components are pushed to, each with `namespace/component`.

    They are those that ComponentBuilds and the channels of Components name. A name that does not end with namespace and
    Component, as the operator chooses it, is left out.

    Args:
        components: the Components.
        builds: the ComponentBuilds, also of Components that were deleted.
        component: only this Component; None: all.
    """
    found = [(item["metadata"]["namespace"], item["spec"]["component"], item["spec"]["target"]) for item in builds]
    for item in components:
        for channel in (item.get("status") or {}).get("channels") or ():
            built = [entry["image"] for entry in channel.get("history") or () if entry.get("build")]
            found += [(item["metadata"]["namespace"], item["metadata"]["name"], image) for image in built]
    return {
        target: f"{namespace}/{name}"
        for namespace, name, target in sorted(found)
        if target.endswith(f"/{namespace}/{name}") and component in {None, name}
    }


def find_uses(
    components: Iterable[JsonObject],
    builds: Iterable[JsonObject],
    runs: Iterable[JsonObject],
    now: datetime,
    unused_for: timedelta,
) -> Uses:
    """Everything that names images.

    Args:
        components: Components and ClusterComponents.
        builds: ComponentBuilds.
        runs: ComponentRuns.
        now: the time.
        unused_for: how long ago a run or a build must have ended to be of no account.
    """
    uses = Uses()
    for item in components:
        _add_component(uses, item)
    for item in builds:
        _add_timed(uses, item, "ComponentBuild", now - unused_for)
    for item in runs:
        _add_timed(uses, item, "ComponentRun", now - unused_for)
    return uses


def _add_component(uses: Uses, item: JsonObject) -> None:
    owner = f"{item.get('kind') or 'Component'} `{item['metadata']['name']}`"
    channels = (item.get("status") or {}).get("channels") or ()
    for channel in channels:
        uses.add([channel.get("digest"), channel.get("tag")], f"channel `{channel['name']}` of {owner} points to it")
    for channel in channels:
        uses.add(channel, f"the history of channel `{channel['name']}` of {owner} has it")
    uses.add(item, f"{owner} names it")


def _add_timed(uses: Uses, item: JsonObject, kind: str, since: datetime) -> None:
    """Note what a run or a build names, unless it ended before `since`."""
    name, status = item["metadata"]["name"], item.get("status") or {}
    ended = status.get("completionTime")
    if ended is None:
        uses.add(item, f"{kind} `{name}` has not ended")
    elif datetime.fromisoformat(ended) >= since:
        uses.add(item, f"{kind} `{name}` ended at {ended}")


def verdicts(tags: Sequence[BuiltTag], uses: Uses) -> list[Verdict]:
    """What is to be done with each tag. A tag is kept if its image has another tag that is kept.

    That is because deleting an image deletes all of its tags.
    """
    kept: dict[tuple[str, str], str] = {}
    for tag in tags:
        why = uses.whys.get(tag.tag) or uses.whys.get(tag.digest)
        if why:
            kept.setdefault((tag.repository, tag.digest), why)
    return [_verdict(tag, uses, kept) for tag in sorted(tags, key=lambda tag: (tag.repository, tag.tag))]


def _verdict(tag: BuiltTag, uses: Uses, kept: Mapping[tuple[str, str], str]) -> Verdict:
    own = uses.whys.get(tag.tag) or uses.whys.get(tag.digest)
    other = kept.get((tag.repository, tag.digest))
    return Verdict(tag, own or (f"the same image has another tag: {other}" if other else ""))
