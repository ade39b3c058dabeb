"""Tags of pinned channels that have moved: which ones are looked up, and what the condition says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from componentrun.api.component import Component
from componentrun.api.componentrun import ComponentRunSpec
from componentrun.core.images.channels import Resolved, choose_image, with_resolved
from componentrun.core.images.moved import moved_message, pinned_tags, with_tag_digests

if TYPE_CHECKING:
    from componentrun.api.channels import ChannelStatus

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
RELEASE = {"name": "release", "tag": "1.0"}
OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


def component(*channels: dict[str, Any], status: tuple[ChannelStatus, ...] = (), **spec: Any) -> Component:
    return Component.model_validate(
        {
            "metadata": {"name": "app"},
            "spec": {"image": "h.io/team/app", "channels": channels, **spec},
            "status": {"channels": [item.to_dict() for item in status]},
        }
    )


def resolved(*channels: dict[str, Any], digest: str = OLD) -> tuple[ChannelStatus, ...]:
    """The status after a run of each channel."""
    statuses: tuple[ChannelStatus, ...] = ()
    for channel in channels:
        choice = choose_image(ComponentRunSpec(component="app", channel=channel["name"]), component(*channels))
        found = Resolved(digest, choice.tag or "1.9.0", "Registry", NOW)
        statuses = with_resolved(statuses, choice, found, NOW)
    return statuses


def moved(*channels: dict[str, Any], before: tuple[dict[str, Any], ...] = (RELEASE,), **spec: Any) -> str | None:
    """The message of a Component with these channels, after the tags of its former ones have moved."""
    old = component(*before, status=resolved(*before))
    statuses = with_tag_digests(old, {"1.0": NEW})
    assert moved_message(component(*before, status=statuses)) is not None
    return moved_message(component(*channels, status=statuses, **spec))


def test_tags_of_pinned_channels_are_looked_up_and_nothing_else() -> None:
    channels = (
        RELEASE,
        {"name": "master", "tag": "main"},
        {"name": "stable", "semver": "^1"},
        {"name": "fixed", "digest": OLD},
        {"name": "new", "tag": "2.0"},
    )
    statuses = resolved(*channels[:3])
    assert [(item.channel, item.tag, item.digest) for item in pinned_tags(component(*channels, status=statuses))] == [
        ("release", "1.0", OLD)
    ]


def test_a_tag_that_has_not_moved_changes_nothing() -> None:
    statuses = resolved(RELEASE)
    assert with_tag_digests(component(RELEASE, status=statuses), {"1.0": OLD}) == statuses
    assert moved_message(component(RELEASE, status=statuses)) is None


def test_the_message_names_channel_tag_and_both_digests() -> None:
    message = moved(RELEASE)
    assert message == (f"channel `release`: tag `1.0` now points to `{NEW}`; runs use `{OLD}`, as resolved before.")


def test_each_channel_is_named() -> None:
    both = (RELEASE, {"name": "stable", "tag": "1.0"})
    message = moved(*both, before=both)
    assert message is not None
    assert message.count(NEW) == 2


def test_a_tag_that_is_back_is_no_news() -> None:
    statuses = with_tag_digests(component(RELEASE, status=resolved(RELEASE)), {"1.0": NEW})
    back = with_tag_digests(component(RELEASE, status=statuses), {"1.0": OLD})
    assert back == resolved(RELEASE)


def test_a_changed_spec_makes_it_no_news() -> None:
    for changed in (
        {"name": "release", "digest": NEW},
        RELEASE | {"tag": "1.1"},
        RELEASE | {"follow": "EachRun"},
        {"name": "other", "tag": "1.0"},
    ):
        assert moved(changed) is None
    assert moved(RELEASE, image="h.io/other/app") is None


def test_a_run_that_resolves_another_tag_ends_it() -> None:
    statuses = with_tag_digests(component(RELEASE, status=resolved(RELEASE)), {"1.0": NEW})
    later = RELEASE | {"tag": "1.1"}
    choice = choose_image(ComponentRunSpec(component="app"), component(later))
    statuses = with_resolved(statuses, choice, Resolved(NEW, "1.1", "Registry", NOW), NOW)
    assert [status.moved_to for status in statuses] == [None]
