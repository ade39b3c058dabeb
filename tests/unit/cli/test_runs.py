"""Commands about runs that are there: get, list, cancel, delete, events, and `@latest`."""

from __future__ import annotations

import copy
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.process.kubernetes.resources import RUNS, STORAGES
from tests.unit.cli.world import START

if TYPE_CHECKING:
    from tests.unit.cli.world import World

STATUS: dict[str, Any] = {
    "phase": "Failed",
    "result": "Error",
    "reason": "OutOfMemory",
    "message": "The component was killed: it used more than its 256Mi of memory.",
    "exitCode": 137,
    "image": "registry.example/cleaner:1",
    "storage": "main",
    "startTime": "2026-11-24T07:58:00Z",
    "completionTime": "2026-11-24T07:59:05Z",
    "phases": [
        {"phase": "Pending", "startTime": "2026-11-24T07:58:00Z"},
        {"phase": "Running", "startTime": "2026-11-24T07:58:03.5Z"},
        {"phase": "Failed", "startTime": "2026-11-24T07:59:05Z"},
    ],
    "conditions": [
        {
            "type": "Succeeded",
            "status": "False",
            "reason": "OutOfMemory",
            "message": "Killed.",
            "lastTransitionTime": "2026-11-24T07:59:05Z",
        }
    ],
    "attempts": [
        {
            "number": 1,
            "pod": "one-1",
            "node": "node-a",
            "startTime": "2026-11-24T07:58:00Z",
            "completionTime": "2026-11-24T07:59:05Z",
            "reason": "OutOfMemory",
            "exitCode": 137,
        }
    ],
    "inputTables": [{"table": "in.c-main.foo", "rows": 1234567, "bytes": 52_000_000}],
    "outputTables": [{"table": "out.c-main.log", "rows": 1, "bytes": 12}],
    "lastWords": "loading\n\x1b[31mstill loading\n",
    "events": {"count": 12, "delivered": True},
}


def test_get_tells_everything_in_words(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status=STATUS)
    told = world.run("get", "one").stdout
    assert told == (
        "Name:         one\n"
        "Namespace:    team\n"
        "Component:    cleaner\n"
        "Image:        registry.example/cleaner:1\n"
        "Phase:        Failed\n"
        "Result:       Error\n"
        "Reason:       OutOfMemory\n"
        "Message:      The component was killed: it used more than its 256Mi of memory.\n"
        "Exit code:    137\n"
        "Created:      2026-11-24 07:00:00 UTC (60m ago)\n"
        "Duration:     1m05s\n"
        "Storage:      main\n"
        "Events:       12\n"
        "Phases:\n"
        "  Pending    3.5s\n"
        "  Running   1m02s\n"
        "Conditions:\n"
        "  Succeeded   False   OutOfMemory   Killed.\n"
        "Input tables:\n"
        "  in.c-main.foo   1,234,567 rows   52.0 MB\n"
        "Output tables:\n"
        "  out.c-main.log   1 row   12 B\n"
        "Attempts:\n"
        "  1   one-1   node-a   1m05s   OutOfMemory   exit code 137\n"
        "Last words:\n"
        "  | loading\n"
        "  | \\x1b[31mstill loading\n"
    )


def test_get_has_the_advice_on_a_line_of_its_own_and_json_has_both(world: World) -> None:
    advice = "Give it more memory in `spec.resources`."
    status = STATUS | {"message": f"{STATUS['message']} {advice}", "advice": advice}
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status=status)
    told = world.run("get", "one").stdout
    assert f"Message:      {STATUS['message']}\nAdvice:       {advice}\n" in told
    raw = json.loads(world.run("get", "one", "-o", "json").stdout)["status"]
    assert (raw["message"], raw["advice"]) == (status["message"], advice)


def test_get_of_a_run_without_a_status_is_queued(world: World) -> None:
    world.cluster.add(RUNS, "one", {"image": "alpine"})
    told = world.run("get", "one").stdout
    assert "Phase:        Queued\n" in told
    assert "Duration" not in told


def test_get_for_programs_is_the_object_without_managed_fields(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status=STATUS)
    world.cluster.objects["componentruns"]["one"]["metadata"]["managedFields"] = [{"manager": "x"}]
    raw = json.loads(world.run("get", "one", "-o", "json").stdout)
    assert (raw["status"], "managedFields" in raw["metadata"]) == (STATUS, False)
    assert yaml.safe_load(world.run("get", "one", "-o", "yaml").stdout)["spec"] == {"component": "cleaner"}


