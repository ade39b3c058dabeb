"""Waiting for runs and following them: what is shown, when it ends, with which exit code."""

from __future__ import annotations

import io
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.cli.errors import EnvironmentFault
from componentrun.contract import EVENTS_WAIT_SECONDS
from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.process.kubernetes.resources import RUNS
from tests.unit.cli.world import START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.cli.world import World

USER_REASONS = {
    Reason.USER_ERROR, Reason.OUTPUT_MISSING, Reason.OUTPUT_INVALID, Reason.INPUT_NOT_FOUND, Reason.INPUT_INVALID,
    Reason.INVALID_SPEC, Reason.COMPONENT_NOT_FOUND, Reason.STORAGE_NOT_FOUND, Reason.SECRET_NOT_FOUND,
    Reason.SOURCE_UNAVAILABLE, Reason.PARENT_UNAVAILABLE, Reason.BUILD_FAILED,
    Reason.COMPONENT_WITHDRAWN, Reason.CONFIG_MAP_NOT_FOUND, Reason.INVALID_CONFIGURATION,
}  # fmt: skip
ENDS = [
    ("Succeeded", Reason.SUCCEEDED, 0),
    ("Cancelled", Reason.CANCELLED, 2),
    *(
        ("Failed", reason, 1 if reason in USER_REASONS else 2)
        for reason in list(Reason)[list(Reason).index(Reason.USER_ERROR) :]
    ),
]


@pytest.mark.parametrize(("phase", "reason", "code"), ENDS)
def test_the_exit_code_says_who_can_mend_it(world: World, phase: str, reason: Reason, code: int) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.ended("one", phase, reason, message="This is why.")
    result = world.run("wait", "one")
    assert result.exit_code == code
    assert "This is why." in result.stderr
    assert not result.stdout


def phases(*names: str) -> list[dict[str, str]]:
    return [{"phase": name, "startTime": (START + timedelta(seconds=i)).isoformat()} for i, name in enumerate(names)]


def delivered(count: int) -> dict[str, Any]:
    return {"count": count, "delivered": True}


def submit(world: World, *more: str, script: list[Callable[[], None]]) -> Any:
    world.script = script
    return world.run("submit", "--component", "cleaner", "--name", "one", *more)


def test_submit_alone_prints_the_name_and_does_not_wait(world: World) -> None:
    result = submit(world, script=[])
    assert (result.stdout, result.stderr, result.exit_code) == ("one\n", "", 0)


def test_wait_prints_the_name_first_then_phases_and_the_outcome_on_stderr(world: World) -> None:
    tables = [{"table": "out.c-main.bar", "rows": 1000, "bytes": 12345}]
    result = submit(
        world,
        "--wait",
        script=[
            lambda: world.cluster.status("one", phase="Running", phases=phases("Queued", "Pending", "Running")),
            lambda: world.ended("one", phases=phases("Queued", "Pending", "Running", "Succeeded"), outputTables=tables),
        ],
    )
    assert result.exit_code == 0
    assert result.stdout == "one\n"
    told = [line.split()[-1] for line in result.stderr.splitlines()[:4]]
    assert told == ["Queued", "Pending", "Running", "Succeeded"]
    assert "ComponentRun `one` Succeeded after 0s\n  out.c-main.bar: 1,000 rows, 12.3 kB\n" in result.stderr


def test_follow_shows_each_line_once_as_it_comes_and_waits_for_the_last_ones(world: World) -> None:
    def second() -> None:
        world.store.say("second", type_="warn")
        world.ended("one")

    result = submit(
        world,
        "--follow",
        script=[
            lambda: world.store.say("first"),
            second,
            lambda: world.store.say("last words\nin two lines"),
            lambda: world.cluster.status("one", events=delivered(3)),
        ],
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "08:00:00.000 info    component: first",
        "08:00:00.000 warn    component: second",
        "08:00:00.000 info    component: last words",
        "                     in two lines",
    ]
    assert world.now == START + timedelta(seconds=2)


def events_condition(status: str, reason: str, message: str) -> dict[str, Any]:
    at = START.isoformat()
    told = {"type": "EventsDelivered", "status": status, "reason": reason, "message": message, "lastTransitionTime": at}
    return {"conditions": [told]}


