"""Statuses that the controller asks for, and the rules for conditions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from componentrun.api.componentrun import ComponentRunStatus, TableStatus
from componentrun.core.lifecycle import status
from componentrun.core.lifecycle.actions import KubernetesEvent
from componentrun.core.podstatus.verdict import Diagnosis
from componentrun.core.request.resolve import resolve
from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UserError
from tests.unit.core.make import LIMITS, at, condition, ended, facts, make_pod, make_run, running, stamp, started_status


def publishing_status(reason: str = "Succeeded", **more: Any) -> dict[str, Any]:
    document = started_status(phase="Publishing", **more)
    document["attempts"][0] |= {
        "reason": reason,
        "message": "How it ended.",
        "exitCode": 0 if reason == "Succeeded" else 1,
    }
    document["phases"].append({"phase": "Publishing", "startTime": stamp(30)})
    return document


class TestAttemptStarted:
    def started(self) -> ComponentRunStatus:
        run = make_run()
        tables = [TableStatus(table="in.c-main.foo", rows=3, bytes=9)]
        return status.attempt_started(
            run, resolve(run, None, "lake"), number=1, pod_uid="u", input_tables=tables, now=at(0)
        )

    def test_records_the_pod_and_what_goes_in(self) -> None:
        found = self.started()
        assert (found.phase, found.storage, found.image) == ("Pending", "lake", "registry.example.com/team/cleaner:1.2")
        assert (found.attempts[0].pod, found.attempts[0].pod_uid, found.start_time) == ("daily-1", "u", at(0))
        assert found.input_tables is not None
        assert condition(found, "Succeeded") == ("Unknown", "Pending")

    def test_again_changes_nothing(self) -> None:
        run = make_run(status=self.started().to_dict())
        again = status.attempt_started(
            run, resolve(run, None, "lake"), number=1, pod_uid="u", input_tables=(), now=at(9)
        )
        assert again == run.status


class TestStartFailed:
    def test_by_the_users_fault_is_the_end(self) -> None:
        asking = UserError("no table `a`. Did you mean `b`?", Reason.INPUT_NOT_FOUND)
        told = status.start_failed(make_run(), asking, limits=LIMITS, now=at(1)).message
        assert told == "The run could not be started: no table `a`. Did you mean `b`?"
        found = status.start_failed(make_run(), UserError("no", Reason.INVALID_SPEC), limits=LIMITS, now=at(1))
        assert (found.phase, found.reason, found.message) == (
            "Failed", "InvalidSpec", "The run could not be started: no."
        )  # fmt: skip
        assert condition(found, "EventsDelivered") == ("True", "NothingToDeliver")

    def test_by_a_store_that_is_away_is_tried_again_for_a_while(self) -> None:
        error = TransientError("The store did not answer.", Reason.STORAGE_UNAVAILABLE)
        first = status.start_failed(make_run(), error, limits=LIMITS, now=at(0))
        assert (first.phase, first.reason) == ("Queued", "StorageUnavailable")
        assert first.message == "The run can't start yet, and will be tried again: The store did not answer."
        run = make_run(status=first.to_dict())
        assert status.start_failed(run, error, limits=LIMITS, now=at(119)) == run.status
        last = status.start_failed(run, error, limits=LIMITS, now=at(120))
        assert (last.phase, last.reason) == ("Failed", "StorageUnavailable")
        assert last.message == "The run could not be started: The store did not answer."

    def test_by_what_an_earlier_run_left_for_good_ends_with_a_reason_of_ends(self) -> None:
        """Where the garbage collector stands still, `Queued` is why it waits, and not how it ended."""
        error = TransientError("a Secret `daily-1` is left from an earlier run", Reason.QUEUED)
        run = make_run(status=status.start_failed(make_run(), error, limits=LIMITS, now=at(0)).to_dict())
        last = status.start_failed(run, error, limits=LIMITS, now=at(120))
        assert (run.status.reason, last.phase, last.reason) == ("Queued", "Failed", "PodRejected")

    def test_after_a_suspension_has_its_whole_time_again(self) -> None:
        error = TransientError("away")
        queued = status.start_failed(make_run(), error, limits=LIMITS, now=at(0))
        suspended = status.suspended(make_run(status=queued.to_dict()), at(10))
        again = status.start_failed(make_run(status=suspended.to_dict()), error, limits=LIMITS, now=at(900))
        assert again.phase == "Queued"


class TestPublished:
    TABLES = (TableStatus(table="out.c-main.bar", rows=5, bytes=50),)

    def test_is_a_success(self) -> None:
        run = make_run(status=publishing_status())
        found = status.published(run, tables=self.TABLES, warnings=(), now=at(40))
        assert (found.phase, found.result, found.exit_code, found.warnings) == ("Succeeded", "Success", 0, None)
        assert condition(found, "Published") == ("True", "Published")
        assert next(c.message for c in found.conditions if c.type == "Published") == "1 table, 5 rows."
        assert found.attempts[-1].completion_time == at(40)
        assert condition(found, "Succeeded") == ("True", "Succeeded")
        assert found.completion_time == at(40)

    def test_with_warnings_says_so(self) -> None:
        run = make_run(status=publishing_status())
        found = status.published(run, tables=self.TABLES, warnings=("stray.csv was left",), now=at(40))
        assert (found.phase, found.result, found.warnings) == ("Succeeded", "Warning", ("stray.csv was left",))

    def test_names_no_more_than_an_object_can_hold(self) -> None:
        """A component that leaves 20,000 files causes a warning, or a table, for each of them."""
        run = make_run(status=publishing_status())
        warnings = [f"out/tables/{'x' * 200}-{number} was not stored" for number in range(20_000)]
        tables = [TableStatus(table=f"out.c-main.{'y' * 90}-{number}", rows=1, bytes=1) for number in range(20_000)]
        found = status.published(run, tables=tables, warnings=warnings, now=at(40))
        assert len(json.dumps(found.to_dict()).encode()) < 1_000_000
        assert found.warnings is not None
        assert (found.warnings[0], found.warnings[-1]) == (warnings[0], "19900 more warnings: see the run's events.")
        message = next(c.message for c in found.conditions if c.type == "Published")
        assert message == "20000 tables, 20000 rows; `status.outputTables` names the first 5000."

    def test_warns_that_a_cancel_came_too_late(self) -> None:
        run = make_run(status=publishing_status(), cancel=True)
        found = status.published(run, tables=self.TABLES, warnings=(), now=at(40))
        assert (found.phase, found.result) == ("Succeeded", "Warning")
        assert "too late" in (found.warnings or ("",))[0]

    def test_of_a_failed_run_stays_a_failure(self) -> None:
        run = make_run(status=publishing_status("UserError", lastWords="no"))
        found = status.published(run, tables=self.TABLES, warnings=(), now=at(40))
        assert (found.phase, found.reason, found.message, found.exit_code) == (
            "Failed",
            "UserError",
            "How it ended.",
            1,
        )
        assert condition(found, "Published")[0] == "True"
        published = next(c for c in found.conditions if c.type == "Published")
        assert published.message == "Only the `writeAlways` tables: 1 table, 5 rows."
        assert found.last_words == "no"

    def test_without_a_table_says_so_and_the_attempt_keeps_its_end(self) -> None:
        document = publishing_status()
        document["attempts"][0]["completionTime"] = stamp(29)
        found = status.published(make_run(status=document), tables=(), warnings=(), now=at(40))
        published = next(c for c in found.conditions if c.type == "Published")
        assert published.message == "There were no tables to publish."
        assert found.attempts[-1].completion_time == at(29)

    def test_again_changes_nothing(self) -> None:
        run = make_run(status=publishing_status())
        final = status.published(run, tables=self.TABLES, warnings=(), now=at(40))
        again = make_run(status=final.to_dict())
        assert status.published(again, tables=(), warnings=("new",), now=at(50)) == again.status


class TestTheTimesOfPhases:
    def seen(self, begun: float, *, known: str = "Pending", brought: float = 1) -> list[tuple[str, object]]:
        """Phases behind the ones that are known, of a pod whose component has ended when it is looked at."""
        pod = facts(
            make_pod(
                stage_in=ended(start=brought, end=brought + 1),
                component=ended(0, start=begun, end=4),
                stage_out=running(),
            )
        )
        run = make_run(status=started_status(phase=known))
        found = status.observed_phase(run, pod, at(5))
        return [(item.phase, item.start_time) for item in found.phases[len(run.status.phases) :]]

    def test_a_component_that_ended_before_anybody_looked_was_running_all_the_same(self) -> None:
        assert self.seen(3, known="StagingIn") == [("Running", at(3)), ("StagingOut", at(4))]

    def test_input_that_was_in_before_anybody_looked_was_brought_all_the_same(self) -> None:
        assert self.seen(3) == [("StagingIn", at(1)), ("Running", at(3)), ("StagingOut", at(4))]

    def test_nor_is_it_forgotten_where_the_component_still_runs(self) -> None:
        pod = facts(make_pod(stage_in=ended(start=1, end=2), component=running(3), stage_out=running()))
        found = status.observed_phase(make_run(status=started_status()), pod, at(5))
        assert [(item.phase, item.start_time) for item in found.phases[-2:]] == [
            ("StagingIn", at(1)),
            ("Running", at(3)),
        ]
        again = status.observed_phase(make_run(status=found.to_dict()), pod, at(6))
        assert again.phases == found.phases

    def test_what_was_seen_later_has_no_phase_put_behind_it(self) -> None:
        assert self.seen(3, known="Running") == [("StagingOut", at(4))]
        assert self.seen(3, known="StagingOut") == []

    def test_of_an_earlier_attempt_they_are_no_reason_to_leave_out_those_of_the_next(self) -> None:
        document = started_status(phase="StagingOut")
        document["phases"] += [{"phase": name, "startTime": stamp(0)} for name in ("Queued", "Pending")]
        document["phase"] = "Pending"
        pod = facts(make_pod(stage_in=ended(start=1, end=2), component=ended(0, start=3, end=4)))
        found = status.observed_phase(make_run(status=document), pod, at(5))
        assert [item.phase for item in found.phases[-4:]] == ["Pending", "StagingIn", "Running", "StagingOut"]

    @pytest.mark.parametrize(("brought", "begun"), [(-60, -50), (-60, 3), (2, 1), (60, 70), (2, 70)])
    def test_no_phase_begins_before_the_one_before_it(self, brought: float, begun: float) -> None:
        """Though the node's clock be wrong."""
        found = self.seen(begun, brought=brought)
        assert [name for name, _ in found] == ["StagingIn", "Running", "StagingOut"]
        times = [started_status()["phases"][-1]["startTime"], *(time for _, time in found)]
        assert times[1:] == sorted(times[1:], key=str)
        assert at(0) <= times[1]


