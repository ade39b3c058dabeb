"""Which channel a run uses, when the registry is asked, and what the Component's status keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.channels import MOST_KEPT, ChannelStatus
from componentrun.api.component import Component
from componentrun.api.componentrun import ComponentRunSpec
from componentrun.core.images.channels import (
    ImageChoice,
    Resolved,
    channel_digest,
    choose_image,
    kept_digest,
    last_digest,
    required_key,
    status_of_channel,
    unverified_digest,
    verified_digests,
    with_resolved,
)
from componentrun.core.images.reference import Repository
from componentrun.errors import Reason, UserError
from tests.signing import Signer

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
APP = Repository("h.io", "team/app")
RELEASE = {"name": "release", "tag": "1.4.0"}
MASTER = {"name": "master", "tag": "main"}
RANGE = {"name": "stable", "semver": "^1.4"}


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def component(*channels: dict[str, Any], image: str = "h.io/team/app", **spec: Any) -> Component:
    return Component.model_validate(
        {"metadata": {"name": "app"}, "spec": {"image": image, "channels": channels, **spec}}
    )


def choice(spec: dict[str, Any], *channels: dict[str, Any], **more: Any) -> ImageChoice:
    return choose_image(ComponentRunSpec.model_validate({"component": "app", **spec}), component(*channels, **more))


@pytest.mark.parametrize(
    ("spec", "channels", "expected"),
    [
        ({}, [MASTER, RELEASE], ("release", "Pinned", "1.4.0")),
        ({}, [MASTER], ("master", "EachRun", "main")),
        ({}, [RANGE, MASTER], ("stable", "Pinned", None)),
        ({"channel": "master"}, [RELEASE, MASTER], ("master", "EachRun", "main")),
        ({"channel": "master"}, [RELEASE, MASTER | {"follow": "Pinned"}], ("master", "Pinned", "main")),
        ({"tag": "main"}, [RELEASE, MASTER], ("master", "EachRun", "main")),
        ({"tag": "1.5.1"}, [RELEASE, RANGE], ("stable", "Pinned", "1.5.1")),
        ({"tag": "v1.5.1"}, [RELEASE, RANGE], ("stable", "Pinned", "v1.5.1")),
    ],
)
def test_the_channel_of_a_run(spec: dict[str, Any], channels: list[dict[str, Any]], expected: tuple[str, ...]) -> None:
    found = choice(spec, *channels)
    assert (found.channel, found.follow, found.tag) == expected


def test_the_default_channel_is_the_components() -> None:
    assert choice({}, RELEASE, MASTER, defaultChannel="master").channel == "master"


@pytest.mark.parametrize(
    ("spec", "component_fields", "why"),
    [
        ({"channel": "beta"}, {}, "`beta` is not a channel .* expected one of `release`, `stable`"),
        ({"channel": "release", "tag": "1.4.0"}, {}, "as well"),
        ({"tag": "2.0.0"}, {}, "`2.0.0` is not allowed .* expected `1.4.0`, `\\^1.4`"),
        ({"tag": "latest"}, {}, "`latest` is not allowed"),
        ({}, {"image": "h.io/Team/App"}, "capital letters"),
        ({}, {"image": "h.io/team/app:1"}, "tag or a digest"),
        ({}, {"defaultChannel": "beta"}, "spec.defaultChannel: `beta` is not a channel"),
    ],
)
def test_what_a_run_can_not_have_is_refused(spec: dict[str, Any], component_fields: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        choice(spec, RELEASE, RANGE, **component_fields)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert caught.value.advice or "expected" in caught.value.message


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        ({"name": "a"}, "found none of them"),
        ({"name": "a", "tag": "1", "semver": "^1"}, "found tag and semver"),
        ({"name": "a", "semver": "newest"}, "is not a range of versions"),
    ],
)
def test_a_channel_that_the_api_server_would_refuse_is_refused(channel: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        choice({}, channel)


def resolved(number: int, tag: str | None = "1.4.0", source: Any = "Registry") -> Resolved:
    return Resolved(digest(number), tag, source, NOW)


def test_a_pinned_tag_is_asked_for_once() -> None:
    pinned = choice({}, RELEASE)
    assert kept_digest(pinned, (), NOW) is None
    statuses = with_resolved((), pinned, resolved(1), NOW)
    later = kept_digest(pinned, statuses, NOW + timedelta(days=400))
    assert later == Resolved(digest(1), "1.4.0", "Pinned", NOW)
    assert with_resolved(statuses, pinned, later, NOW + timedelta(days=400)) == statuses


def test_another_tag_is_asked_for_and_the_former_is_still_known() -> None:
    old, new = choice({}, RELEASE), choice({}, RELEASE | {"tag": "1.5.0"})
    statuses = with_resolved((), old, resolved(1), NOW)
    assert kept_digest(new, statuses, NOW) is None
    statuses = with_resolved(statuses, new, resolved(2, "1.5.0"), NOW)
    found = kept_digest(old, statuses, NOW)
    assert found is not None
    assert found.digest == digest(1)


def test_a_pin_belongs_to_its_repository() -> None:
    statuses = with_resolved((), choice({}, RELEASE), resolved(1), NOW)
    assert kept_digest(choice({}, RELEASE, image="h.io/other/app"), statuses, NOW) is None


def test_each_run_asks_and_writes_only_what_is_new() -> None:
    master = choice({"channel": "master"}, MASTER)
    statuses = with_resolved((), master, resolved(1, "main"), NOW)
    assert kept_digest(master, statuses, NOW) is None
    later = NOW + timedelta(minutes=1)
    assert with_resolved(statuses, master, resolved(1, "main"), later) == statuses
    moved = with_resolved(statuses, master, resolved(2, "main"), later)[0]
    assert (moved.digest, moved.since) == (digest(2), later)
    assert [entry.digest for entry in moved.history] == [digest(2), digest(1)]


def test_an_interval_is_kept() -> None:
    hourly = choice({}, {"name": "hourly", "tag": "main", "follow": "Interval", "interval": "1h"})
    statuses = with_resolved((), hourly, resolved(1, "main"), NOW)
    assert kept_digest(hourly, statuses, NOW + timedelta(minutes=59)) is not None
    later = NOW + timedelta(hours=1)
    assert kept_digest(hourly, statuses, later) is None
    assert kept_digest(hourly, with_resolved(statuses, hourly, resolved(1, "main"), later), later) is not None


def test_a_digest_in_the_spec_is_used_and_kept_once() -> None:
    pinned = choice({}, {"name": "release", "digest": digest(7)})
    found = kept_digest(pinned, (), NOW)
    assert found == Resolved(digest(7), None, "Spec", NOW)
    statuses = with_resolved((), pinned, found, NOW)
    again = kept_digest(pinned, statuses, NOW + timedelta(days=1))
    assert again is not None
    assert with_resolved(statuses, pinned, again, NOW + timedelta(days=1)) == statuses


def test_a_digest_in_the_spec_keeps_the_place_and_the_tag_that_it_had() -> None:
    """A second rollback goes one further back, and a channel that gets its tag back needs no request."""
    by_tag = choice({}, RELEASE)
    statuses = with_resolved((), by_tag, resolved(1), NOW)
    for number in (2, 3, 2, 1):
        by_digest = choice({}, {"name": "release", "digest": digest(number)})
        found = kept_digest(by_digest, statuses, NOW)
        assert found is not None
        statuses = with_resolved(statuses, by_digest, found, NOW)
    assert [(entry.digest, entry.tag) for entry in statuses[0].history] == [
        (digest(3), None), (digest(2), None), (digest(1), "1.4.0"),
    ]  # fmt: skip
    assert statuses[0].digest == digest(1)
    again = kept_digest(by_tag, statuses, NOW)
    assert again is not None
    assert again.digest == digest(1)


def test_a_digest_that_was_in_the_spec_gets_the_tag_that_it_is_resolved_from() -> None:
    by_digest, by_tag = choice({}, {"name": "release", "digest": digest(1)}), choice({}, RELEASE)
    found = kept_digest(by_digest, (), NOW)
    assert found is not None
    statuses = with_resolved(with_resolved((), by_digest, found, NOW), by_tag, resolved(1), NOW)
    assert [(entry.digest, entry.tag) for entry in statuses[0].history] == [(digest(1), "1.4.0")]


def test_the_present_digest_of_the_spec_is_never_dropped() -> None:
    statuses = with_resolved((), choice({}, RELEASE), resolved(1), NOW)
    by_digest = choice({}, {"name": "release", "digest": digest(1)})
    statuses = with_resolved(statuses, by_digest, Resolved(digest(1), None, "Spec", NOW), NOW)
    for number in range(2, 2 * MOST_KEPT):
        chosen = ImageChoice(APP, "release", "Pinned", tag=f"1.4.{number}", is_own=False)
        statuses = with_resolved(statuses, chosen, resolved(number, chosen.tag), NOW)
    assert [entry.digest for entry in statuses[0].history] == [statuses[0].digest] == [digest(1)]


def test_tags_that_runs_chose_are_pinned_and_push_nothing_out() -> None:
    own = choice({}, RANGE)
    statuses = with_resolved(with_resolved((), own, resolved(1, "1.4.0"), NOW), own, resolved(2, "1.9.0"), NOW)
    chosen = [ImageChoice(APP, own.channel, "Pinned", tag=f"1.5.{number}", is_own=False) for number in range(101)]
    for number, item in enumerate(chosen[:100]):
        statuses = with_resolved(statuses, item, resolved(100 + number, item.tag), NOW)
    assert [entry.digest for entry in statuses[0].history] == [digest(2), digest(1)]
    for number, item in enumerate(chosen[:100]):
        kept = kept_digest(item, statuses, NOW + timedelta(days=900))
        assert kept is not None
        assert kept.digest == digest(100 + number)
        assert with_resolved(statuses, item, kept, NOW + timedelta(days=900)) == statuses
    with pytest.raises(UserError, match=r"tag `1\.5\.100`: runs have chosen 100 other tags of channel"):
        with_resolved(statuses, chosen[100], resolved(900, "1.5.100"), NOW)
    for_each_run = replace(chosen[100], follow="EachRun")
    newer = with_resolved(statuses, for_each_run, resolved(900, "1.5.100"), NOW)
    assert (len(newer[0].tags), newer[0].tags[0].digest) == (100, digest(900))


def test_a_tag_that_a_run_chose_does_not_become_the_channels() -> None:
    own, narrowed = choice({}, RANGE), choice({"tag": "1.4.1"}, RANGE)
    statuses = with_resolved((), own, resolved(2, "1.9.0"), NOW)
    statuses = with_resolved(statuses, narrowed, resolved(1, "1.4.1"), NOW)
    assert statuses[0].digest == digest(2)
    for wanted, expected in ((own, 2), (narrowed, 1)):
        found = kept_digest(wanted, statuses, NOW)
        assert found is not None
        assert found.digest == digest(expected)


@pytest.mark.parametrize("on_failure", ["Fail", "UseLast"])
def test_the_last_digest_is_for_channels_that_allow_it(on_failure: str) -> None:
    master = choice({}, MASTER | {"onFailure": on_failure})
    assert last_digest(master, (), "it is away") is None
    statuses = with_resolved((), master, resolved(1, "main"), NOW)
    found = last_digest(master, statuses, "it is away")
    if on_failure == "Fail":
        assert found is None
        return
    assert found is not None
    assert (found.digest, found.source) == (digest(1), "Last")
    assert "it is away" in found.warning


def test_a_signature_is_needed_for_each_key() -> None:
    spec = ComponentRunSpec(component="app")
    for channel in (RELEASE, {"name": "release", "digest": digest(1)}):
        unsigned = choose_image(spec, component(channel))
        signed, other = (choose_image(spec, component(channel, verify={"key": Signer().public})) for _ in range(2))
        plain = kept_digest(unsigned, (), NOW) or resolved(1)
        statuses = with_resolved((), unsigned, plain, NOW)
        assert kept_digest(signed, statuses, NOW) is None
        statuses = with_resolved(statuses, signed, plain, NOW)
        assert kept_digest(signed, statuses, NOW) is not None
        assert len(statuses[0].history) == 1
        assert kept_digest(other, statuses, NOW) is None
        assert signed.key is not None
        assert other.key is not None
        assert verified_digests(APP, signed.key, statuses) == {plain.digest}
        assert verified_digests(APP, other.key, statuses) == frozenset()
        assert verified_digests(APP, signed.key, with_resolved((), unsigned, plain, NOW)) == frozenset()
        assert verified_digests(Repository("h.io", "team/other"), signed.key, statuses) == frozenset()


def test_a_pinned_digest_stays_when_the_key_changes() -> None:
    spec = ComponentRunSpec(component="app")
    signed, other = (choose_image(spec, component(RELEASE, verify={"key": Signer().public})) for _ in range(2))
    statuses = with_resolved((), signed, resolved(1), NOW)
    found = unverified_digest(other, statuses, NOW)
    assert found is not None
    assert found.digest == digest(1)
    assert unverified_digest(choice({}, MASTER, verify={"key": Signer().public}), statuses, NOW) is None


def test_a_signature_needs_a_channel() -> None:
    with pytest.raises(UserError, match=r"found spec\.verify without spec\.channels; expected channels") as caught:
        required_key(component(verify={"key": Signer().public}))
    assert caught.value.reason is Reason.INVALID_SPEC
    assert required_key(component(RELEASE)) is None


@given(st.lists(st.tuples(st.sampled_from(["release", "master"]), st.integers(0, 20), st.booleans()), max_size=40))
def test_what_a_channel_points_to_is_always_in_its_history(steps: list[tuple[str, int, bool]]) -> None:
    statuses: tuple[ChannelStatus, ...] = ()
    for name, number, is_own in steps:
        item = ImageChoice(APP, name, "EachRun", tag="main" if is_own else "1.0", is_own=is_own)
        statuses = with_resolved(statuses, item, resolved(number, item.tag), NOW)
    assert [item.name for item in statuses] == sorted({name for name, _, _ in steps})
    for status in statuses:
        assert len(status.history) <= MOST_KEPT
        own = [number for name, number, is_own in steps if name == status.name and is_own]
        assert status.digest == (digest(own[-1]) if own else None)
        assert status.digest is None or (status.digest, "main") in {(e.digest, e.tag) for e in status.history}


def test_an_unknown_channel_has_an_empty_status() -> None:
    assert status_of_channel((), "release") == ChannelStatus(name="release")


def test_what_a_channel_points_to_is_known_however_old_it_is() -> None:
    master = choice({"channel": "master"}, MASTER)
    assert channel_digest(master, ()) is None
    statuses = with_resolved((), master, resolved(1, "main"), NOW)
    assert channel_digest(master, statuses) == digest(1)
    assert channel_digest(choice({"channel": "master"}, MASTER | {"tag": "next"}), statuses) is None
    assert channel_digest(choice({"channel": "master"}, MASTER, image="h.io/other/app"), statuses) is None
    signed = choice({"channel": "master"}, MASTER, verify={"key": Signer().public})
    assert channel_digest(signed, statuses) is None
    assert channel_digest(signed, with_resolved((), signed, resolved(1, "main"), NOW)) == digest(1)


def test_a_digest_of_the_history_is_not_what_the_channel_points_to() -> None:
    old, new = choice({}, RELEASE), choice({}, RELEASE | {"tag": "1.5.0"})
    statuses = with_resolved(with_resolved((), old, resolved(1), NOW), new, resolved(2, "1.5.0"), NOW)
    assert channel_digest(new, statuses) == digest(2)
    assert channel_digest(old, statuses) is None