def test_follow_says_what_it_waits_for_until_the_operator_waits_no_longer(world: World) -> None:
    late = events_condition("Unknown", "WaitingForCollector", "Pod `one-1` is kept until 08:15:00 UTC.")
    given_up = events_condition("False", "WaitEnded", "The end of the log may be missing.")
    nothing = [lambda: None] * 20
    result = submit(
        world,
        "--follow",
        script=[
            lambda: world.ended("one"),
            *nothing,
            lambda: world.cluster.status("one", **late),
            *nothing,
            lambda: world.cluster.status("one", **given_up),
        ],
    )
    assert result.exit_code == 0
    waits = [line for line in result.stderr.splitlines() if line.startswith("the run has ended; waiting for")]
    assert [line.partition("events: ")[2].partition(" Ctrl-C")[0] for line in waits] == [
        "the collector has not delivered them yet.",
        "Pod `one-1` is kept until 08:15:00 UTC.",
    ]
    assert "the last events of `one` are not delivered: The end of the log may be missing." in result.stderr


def test_without_collector_and_operator_follow_ends_a_minute_after_the_longest_wait(world: World) -> None:
    result = submit(world, "--follow", script=[lambda: world.ended("one")])
    assert result.exit_code == 0
    assert world.now == START + timedelta(seconds=EVENTS_WAIT_SECONDS + 60.5)
    assert "the last events of `one` are not delivered: they did not arrive within 960s" in result.stderr


def test_a_run_that_is_over_in_time_is_over_though_its_events_are_late(world: World) -> None:
    result = submit(world, "--follow", "--wait-timeout", "20s", script=[lambda: world.ended("one")])
    assert result.exit_code == 0
    assert world.now == START + timedelta(seconds=20)
    assert "the last events of `one` are not delivered" in result.stderr


def test_ctrl_c_behind_the_end_says_how_it_ended(world: World) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    result = submit(world, "--follow", script=[lambda: world.ended("one"), interrupt])
    assert result.exit_code == 130
    assert "ComponentRun `one` Succeeded" in result.stderr
    assert "`componentrun events one --namespace team` shows them" in result.stderr
    assert "goes on" not in result.stderr


def test_follow_goes_on_without_events_where_storage_can_not_be_read(world: World) -> None:
    world.store.feed.problem = PlatformError("can't list `s3://tables`", Reason.STORAGE_ACCESS_DENIED)
    result = submit(world, "--follow", script=[lambda: world.ended("one", "Failed", "UserError")])
    assert result.exit_code == 1
    assert "can't list `s3://tables`; the run is followed without its events" in result.stderr


def test_a_cluster_that_is_away_for_a_moment_is_borne(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})

    def away() -> None:
        world.cluster.problems["get"] = EnvironmentFault("the cluster does not answer", "check it")

    def back() -> None:
        del world.cluster.problems["get"]
        world.ended("one")

    world.script = [away, *[lambda: None] * 20, back]
    result = world.run("wait", "one")
    assert result.exit_code == 0
    assert result.stderr.count("the cluster does not answer; trying again for 60s") == 1