class TestEvents:
    def test_that_were_not_delivered_are_told_with_the_collectors_words(self) -> None:
        document = started_status(phase="Failed", events={"count": 3, "message": "the store refused"})
        found = status.events_given_up(make_run(status=document), at(99))
        told = next(c for c in found.conditions if c.type == "EventsDelivered")
        assert (told.status, told.message) == (
            "False",
            (
                "The collector did not deliver the last events in time; the end of the log may be missing. "
                "The collector reports: the store refused"
            ),
        )

    def test_that_were_not_delivered_by_a_silent_collector_are_told_too(self) -> None:
        found = status.events_given_up(make_run(status=started_status(phase="Failed")), at(99))
        assert next(c for c in found.conditions if c.type == "EventsDelivered").message.endswith("may be missing.")


def test_what_was_said_before_a_run_was_edited_holds_at_its_end() -> None:
    """`kubectl wait` for `StagedIn`, where `ttlAfterFinished` was given to a run while its component ran."""
    staged = {
        "type": "StagedIn", "status": "True", "reason": "StagedIn", "message": "1 table.",
        "lastTransitionTime": stamp(1), "observedGeneration": 1,
    }  # fmt: skip
    run = make_run(status=publishing_status(conditions=[staged]))
    edited = run.model_copy(update={"metadata": run.metadata.model_copy(update={"generation": 2})})
    found = status.published(edited, tables=(), warnings=(), now=at(40))
    assert condition(found, "StagedIn") == ("True", "StagedIn")
    assert {item.observed_generation for item in found.conditions} == {found.observed_generation} == {2}