def test_latest_is_the_newest_run(world: World) -> None:
    for name in ("old", "new"):
        world.cluster.add(RUNS, name, {"component": "cleaner"})
    assert "Name:         new\n" in world.run("get", "@latest").stdout


def test_latest_of_no_runs_is_an_error_with_a_hint(world: World) -> None:
    result = world.run("get", "@latest")
    assert result.exit_code == 1
    assert "there are no runs in namespace `team`" in result.stderr


def test_a_run_of_a_later_release_is_no_traceback(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status={"phase": "Dreaming"})
    result = world.run("get", "one")
    assert result.exit_code == 2
    assert "has a `status.phase` that this release does not understand" in result.stderr


def three(world: World) -> None:
    world.cluster.add(RUNS, "a-long-name-that-is-not-cut-x7k2p", {"component": "cleaner"}, status=STATUS)
    world.cluster.add(RUNS, "b", {"image": "registry.example/x/alpine:3"})
    running = {"phase": "Running", "startTime": (START - timedelta(seconds=12)).isoformat()}
    world.cluster.add(RUNS, "c", {"component": "cleaner"}, status=running)


def test_list_has_a_line_for_each_run_the_newest_first(world: World) -> None:
    three(world)
    assert world.run("list").stdout == (
        "NAME                                PHASE     REASON        COMPONENT   DURATION   AGE\n"
        "c                                   Running   -             cleaner          12s   58m\n"
        "b                                   Queued    -             alpine:3           -   59m\n"
        "a-long-name-that-is-not-cut-x7k2p   Failed    OutOfMemory   cleaner        1m05s   60m\n"
    )


def test_list_wide_has_more(world: World) -> None:
    three(world)
    last = world.run("list", "-o", "wide").stdout.splitlines()[-1]
    assert last.split(maxsplit=11)[6:] == ["node-a", "1", "137", "1,234,567", "1", STATUS["message"]]


QUEUED: dict[str, Any] = {
    "phase": "Queued",
    "reason": "Queued",
    "message": "The run waits for others of its concurrency group `cleaner/42` (place 2 in line): `one`.",
    "queue": {
        "waitingFor": "ConcurrencyGroup", "position": 2, "group": "cleaner/42", "updated": "2026-11-24T07:58:00Z",
    },
}  # fmt: skip


def test_a_run_that_waits_shows_its_place_and_what_it_waits_for(world: World) -> None:
    world.cluster.add(RUNS, "two", {"component": "cleaner"}, status=QUEUED)
    assert "Waits for:    ConcurrencyGroup `cleaner/42`, place 2 in line" in world.run("get", "two").stdout
    assert "ConcurrencyGroup #2" in world.run("list").stdout


def test_list_for_programs(world: World) -> None:
    three(world)
    assert world.run("list", "-o", "name").stdout == "c\nb\na-long-name-that-is-not-cut-x7k2p\n"
    raw = json.loads(world.run("list", "-o", "json").stdout)
    assert (raw["kind"], [item["metadata"]["name"] for item in raw["items"]][:2]) == ("List", ["c", "b"])


def test_list_by_phase_label_and_component(world: World) -> None:
    three(world)
    world.cluster.objects["componentruns"]["c"]["metadata"]["labels"] = {"team": "sales"}
    result = world.run("list", "--phase", "running", "-l", "team=sales", "--component", "cleaner", "-A", "-o", "name")
    assert result.stdout == "c\n"
    asked = world.cluster.api.requests[-1]
    assert asked.path == RUNS.path(None)
    selectors = {"labelSelector": "team=sales", "fieldSelector": "spec.component=cleaner,status.phase=Running"}
    assert selectors.items() <= asked.query.items()
    assert world.run("list", "--phase", "running", "--phase", "failed", "-o", "name").stdout.count("\n") == 2


def test_a_run_that_nobody_has_looked_at_yet_is_queued(world: World) -> None:
    world.cluster.add(RUNS, "new", {"image": "a"})
    world.cluster.add(RUNS, "old", {"image": "a"}, status={"phase": "Running"})
    assert world.run("list", "--phase", "queued", "-o", "name").stdout == "new\n"
    assert "fieldSelector" not in world.cluster.api.requests[-1].query, "the API server knows no phase of it"