def test_a_cluster_that_stays_away_ends_the_wait(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.script = [lambda: world.cluster.problems.update(get=EnvironmentFault("no answer", "check it"))]
    result = world.run("wait", "one")
    assert result.exit_code == 2
    assert result.stderr.endswith("error: no answer\n\nhint: check it\n")


def test_events_of_a_store_that_is_away_are_read_when_it_is_back(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.store.say("first")

    def back() -> None:
        world.store.feed.problem = None
        world.store.say("second")
        world.ended("one", events=delivered(2))

    def away() -> None:
        world.store.feed.problem = TransientError("the store did not answer", Reason.STORAGE_UNAVAILABLE)

    world.script = [away, back]
    result = world.run("events", "one", "-f")
    assert result.exit_code == 0
    assert [line.rpartition(" ")[2] for line in result.stdout.splitlines()] == ["first", "second"]


@pytest.mark.parametrize("command", [("wait", "one"), ("submit", "--component", "cleaner", "--name", "one", "--wait")])
def test_waiting_ends_with_124_and_says_where_the_run_is(world: World, command: tuple[str, ...]) -> None:
    if command[0] == "wait":
        world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.script = [lambda: world.cluster.status("one", phase="Pending", message="No node has room")]
    result = world.run(*command, "--wait-timeout", "5s")
    assert result.exit_code == 124
    assert "ComponentRun `one` is not over yet: it is `Pending` (No node has room)" in result.stderr
    assert "hint: The run goes on. `componentrun wait one` waits again" in result.stderr
    assert world.now == START + timedelta(seconds=5)


@pytest.mark.parametrize(
    "command",
    [("wait", "one"), ("cancel", "one", "--wait"), ("submit", "--component", "cleaner", "--name", "one", "--wait")],
)
def test_no_time_at_all_is_one_look(world: World, command: tuple[str, ...]) -> None:
    if command[0] != "submit":
        world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.script = [lambda: world.ended("one")]
    result = world.run(*command, "--wait-timeout", "0s")
    assert result.exit_code == 124
    assert world.now == START


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_stop_it(world: World) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    result = submit(world, "--follow", script=[interrupt])
    assert result.exit_code == 130
    assert "ComponentRun `one` goes on; `componentrun cancel one --namespace team` stops it" in result.stderr
    assert "cancel" not in world.created()["spec"]


def test_ctrl_c_while_the_first_events_are_read_says_how_to_stop_the_run_too(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.store.feed.problem = KeyboardInterrupt()
    result = world.run("events", "one", "-f")
    assert result.exit_code == 130
    assert "ComponentRun `one` goes on; `componentrun cancel one --namespace team` stops it" in result.stderr


@pytest.fixture
def in_the_foreground() -> Iterator[None]:
    """SIGINT is heard, also where the tests are a job in the background, which a shell has ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_foreground")
def test_ctrl_c_is_heard_though_what_it_raises_is_lost(world: World) -> None:
    class Answer(io.IOBase):
        def close(self) -> None:
            super().close()
            signal.raise_signal(signal.SIGINT)

    def answer_is_freed() -> None:
        Answer()

    answer_is_freed()  # nothing is raised
    result = submit(world, "--follow", script=[answer_is_freed, lambda: pytest.fail("it went on")])
    assert result.exit_code == 130
    assert "ComponentRun `one` goes on" in result.stderr


def test_a_run_that_is_deleted_while_it_is_followed_is_an_error(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.script = [world.cluster.objects["componentruns"].clear]
    result = world.run("wait", "one")
    assert result.exit_code == 1
    assert "was deleted while it was followed" in result.stderr


def test_a_run_that_is_deleted_right_behind_its_end_was_followed_to_its_end(world: World) -> None:
    """`ttlAfterFinished: 0s`: the run goes as soon as its events are delivered, between two looks."""

    def ends() -> None:
        world.ended("one", phases=phases("Queued", "Running", "Succeeded"))

    def goes() -> None:
        world.store.say("the last line")
        world.cluster.delete(RUNS, "one")

    result = submit(world, "--follow", script=[ends, goes])
    assert result.exit_code == 0, result.stderr
    assert "the last line" in result.stdout


def test_a_run_that_was_replaced_under_its_name_is_not_followed(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.script = [lambda: world.cluster.objects["componentruns"]["one"]["metadata"].update(uid="uid-other")]
    assert "was deleted and created again" in world.run("wait", "one").stderr


def test_the_outcome_shows_warnings_and_last_words(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.ended(
        "one", "Failed", "ApplicationError", message="It broke.", lastWords="Traceback\nboom\n", warnings=["odd"]
    )
    told = world.run("wait", "one").stderr
    assert "ComponentRun `one` Failed (ApplicationError) after 0s: It broke.\nwarning: odd\n" in told
    assert "last words:\n  | Traceback\n  | boom\n" in told


def test_the_advice_of_a_run_stands_on_a_line_of_its_own(world: World) -> None:
    world.cluster.add(RUNS, "one", {"image": "alpine"})
    world.ended("one", "Failed", "Timeout", message="It took too long. Raise the timeout.", advice="Raise the timeout.")
    told = world.run("wait", "one").stderr
    assert "ComponentRun `one` Failed (Timeout) after 0s: It took too long.\nhint: Raise the timeout.\n" in told


def test_last_words_that_the_message_quotes_are_not_told_twice(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.ended("one", "Failed", "UserError", message="It ended with exit code 1: no price", lastWords="no price\n")
    assert world.run("wait", "one").stderr.count("no price") == 1


def test_submit_follow_leaves_out_events_that_say_what_the_phases_say(world: World) -> None:
    def say() -> None:
        for type_ in ("info", "success", "warn"):
            world.store.say(f"{type_} of the operator", type_=type_, source="operator")
        world.ended("one", events=delivered(3))

    assert submit(world, "--follow", script=[say]).stdout.count("of the operator") == 1