class TestWhatCanNotBe:
    """Two operators, an operator of another release, a status that somebody edited: nothing of it may raise."""

    def test_a_run_that_has_ended_keeps_its_end(self) -> None:
        run = make_run(status=started_status(phase="Cancelled", reason="Cancelled"))
        error = PlatformError("no")
        assert status.start_failed(run, error, limits=LIMITS, now=at(1)) == run.status
        assert status.publish_failed(run, error, limits=LIMITS, now=at(1)) == run.status
        assert status.finished(run, Diagnosis(Reason.SUCCEEDED, "Well."), now=at(1)) == run.status

    @pytest.mark.parametrize("reason", [None, "InventedLater"])
    def test_publishing_without_a_known_end_of_the_attempt_is_no_success(self, reason: str | None) -> None:
        document = publishing_status()
        document["attempts"][0]["reason"] = reason
        found = status.published(make_run(status=document), tables=(), warnings=(), now=at(40))
        assert (found.phase, found.reason) == ("Failed", "Internal")

    def test_a_run_that_is_given_up_while_it_publishes_does_not_say_that_nothing_was(self) -> None:
        run = make_run(status=publishing_status())
        found = status.start_failed(run, PlatformError("A defect."), limits=LIMITS, now=at(40))
        published = next(c for c in found.conditions if c.type == "Published")
        assert published.message == "Publishing was not finished."