def test_a_run_of_a_later_release_is_listed_and_keeps_no_others_from_being_deleted(world: World) -> None:
    world.cluster.add(RUNS, "bad", {"image": "a", "size": "huge"})
    world.cluster.add(RUNS, "good", {"image": "a"})
    world.cluster.add(RUNS, "over", {"image": "a"})
    world.ended("over")
    listed = world.run("list")
    assert (listed.exit_code, "good" in listed.stdout, "bad" in listed.stdout) == (0, True, True), listed.stderr
    world.now += timedelta(hours=2)
    deleted = world.run("delete", "--older", "1h")
    assert deleted.exit_code == 0
    assert "ComponentRun `bad` has a `spec.size`" in deleted.stderr
    assert set(world.cluster.objects["componentruns"]) == {"bad", "good"}


def test_list_of_an_unknown_phase_names_the_known_ones(world: World) -> None:
    result = world.run("list", "--phase", "dreaming")
    assert result.exit_code == 1
    assert "The phases are Queued, Suspended, Building, Pending" in result.stderr


def test_list_of_nothing_says_so_on_stderr(world: World) -> None:
    result = world.run("list")
    assert (result.stdout, result.stderr, result.exit_code) == ("", "no runs in namespace `team`\n", 0)


def test_cancel_asks_the_operator_to_stop(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status={"phase": "Running"})
    assert world.run("cancel", "one").exit_code == 0
    assert world.created()["spec"]["cancel"] is True


def test_cancel_of_a_run_that_is_over_changes_nothing(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status={"phase": "Succeeded"})
    result = world.run("cancel", "one")
    assert (result.exit_code, "is over already: `Succeeded`" in result.stderr) == (0, True)
    assert "cancel" not in world.created()["spec"]


@pytest.mark.parametrize(("phase", "code"), [("Cancelled", 0), ("Succeeded", 2)])
def test_cancel_wait_tells_whether_it_was_in_time(world: World, phase: str, code: int) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status={"phase": "Running"})
    world.script = [lambda: None, lambda: world.ended("one", phase, phase)]
    assert world.run("cancel", "one", "--wait").exit_code == code


def test_delete_deletes_finished_runs_and_asks_about_others(world: World) -> None:
    world.cluster.add(RUNS, "done", {"component": "cleaner"}, status={"phase": "Succeeded"})
    world.cluster.add(RUNS, "busy", {"component": "cleaner"}, status={"phase": "Running"})
    refused = world.run("delete", "done", "busy")
    assert refused.exit_code == 1
    assert "`busy`" in refused.stderr
    assert len(world.cluster.objects["componentruns"]) == 2
    assert world.run("delete", "done").exit_code == 0
    assert world.run("delete", "busy", "--yes").exit_code == 0
    assert not world.cluster.objects["componentruns"]


