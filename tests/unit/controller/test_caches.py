"""What the caches keep, what they ignore, and when a pod is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from componentrun.api import names
from componentrun.controller.watching.caches import Key, ObjectCache, PodCache, RunCache
from componentrun.core.pod.identity import PodIdentity
from componentrun.wire.documents import is_too_deep

KEY = Key("team", "load")


def run(version: int, *, uid: str = "run-1", phase: str | None = None) -> dict[str, Any]:
    status = {"status": {"phase": phase}} if phase else {}
    return {
        "metadata": {
            "namespace": "team",
            "name": "load",
            "uid": uid,
            "resourceVersion": str(version),
            "managedFields": [{"manager": "somebody"}],
        },
        "spec": {"image": "cleaner:1"},
        **status,
    }


def pod(version: int, *, uid: str = "pod-1", attempt: int = 1, run_uid: str = "run-1") -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "team",
            "name": f"load-{attempt}",
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                names.RUN_LABEL: "load",
                names.RUN_UID_LABEL: run_uid,
                names.ATTEMPT_LABEL: str(attempt),
            },
        },
        "status": {"phase": "Pending"},
    }


class TestObjects:
    def test_newer_replaces_older(self) -> None:
        cache = RunCache()
        assert cache.seen(run(1))
        assert cache.seen(run(2, phase="Pending"))
        found = cache.get(KEY)
        assert found is not None
        assert (found.metadata.resource_version, found.status.phase) == ("2", "Pending")

    def test_a_run_that_kopf_delivers_with_too_deep_parameters_can_be_read(self) -> None:
        parameters: dict[str, Any] = {}
        for _ in range(200):
            parameters = {"deeper": parameters}
        deep = run(1)
        deep["spec"]["configuration"] = {"parameters": parameters}
        cache = RunCache()
        cache.seen(deep)
        found = cache.get(KEY)
        assert found is not None
        assert is_too_deep(found.spec.configuration.parameters)

    def test_a_run_is_parsed_once_for_each_version(self) -> None:
        cache = RunCache()
        cache.seen(run(1))
        first = cache.get(KEY)
        assert cache.get(KEY) is first
        cache.seen(run(2, phase="Running"))
        assert cache.get(KEY) is not first

    def test_the_response_to_a_write_is_parsed_once(self) -> None:
        cache = RunCache()
        cache.seen(run(1))
        written = cache.answered(run(2, phase="Running"))
        assert written.status.phase == "Running"
        assert cache.get(KEY) is written

    def test_a_response_that_is_older_than_an_event_is_returned_and_not_kept(self) -> None:
        cache = RunCache()
        cache.seen(run(3, phase="Running"))
        assert cache.answered(run(2, phase="Pending")).status.phase == "Pending"
        found = cache.get(KEY)
        assert found is not None
        assert found.status.phase == "Running"

    def test_a_run_that_has_ended_is_not_kept_parsed(self) -> None:
        cache = RunCache()
        cache.seen(run(1, phase="Succeeded"))
        assert cache.get(KEY) is not cache.get(KEY)

    def test_a_limited_number_of_runs_is_kept_parsed(self) -> None:
        cache = RunCache()
        first = run(1)
        cache.seen(first)
        parsed = cache.get(KEY)
        for number in range(1000):
            other = run(number + 2)
            other["metadata"]["name"] = name = f"other-{number}"
            cache.seen(other)
            cache.get(Key("team", name))
        assert cache.get(KEY) is not parsed

    @pytest.mark.parametrize("version", [5, 4])
    def test_what_is_known_or_older_changes_nothing(self, version: int) -> None:
        cache = RunCache()
        cache.seen(run(5, phase="Running"))
        assert not cache.seen(run(version, phase="Pending"))
        assert cache.by_phase["Running"] == 1

    def test_versions_are_numbers_not_words(self) -> None:
        cache = RunCache()
        cache.seen(run(9))
        assert cache.seen(run(10))

    def test_only_the_very_object_is_deleted(self) -> None:
        cache = RunCache()
        cache.seen(run(7, uid="run-2"))
        assert not cache.gone(KEY, "run-1")
        assert cache.get(KEY) is not None
        assert cache.gone(KEY, "run-2")
        assert cache.get(KEY) is None

    def test_managed_fields_are_not_kept(self) -> None:
        cache = ObjectCache()
        cache.seen(run(1))
        assert b"managedFields" not in (cache.document(KEY) or b"")

    def test_objects_of_a_namespace(self) -> None:
        cache = ObjectCache()
        cache.seen(run(1))
        assert len(list(cache.of_namespace("team"))) == 1
        assert not list(cache.of_namespace("other"))

    def test_a_listing_knows_nothing_of_what_is_newer(self) -> None:
        cache = ObjectCache()
        cache.seen(run(10))
        assert cache.older_than(9, None) == []
        assert cache.older_than(10, None) == [(KEY, "run-1")]
        assert cache.older_than(10, "other") == []

    def test_a_deletion_was_asked_for_when_it_was_first_asked_for(self) -> None:
        """As a kubelet does it: it deletes the pod once more, at once, when its containers have ended."""
        cache = PodCache()
        for version, (time, grace) in enumerate([("2026-01-01T00:00:11Z", 1), ("2026-01-01T00:00:13Z", 0)], 1):
            obj = pod(version)
            obj["metadata"] |= {"deletionTimestamp": time, "deletionGracePeriodSeconds": grace}
            cache.seen(obj)
        found = cache.current(KEY, "run-1")
        assert found is not None
        assert found.deletion_asked_at == datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
        assert found.deletion_grace_seconds == 0


class TestSeveralOperators:
    def labelled(self, version: int, operator: str | None) -> dict[str, Any]:
        obj = run(version)
        obj["metadata"]["labels"] = {names.OPERATOR_LABEL: operator} if operator else {}
        return obj

    @pytest.mark.parametrize(
        ("own", "label", "kept"),
        [("", None, True), ("", "canary", False), ("canary", "canary", True), ("canary", None, False)],
    )
    def test_each_keeps_its_own_runs(self, own: str, label: str | None, kept: bool) -> None:
        cache = RunCache(own)
        assert cache.seen(self.labelled(1, label)) is kept
        assert (cache.get(KEY) is not None) is kept

    def test_a_run_that_is_given_away_is_forgotten(self) -> None:
        cache = RunCache()
        cache.seen(self.labelled(1, None))
        assert cache.seen(self.labelled(2, "canary"))
        assert cache.get(KEY) is None

    def test_runs_of_others_are_known_as_such_while_they_are_there(self) -> None:
        cache = RunCache("canary")
        cache.seen(self.labelled(1, "other"))
        assert cache.is_anothers(KEY)
        cache.gone(KEY, "run-0")
        assert cache.is_anothers(KEY), "an earlier run of that name"
        cache.gone(KEY, "run-1")
        assert not cache.is_anothers(KEY)
        cache.seen(self.labelled(2, "other"))
        cache.seen(self.labelled(3, "canary"))
        assert not cache.is_anothers(KEY)

    def test_a_run_of_another_is_known_as_such_when_it_is_gone(self) -> None:
        cache = RunCache("canary")
        cache.seen(self.labelled(1, "other"))
        cache.seen(self.labelled(2, "other"))
        assert not cache.was_anothers("run-1"), "it is there"
        cache.gone(KEY, "run-1")
        assert cache.was_anothers("run-1")

    def test_a_run_that_was_handed_over_is_its_own(self) -> None:
        cache = RunCache("canary")
        cache.seen(self.labelled(1, "other"))
        cache.seen(self.labelled(2, "canary"))
        cache.gone(KEY, "run-1")
        assert not cache.was_anothers("run-1")


class TestPhases:
    def test_runs_are_counted_by_their_phase(self) -> None:
        cache = RunCache()
        cache.seen(run(1))
        assert cache.by_phase["Queued"] == 1
        cache.seen(run(2, phase="Running"))
        assert (cache.by_phase["Queued"], cache.by_phase["Running"]) == (0, 1)
        assert cache.in_progress == 1
        assert cache.in_phases(frozenset({"Running"})) == [KEY]
        cache.gone(KEY, "run-1")
        assert cache.by_phase["Running"] == 0


class TestPods:
    def test_a_run_has_the_pod_of_its_latest_attempt(self) -> None:
        cache = PodCache()
        cache.seen(pod(1))
        cache.seen(pod(2, uid="pod-2", attempt=2))
        found = cache.current(KEY, "run-1")
        assert found is not None
        assert (found.uid, found.attempt) == ("pod-2", 2)

    def test_a_pod_of_an_earlier_run_of_the_same_name_is_not_ours(self) -> None:
        cache = PodCache()
        cache.seen(pod(1, run_uid="run-0"))
        assert cache.current(KEY, "run-1") is None

    def test_a_deleted_pod_is_kept_as_gone(self) -> None:
        cache = PodCache()
        cache.seen(pod(1))
        assert cache.deleted(pod(2))
        found = cache.current(KEY, "run-1")
        assert found is not None
        assert found.gone

    def test_what_is_older_than_its_end_does_not_bring_a_pod_back(self) -> None:
        cache = PodCache()
        cache.deleted(pod(5))
        assert not cache.seen(pod(4))
        assert not cache.seen(pod(5))
        assert not cache.deleted(pod(6))

    def test_a_pod_that_got_its_label_back_is_there_again(self) -> None:
        """A watch that selects by labels says DELETED of a pod that loses one, and ADDED when it gets it back."""
        cache = PodCache()
        cache.deleted(pod(5))
        assert cache.seen(pod(6))
        found = cache.current(KEY, "run-1")
        assert found is not None
        assert not found.gone

    def test_an_end_that_was_told_before_the_pod_was_found_is_old(self) -> None:
        cache = PodCache()
        cache.seen(pod(5))
        assert cache.found(pod(7), PodIdentity("load", "run-1", 1))
        assert not cache.deleted(pod(6))

    def test_a_deletion_counts_at_the_version_that_is_known(self) -> None:
        cache = PodCache()
        cache.seen(pod(5))
        assert cache.deleted(pod(5))

    def test_a_pod_that_may_still_run_keeps_a_place_until_it_is_known_to_be_gone(self) -> None:
        cache = PodCache()
        told: list[bool] = []
        cache.on_pod = lambda _run, _run_uid, _uid, view: told.append(view.can_run_component)
        cache.deleted(pod(5))
        assert cache.absent(KEY, "pod-1")
        assert not cache.absent(KEY, "pod-1")
        assert told == [True, False]

    def test_a_pod_that_is_forgotten_keeps_no_place(self) -> None:
        cache = PodCache()
        told: list[bool] = []
        cache.on_pod = lambda _run, _run_uid, _uid, view: told.append(view.can_run_component)
        cache.deleted(pod(5))
        cache.forget(KEY, only_gone=True)
        assert told == [True, False]

    @pytest.mark.parametrize(
        "change", [{names.RUN_LABEL: "other"}, {names.RUN_UID_LABEL: "other"}, {names.ATTEMPT_LABEL: "7"}]
    )
    def test_a_pod_is_its_owners_whatever_its_labels_say(self, change: dict[str, str]) -> None:
        cache = PodCache()
        edited = pod(1)
        edited["metadata"]["ownerReferences"] = [
            {"apiVersion": "componentrun.dev/v1alpha1", "kind": "ComponentRun", "name": "load", "uid": "run-1"}
        ]
        edited["metadata"]["labels"] |= change
        assert cache.seen(edited)
        found = cache.current(KEY, "run-1")
        assert found is not None
        assert (found.attempt, found.mislabelled) == (1, True)

    def test_a_pod_that_is_there_comes_before_a_gone_one_of_the_same_attempt(self) -> None:
        cache = PodCache()
        cache.deleted(pod(1, uid="pod-0"))
        cache.seen(pod(2))
        found = cache.current(KEY, "run-1")
        assert found is not None
        assert found.uid == "pod-1"

    def test_gone_pods_are_forgotten_when_their_run_has_ended(self) -> None:
        cache = PodCache()
        cache.deleted(pod(1))
        cache.seen(pod(2, uid="pod-2", attempt=2))
        cache.forget(KEY, only_gone=True)
        assert len(cache) == 1
        cache.forget(KEY)
        assert len(cache) == 0

    def test_a_pod_that_a_listing_lacks_is_gone(self) -> None:
        cache = PodCache()
        cache.seen(pod(3))
        assert cache.older_than(3, None) == [(KEY, "pod-1")]
        assert cache.vanished(KEY, "pod-1")
        assert not cache.vanished(KEY, "pod-1")
        assert cache.older_than(3, None) == []

    def test_pods_of_others_are_ignored(self) -> None:
        cache = PodCache()
        stranger = pod(1)
        del stranger["metadata"]["labels"]
        assert not cache.seen(stranger)
        assert len(cache) == 0