class TestPublishFailed:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (UserError("A column is missing.", Reason.OUTPUT_INVALID), "OutputInvalid"),
            (PlatformError("Denied.", Reason.STORAGE_ACCESS_DENIED), "PublishFailed"),
            (ComponentRunError("A defect."), "PublishFailed"),
        ],
    )
    def test_is_the_end(self, error: ComponentRunError, reason: str) -> None:
        run = make_run(status=publishing_status())
        found = status.publish_failed(run, error, limits=LIMITS, now=at(31))
        assert (found.phase, found.reason) == ("Failed", reason)
        assert error.message in (found.message or "")
        assert condition(found, "Published")[0] == "False"
        assert found.attempts[-1].reason == reason

    @pytest.mark.parametrize(("begun", "seconds"), [(False, 120), (True, 3600)])
    def test_is_tried_again_while_the_store_is_away(self, begun: bool, seconds: int) -> None:
        run = make_run(status=publishing_status())
        error = TransientError("away")

        def failed(now: float) -> ComponentRunStatus:
            return status.publish_failed(run, error, limits=LIMITS, now=at(now), begun=begun)

        assert failed(30 + seconds - 1).phase == "Publishing"
        assert condition(failed(31), "Published") == ("Unknown", "Internal")
        assert failed(30 + seconds).phase == "Failed"

    def test_of_a_failed_run_keeps_its_reason_and_warns(self) -> None:
        run = make_run(status=publishing_status("Timeout"))
        found = status.publish_failed(run, PlatformError("Denied."), limits=LIMITS, now=at(31))
        assert (found.phase, found.reason, found.result) == ("Failed", "Timeout", "Error")
        assert "Denied." in (found.warnings or ("",))[0]


class TestConditions:
    def test_transition_times_move_only_with_the_status(self) -> None:
        error = TransientError("away")
        first = status.start_failed(make_run(), error, limits=LIMITS, now=at(0))
        other = status.start_failed(
            make_run(status=first.to_dict()), TransientError("away, still"), limits=LIMITS, now=at(5)
        )
        assert other.conditions[0].message == "The run can't start yet, and will be tried again: away, still."
        assert other.conditions[0].last_transition_time == at(0)
        final = status.start_failed(make_run(status=other.to_dict()), UserError("no"), limits=LIMITS, now=at(9))
        assert final.conditions[0].last_transition_time == at(9)


class TestDocument:
    def test_to_write_leaves_out_the_collectors_part(self) -> None:
        run = make_run(status=started_status(events={"count": 3, "delivered": True}))
        document = status.without_events(run.status)
        assert "events" not in document
        assert document["attempts"][0]["podUID"] == "pod-uid"


class TestKubernetesEvents:
    def test_tell_of_a_failure_and_not_of_a_success(self) -> None:
        before = make_run(status=publishing_status()).status
        success = status.published(make_run(status=publishing_status()), tables=(), warnings=(), now=at(40))
        assert status.lifecycle_event(before, success) is None
        failure = status.start_failed(make_run(), UserError("no", Reason.INVALID_SPEC), limits=LIMITS, now=at(1))
        assert status.lifecycle_event(ComponentRunStatus(), failure) == KubernetesEvent(
            "Warning", "InvalidSpec", "The run could not be started: no."
        )
        assert status.lifecycle_event(failure, failure) is None

    def test_tell_of_warnings(self) -> None:
        run = make_run(status=publishing_status())
        found = status.published(run, tables=(), warnings=("a", "b"), now=at(40))
        assert status.lifecycle_event(run.status, found) == KubernetesEvent("Warning", "Succeeded", "a; b")

    def test_are_never_longer_than_the_api_takes(self) -> None:
        failure = status.start_failed(make_run(), UserError("x" * 5000), limits=LIMITS, now=at(1))
        event = status.lifecycle_event(ComponentRunStatus(), failure)
        assert event is not None
        assert len(event.message) == 1024


class TestWorthAWrite:
    def test_the_node_alone_is_not(self) -> None:
        before = status.observed_phase(
            make_run(status=started_status()), facts(make_pod(phase="Pending", node="")), at(4)
        )
        run = make_run(status=before.to_dict())
        found = status.observed_phase(run, facts(make_pod(phase="Pending", node="node-a")), at(5))
        assert found.attempts[-1].node == "node-a"
        assert not status.worth_a_write(run.status, found)

    def test_it_goes_with_the_next_change(self) -> None:
        run = make_run(status=started_status())
        found = status.observed_phase(run, facts(make_pod(stage_in=running(), node="node-a")), at(5))
        assert (found.phase, found.attempts[-1].node) == ("StagingIn", "node-a")
        assert status.worth_a_write(run.status, found)

    def test_another_attempt_is(self) -> None:
        run = make_run()
        assert status.worth_a_write(run.status, make_run(status=started_status()).status)
        assert not status.worth_a_write(run.status, run.status)