def test_events_are_lines_and_the_last_ones_where_asked(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    for number in range(5):
        world.store.say(f"line {number}", at=START + timedelta(milliseconds=number))
    assert world.run("events", "one").stdout.count("\n") == 5
    assert world.store.asked_run == "uid-one"


def test_events_of_the_last_lines_from_one_source_for_programs(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner", "storage": "main"})
    world.store.say("brought 2 tables", source="stage-in")
    for number in range(5):
        world.store.say(f"line {number}")
    lines = world.run("events", "one", "-n", "2", "--source", "component", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["line 3", "line 4"]


@pytest.mark.parametrize("command", [("events", "one"), ("logs", "one"), ("table", "head", "in.c-main.foo")])
def test_a_name_behind_n_is_the_namespace(world: World, command: tuple[str, ...]) -> None:
    world.cluster.namespace = "prod"
    world.cluster.add(STORAGES, "main", {"bucket": "tables", "default": True})
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.cluster.namespace = "team"
    world.tables.content["in.c-main.foo"] = b"id\n1\n"
    assert world.run(*command, "-n", "prod").exit_code == 0
    assert world.asked == [(None, "prod")]


@pytest.mark.parametrize("value", ["-1", "Prod", "1.5"])
def test_what_is_neither_a_number_nor_a_name_is_refused(world: World, value: str) -> None:
    result = world.run("events", "one", "-n", value)
    assert (result.exit_code, f"`-n {value}`: expected a number of lines" in result.stderr) == (1, True)


def test_a_name_behind_n_and_a_namespace_are_one_too_many(world: World) -> None:
    assert world.run("events", "one", "-n", "prod", "--namespace", "test").exit_code == 1


def test_logs_are_the_component_s_lines_and_nothing_else(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.store.say("brought 2 tables", source="stage-in")
    world.store.say("first\nsecond")
    world.store.say("third")
    assert world.run("logs", "one").stdout == "first\nsecond\nthird\n"


def test_logs_are_followed_with_times(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.script = [
        lambda: world.store.say("first"),
        lambda: world.ended("one", events={"count": 1, "delivered": True}),
    ]
    result = world.run("logs", "one", "-f", "--timestamps", "-n", "5")
    assert (result.stdout, result.exit_code) == ("08:00:00.000 first\n", 0)


def test_an_event_can_not_write_to_the_terminal(world: World) -> None:
    world.cluster.add(RUNS, "one", {"component": "cleaner"})
    world.store.say("\x1b]0;title\x07 \u202ereversed\tkept")
    assert (
        world.run("events", "one").stdout
        == "08:00:00.000 info    component: \\x1b]0;title\\x07 \\u202ereversed\tkept\n"
    )


def test_a_message_of_several_lines_keeps_its_shape(world: World) -> None:
    status = {"phase": "Failed", "message": "It ended:\nno price", "conditions": copy.deepcopy(STATUS["conditions"])}
    status["conditions"][0]["message"] = "It ended:\nno price"
    world.cluster.add(RUNS, "one", {"component": "cleaner"}, status=status)
    told = world.run("get", "one").stdout
    assert "Message:      It ended:\n              no price\n" in told
    assert "  Succeeded   False   OutOfMemory   It ended: ...\n" in told
    assert world.run("list", "-o", "wide").stdout.endswith("It ended: ...\n")


def test_delete_older_takes_only_what_has_been_over_for_that_long(world: World) -> None:
    for name, hours in (("old", 30), ("young", 2)):
        at = (START - timedelta(hours=hours)).isoformat()
        world.cluster.add(RUNS, name, {"component": "cleaner"}, status={"phase": "Failed", "completionTime": at})
    world.cluster.add(RUNS, "busy", {"component": "cleaner"}, status={"phase": "Running"})
    for run in world.cluster.objects["componentruns"].values():
        run["metadata"]["labels"] = {"team": "sales"}
    assert world.run("delete", "--older", "24h", "-l", "team=other").exit_code == 0
    assert len(world.cluster.objects["componentruns"]) == 3
    assert world.run("delete", "--older", "24h", "-l", "team=sales").stderr == "ComponentRun `old` deleted\n"
    assert sorted(world.cluster.objects["componentruns"]) == ["busy", "young"]
    assert "have been over for that long" in world.run("delete", "--older", "24h").stderr


@pytest.mark.parametrize("arguments", [(), ("one", "--older", "1h")])
def test_delete_wants_names_or_an_age(world: World, arguments: tuple[str, ...]) -> None:
    assert world.run("delete", *arguments).exit_code == 1


def test_submit_from_a_run_makes_a_new_one_of_the_same(world: World) -> None:
    spec = {
        "component": "cleaner",
        "tag": "1",
        "configuration": {"parameters": {"a": 1}},
        "cancel": True,
        "suspend": False,
    }
    world.cluster.add(RUNS, "nightly-x7k2p", spec, status=STATUS)
    world.cluster.objects["componentruns"]["nightly-x7k2p"]["metadata"]["labels"] = {"team": "sales"}
    assert world.run("submit", "--from", "@latest", "--param", "b=2", "--dry-run").exit_code == 0
    (manifest,) = world.cluster.dry_runs
    assert re.fullmatch("nightly-[a-z0-9]{5}", manifest["metadata"].pop("name"))
    assert manifest["metadata"] == {"labels": {"team": "sales"}}
    assert manifest["spec"] == {
        "component": "cleaner",
        "tag": "1",
        "configuration": {"parametersText": '{"a": 1, "b": 2}'},
    }
    assert "status" not in manifest


def test_submit_from_a_run_and_from_a_file_is_one_too_many(world: World) -> None:
    assert world.run("submit", "--from", "one", "-f", "-", text="{}").exit_code == 1


@pytest.mark.parametrize("name", ["", "a/b", "../x", "A", "@newest", "-x"])
@pytest.mark.parametrize("command", ["get", "wait", "cancel", "events", "delete"])
def test_a_name_that_can_be_no_run_s_is_not_sent_to_the_cluster(world: World, command: str, name: str) -> None:
    result = world.run(command, "--", name)
    assert (result.exit_code, "is no name of a run" in result.stderr, world.cluster.api.requests) == (1, True, [])
