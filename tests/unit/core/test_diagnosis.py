"""Each way a pod can end is a row: name, pod, wanted reason and words. Several failures at once are rows, too."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api.componentrun import Termination
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.errors import Reason
from componentrun.wire.agents import StageInResult, StageOutResult, to_json
from tests.unit.core.make import NOW, done_in, done_out, ended, facts, make_pod, running, stamp, waiting

REFUSED_IN = to_json(StageInResult(ok=False, reason="InputNotFound", message="table `in.c-main.foo` is not in Storage"))
REFUSED_OUT = to_json(StageOutResult(ok=False, reason="OutputInvalid", message="bar.csv, line 3: 4 fields, expected 5"))
STRANGE_OUT = to_json(StageOutResult(ok=False, reason="InventedLater", message="something new"))
DISRUPTED = "DisruptionTarget"


def disruption(reason: str, since: float | None = None, **more: str) -> list[dict[str, Any]]:
    begun = {"lastTransitionTime": stamp(since)} if since is not None else {}
    return [{"type": DISRUPTED, "status": "True", "reason": reason, **begun, **more}]


ROWS: list[tuple[str, dict[str, Any], Reason, str]] = [
    (
        "all well",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=done_out(), phase="Succeeded"),
        Reason.SUCCEEDED,
        "exit code 0",
    ),
    (
        "all well, and deleted by somebody after everything had ended",
        make_pod(stage_in=done_in(), component=ended(0, end=10), stage_out=done_out(20), deleted=(30, 600)),
        Reason.SUCCEEDED,
        "exit code 0",
    ),
    (
        "a child was killed for memory, the component ended with 0 (0 OOMKilled)",
        make_pod(stage_in=done_in(), component=ended(0, "OOMKilled"), stage_out=done_out()),
        Reason.OUT_OF_MEMORY,
        "a process of the component",
    ),
    (
        "a child was killed for memory, and the component noticed that (1 OOMKilled)",
        make_pod(stage_in=done_in(), component=ended(1, "OOMKilled", message="a worker died"), stage_out=done_out()),
        Reason.OUT_OF_MEMORY,
        "a process of the component for using more memory than its limit (exit code 1)",
    ),
    (
        "the component was killed for memory",
        make_pod(stage_in=done_in(), component=ended(137, "OOMKilled"), stage_out=done_out()),
        Reason.OUT_OF_MEMORY,
        "Give the run a larger `size`",
    ),
    (
        "out of memory while the pod's phase is still Running and stage-out runs",
        make_pod(stage_in=done_in(), component=ended(137, "OOMKilled"), stage_out=running(), phase="Running"),
        Reason.OUT_OF_MEMORY,
        "killed the component",
    ),
    (
        "stage-in was killed for memory",
        make_pod(stage_in=ended(137, "OOMKilled"), component=waiting(), stage_out=running()),
        Reason.OUT_OF_MEMORY,
        "`stage-in`",
    ),
    (
        "stage-out was killed for memory after a good component",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(137, "OOMKilled"), phase="Succeeded"),
        Reason.OUT_OF_MEMORY,
        "`stage-out`",
    ),
    (
        "component and stage-out both out of memory: the component is named",
        make_pod(stage_in=done_in(), component=ended(137, "OOMKilled"), stage_out=ended(137, "OOMKilled")),
        Reason.OUT_OF_MEMORY,
        "killed the component",
    ),
    (
        "out of memory and evicted: memory comes first",
        make_pod(stage_in=done_in(), component=ended(137, "OOMKilled"), stage_out=running(), reason="Evicted"),
        Reason.OUT_OF_MEMORY,
        "killed the component",
    ),
    (
        "an exit code that the kubelet does not tell",
        make_pod(stage_in=done_in(), component={"terminated": {"reason": "Error"}}, stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "an unknown exit code",
    ),
    (
        "exit code 1 with words",
        make_pod(stage_in=done_in(), component=ended(1, message="Column `x` is missing\n"), stage_out=done_out()),
        Reason.USER_ERROR,
        "Column `x` is missing",
    ),
    (
        "exit code 1 without words",
        make_pod(stage_in=done_in(), component=ended(1), stage_out=done_out()),
        Reason.USER_ERROR,
        "printed nothing",
    ),
    (
        "exit code 2: the message is masked",
        make_pod(stage_in=done_in(), component=ended(2, message="Traceback"), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "its last words are in `status.lastWords`",
    ),
    (
        "a memory limit that not even the container's start fits into",
        make_pod(
            stage_in=done_in(),
            component=ended(
                128, "StartError", message="unable to set memory limit to 1048576 (current usage: 3657728)"
            ),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "more memory in `resources`",
    ),
    (
        "a working folder that the image does not bring, and a root that is read-only",
        make_pod(
            stage_in=done_in(),
            component=ended(128, "StartError", "error mounting: mkdir /app: read-only file system"),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "`readOnlyRootFilesystem`",
    ),
    (
        "a program for another kind of processor, of a runtime that finds out before",
        make_pod(
            stage_in=done_in(), component=ended(128, "StartError", "exec /x: exec format error"), stage_out=done_out()
        ),
        Reason.START_FAILED,
        "for the node's architecture",
    ),
    (
        "exit code 2 without words",
        make_pod(stage_in=done_in(), component=ended(2), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "Its developer should look: it printed nothing.",
    ),
    (
        "exit code 137 without OOM: killed",
        make_pod(stage_in=done_in(), component=ended(137), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "killed by SIGKILL",
    ),
    (
        "a signal",
        make_pod(stage_in=done_in(), component=ended(139), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "killed by SIGSEGV",
    ),
    (
        "a signal without a name, told by the runtime",
        make_pod(stage_in=done_in(), component=ended(130, signal=34), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "killed by signal 34",
    ),
    (
        "a signal, though the exit code is that of a good end",
        make_pod(stage_in=done_in(), component=ended(0, "Error", signal=9), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "exit code 137 (killed by SIGKILL)",
    ),
    (
        "a signal, though the exit code is that of a user's error",
        make_pod(stage_in=done_in(), component=ended(1, signal=15), stage_out=done_out()),
        Reason.APPLICATION_ERROR,
        "exit code 1 (killed by SIGTERM)",
    ),
    (
        "exit code 1 and a refused output: the component's own failure leads",
        make_pod(stage_in=done_in(), component=ended(1, message="no"), stage_out=ended(1, message=REFUSED_OUT)),
        Reason.USER_ERROR,
        "exit code 1: no",
    ),
    (
        "stage-in says why",
        make_pod(stage_in=ended(1, message=REFUSED_IN), component=waiting(), stage_out=running()),
        Reason.INPUT_NOT_FOUND,
        "in.c-main.foo",
    ),
    (
        "stage-in says why, and the pod was deleted after that",
        make_pod(stage_in=ended(1, message=REFUSED_IN), component=waiting(), stage_out=running(), deleted=(60, 600)),
        Reason.INPUT_NOT_FOUND,
        "in.c-main.foo",
    ),
    (
        "stage-in ended without a result",
        make_pod(stage_in=ended(1, message="Traceback: boom"), component=waiting(), stage_out=running()),
        Reason.STAGE_IN_FAILED,
        "Traceback: boom",
    ),
    (
        "stage-in ended with half a result",
        make_pod(stage_in=ended(2, message='{"ok": tr'), component=waiting(), stage_out=running()),
        Reason.STAGE_IN_FAILED,
        "left no result that can be read",
    ),
    (
        "stage-in said no but ended with 0",
        make_pod(stage_in=ended(0, message=REFUSED_IN), component=waiting(), stage_out=running()),
        Reason.INPUT_NOT_FOUND,
        "in.c-main.foo",
    ),
    (
        "stage-in left something unreadable with exit code 0, and the run went well",
        make_pod(stage_in=ended(0, message="?"), component=ended(0), stage_out=done_out()),
        Reason.SUCCEEDED,
        "exit code 0",
    ),
    (
        "stage-out refuses the output",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(1, message=REFUSED_OUT)),
        Reason.OUTPUT_INVALID,
        "bar.csv, line 3",
    ),
    (
        "stage-out gives a reason of another release",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(1, message=STRANGE_OUT)),
        Reason.STAGE_OUT_FAILED,
        "something new",
    ),
    (
        "stage-out crashed",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(1, message="")),
        Reason.STAGE_OUT_FAILED,
        "left no result",
    ),
    (
        "stage-out ended with 0 and left nothing: its shell was killed before it became the agent",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(0, message=""), phase="Succeeded"),
        Reason.STAGE_OUT_FAILED,
        "Nothing was published",
    ),
    (
        "stage-out's good result with a bad exit code is not believed",
        make_pod(
            stage_in=done_in(), component=ended(0), stage_out=ended(137, message=done_out()["terminated"]["message"])
        ),
        Reason.STAGE_OUT_FAILED,
        "stage-out",
    ),
    (
        "the sidecar died and was never started again; the pod's phase says Succeeded",
        make_pod(stage_in=done_in(), component=ended(0), stage_out=waiting("CrashLoopBackOff"), phase="Succeeded"),
        Reason.STAGE_OUT_FAILED,
        "was still not finished",
    ),
    (
        "the data folder grew too large",
        make_pod(
            stage_in=done_in(),
            component=ended(137),
            phase="Failed",
            reason="Evicted",
            message='Usage of EmptyDir volume "data" exceeds the limit "10Gi". ',
        ),
        Reason.DISK_FULL,
        "dataSize",
    ),
    (
        "the component's own disk limit",
        make_pod(
            stage_in=done_in(),
            component=ended(137),
            phase="Failed",
            reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        ),
        Reason.DISK_FULL,
        "Write less",
    ),
    (
        "the node ran short of memory",
        make_pod(
            stage_in=done_in(),
            component=ended(137),
            phase="Failed",
            reason="Evicted",
            message="The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. ",
        ),
        Reason.EVICTED,
        "low on resource: memory",
    ),
    (
        "the node ran short of disk: not the run's own fault",
        make_pod(
            stage_in=done_in(),
            component=ended(137),
            phase="Failed",
            reason="Evicted",
            message="The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi.",
        ),
        Reason.EVICTED,
        "node-a",
    ),
    (
        "evicted, and the component ended with 0 when told to go: half of its output is no success",
        make_pod(
            stage_in=done_in(), component=ended(0), stage_out=done_out(), phase="Failed", reason="Evicted", message="x"
        ),
        Reason.EVICTED,
        "evicted the pod",
    ),
    (
        "preempted",
        make_pod(
            stage_in=done_in(), component=ended(143), deleted=(1, 600), conditions=disruption("PreemptionByScheduler")
        ),
        Reason.EVICTED,
        "priorityClassName",
    ),
    (
        "preempted while a component's output was uploaded, which got through all the same",
        make_pod(
            stage_in=done_in(),
            component=ended(0, end=10),
            stage_out=done_out(31),
            deleted=(25, 600),
            conditions=disruption("PreemptionByScheduler", 25),
            phase="Succeeded",
        ),
        Reason.SUCCEEDED,
        "exit code 0",
    ),
    (
        "preempted after the component had failed by itself",
        make_pod(
            stage_in=done_in(),
            component=ended(1, message="Column `x` is missing", end=10),
            stage_out=ended(137, end=30),
            deleted=(25, 600),
            conditions=disruption("PreemptionByScheduler", 25),
        ),
        Reason.USER_ERROR,
        "Column `x` is missing",
    ),
    (
        "preempted a moment after the component had ended, if the node's clock is right",
        make_pod(
            stage_in=done_in(),
            component=ended(0, end=23),
            stage_out=done_out(31),
            deleted=(25, 600),
            conditions=disruption("PreemptionByScheduler", 25),
        ),
        Reason.EVICTED,
        "higher priority",
    ),
    (
        "preempted while a component's output was uploaded, which was killed",
        make_pod(
            stage_in=done_in(),
            component=ended(0, end=10),
            stage_out=ended(137, end=30),
            deleted=(25, 5),
            conditions=disruption("PreemptionByScheduler", 25),
        ),
        Reason.EVICTED,
        "higher priority",
    ),
    (
        "put out for a pod that the node can't do without",
        make_pod(
            stage_in=done_in(),
            component=ended(137),
            phase="Failed",
            reason="Preempting",
            message="Preempted in order to admit critical pod",
            conditions=disruption("TerminationByKubelet", 1),
        ),
        Reason.EVICTED,
        "higher priority",
    ),
    (
        "put out, and the condition's time is that of the end of all: nobody knows what had ended by itself",
        make_pod(
            stage_in=done_in(),
            component=ended(0, end=10),
            stage_out=done_out(11),
            phase="Failed",
            reason="Terminated",
            message="Pod was terminated in response to imminent node shutdown.",
            conditions=disruption("TerminationByKubelet", 12),
        ),
        Reason.NODE_LOST,
        "was shut down",
    ),
    (
        "put out by something that this release does not know",
        make_pod(
            stage_in=done_in(),
            component=ended(143, end=30),
            stage_out=ended(137, end=31),
            deleted=(25, 30),
            conditions=disruption("DeletionByDeviceTaintManager", 25, message="Device Taint manager: deleting"),
        ),
        Reason.EVICTED,
        "(DeletionByDeviceTaintManager): Device Taint manager: deleting.",
    ),
    (
        "drained",
        make_pod(
            stage_in=done_in(),
            component=ended(0, end=30),
            stage_out=done_out(31),
            deleted=(25, 600),
            conditions=disruption("EvictionByEvictionAPI"),
        ),
        Reason.EVICTED,
        "drained",
    ),
    (
        "told to go by the taint manager, and never heard of again",
        make_pod(
            stage_in=done_in(),
            component=running(3),
            stage_out=running(),
            deleted=(60, 600),
            conditions=disruption("DeletionByTaintManager"),
        ),
        Reason.NODE_LOST,
        "node-a",
    ),
    (
        "told to go by the taint manager of a node that answers: somebody gave it a taint",
        make_pod(
            stage_in=done_in(),
            component=ended(143, end=30),
            stage_out=ended(137, end=31),
            deleted=(25, 30),
            conditions=disruption("DeletionByTaintManager", 25),
        ),
        Reason.NODE_LOST,
        "has a taint that the pod does not tolerate",
    ),
    (
        "the kubelet came back and did not find the container",
        make_pod(stage_in=done_in(), component=ended(137, "ContainerStatusUnknown"), phase="Failed"),
        Reason.NODE_LOST,
        "stopped responding",
    ),
    (
        "the node was shut down, and the component ended as it was told",
        make_pod(
            stage_in=done_in(),
            component=ended(143, message="told to stop"),
            stage_out=ended(137),
            phase="Failed",
            reason="Terminated",
            message="Pod was terminated in response to imminent node shutdown.",
            conditions=disruption("TerminationByKubelet"),
        ),
        Reason.NODE_LOST,
        "was shut down",
    ),
    (
        "a program for another kind of processor (runc)",
        make_pod(
            stage_in=done_in(), component=ended(255, message="exec /bin/tool: exec format error"), stage_out=done_out()
        ),
        Reason.START_FAILED,
        "`/bin/tool` can't be run",
    ),
    (
        "a program for another kind of processor (crun)",
        make_pod(
            stage_in=done_in(),
            component=ended(1, message="exec container process `/bin/tool`: Exec format error\n"),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "`/bin/tool` can't be run",
    ),
    (
        "a program for another kind of processor (runc before 1.1)",
        make_pod(
            stage_in=done_in(),
            component=ended(1, message="standard_init_linux.go:228: exec user process caused: exec format error\n"),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "The component's program can't be run (exec format error)",
    ),
    (
        "a script whose interpreter the image lacks (runc)",
        make_pod(
            stage_in=done_in(),
            component=ended(255, message="exec /run.sh: no such file or directory\n"),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "`/run.sh` can't be run (no such file or directory): it is there, but",
    ),
    (
        "a script whose interpreter the image lacks (Docker's older runc)",
        make_pod(
            stage_in=done_in(),
            component=ended(
                1, message='standard_init_linux.go:211: exec user process caused "no such file or directory"'
            ),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "interpreter that a script's first line names",
    ),
    (
        "a script whose interpreter may not be executed (crun)",
        make_pod(
            stage_in=done_in(),
            component=ended(1, message="exec container process `/run.sh`: Permission denied"),
            stage_out=done_out(),
        ),
        Reason.START_FAILED,
        "`/run.sh` can't be run (permission denied)",
    ),
    (
        "a component that says the same of another program, and goes on",
        make_pod(
            stage_in=done_in(),
            component=ended(2, message="exec /bin/tool: exec format error\nTraceback: tool failed"),
            stage_out=done_out(),
        ),
        Reason.APPLICATION_ERROR,
        "exit code 2",
    ),
    (
        "the node was shut down",
        make_pod(
            stage_in=done_in(),
            component=running(3),
            phase="Failed",
            reason="Terminated",
            message="Pod was terminated in response to imminent node shutdown.",
        ),
        Reason.NODE_LOST,
        "imminent node shutdown",
    ),
    (
        "the node was shut down, as older kubelets say it",
        make_pod(
            stage_in=done_in(),
            component=running(3),
            stage_out=running(),
            phase="Failed",
            reason="Shutdown",
            message="Node is shutting, evicting pods",
        ),
        Reason.NODE_LOST,
        "Node is shutting, evicting pods",
    ),
    (
        "the node died after the component had failed by itself",
        make_pod(stage_in=done_in(), component=ended(1, message="bad"), reason="NodeLost"),
        Reason.USER_ERROR,
        "bad",
    ),
    (
        "somebody deleted the pod while the component ran",
        make_pod(stage_in=done_in(), component=ended(143, end=40), stage_out=done_out(41), deleted=(35, 600)),
        Reason.POD_DELETED,
        "spec.cancel",
    ),
    (
        "deleted while the component ran, which then ended with 0: not a success",
        make_pod(stage_in=done_in(), component=ended(0, end=40), stage_out=done_out(41), deleted=(35, 600)),
        Reason.POD_DELETED,
        "daily-1",
    ),
    (
        "deleted in the very second in which the component ended: counts as interrupted",
        make_pod(stage_in=done_in(), component=ended(0, end=35), stage_out=done_out(41), deleted=(35, 600)),
        Reason.POD_DELETED,
        "daily-1",
    ),
    (
        "deleted while stage-out uploaded, and it got through",
        make_pod(stage_in=done_in(), component=ended(0, end=10), stage_out=done_out(41), deleted=(35, 600)),
        Reason.SUCCEEDED,
        "exit code 0",
    ),
    (
        "deleted while stage-out uploaded, and it was killed",
        make_pod(stage_in=done_in(), component=ended(0, end=10), stage_out=ended(137, end=41), deleted=(35, 6)),
        Reason.POD_DELETED,
        "daily-1",
    ),
    (
        "deleted while stage-out refused the output: the refusal is the reason",
        make_pod(
            stage_in=done_in(),
            component=ended(0, end=10),
            stage_out=ended(1, message=REFUSED_OUT, end=41),
            deleted=(35, 6),
        ),
        Reason.OUTPUT_INVALID,
        "bar.csv",
    ),
    (
        "stage-out crashed, and the pod was deleted after that",
        make_pod(stage_in=done_in(), component=ended(0, end=10), stage_out=ended(1, end=20), deleted=(35, 6)),
        Reason.STAGE_OUT_FAILED,
        "left no result",
    ),
    (
        "deleted during stage-in",
        make_pod(stage_in=ended(143, end=40), component=waiting(), stage_out=running(), deleted=(35, 600)),
        Reason.POD_DELETED,
        "daily-1",
    ),
    (
        "no such entrypoint",
        make_pod(
            stage_in=done_in(),
            component=ended(128, "StartError", 'exec: "nope": executable file not found in $PATH'),
            stage_out=done_out(),
            phase="Failed",
        ),
        Reason.START_FAILED,
        "nope",
    ),
    (
        "no such entrypoint: what to look at is the component's",
        make_pod(stage_in=done_in(), component=ended(128, "StartError", "exec: nope"), stage_out=done_out()),
        Reason.START_FAILED,
        "Check the command, the image's entrypoint",
    ),
    (
        "stage-in can't be started: the platform's",
        make_pod(stage_in=ended(128, "StartError", "exec: python3"), component=waiting(), stage_out=running()),
        Reason.START_FAILED,
        "look at the agents' image",
    ),
    (
        "the kubelet would not have the pod and does not say why",
        make_pod(phase="Failed", reason="NodeAffinity"),
        Reason.NODE_REFUSED,
        "(NodeAffinity): no reason given",
    ),
    (
        "the kubelet would not have the pod",
        make_pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
        Reason.NODE_REFUSED,
        "(OutOfcpu): Node didn't have enough resource: cpu",
    ),
    (
        "a pod that failed before anything of it ran, and nobody says why",
        make_pod(stage_in=waiting(), component=waiting(), stage_out=waiting(), phase="Failed"),
        Reason.NODE_REFUSED,
        "before anything of it ran: no reason given",
    ),
    (
        "a pod without a node that failed, and nobody says why",
        make_pod(phase="Failed", node=""),
        Reason.NODE_REFUSED,
        "The pod's node gave the pod up",
    ),
    (
        "a component that ran, of which no times are told, is not refused by the node",
        make_pod(component={"terminated": {"exitCode": 3, "reason": "Error"}}, phase="Failed", reason="Error"),
        Reason.APPLICATION_ERROR,
        "exit code 3",
    ),
    (
        "the backstop struck",
        make_pod(stage_in=done_in(), component=ended(143), phase="Failed", reason="DeadlineExceeded"),
        Reason.TIMEOUT,
        "no operator stopped it",
    ),
    (
        "nothing is known",
        make_pod(phase="Failed", reason="SomethingNew", stage_in=done_in(), component=running(2), stage_out=running()),
        Reason.INTERNAL,
        "SomethingNew",
    ),
]


@pytest.mark.parametrize(("pod", "reason", "words"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_a_pod_that_ended_has_this_reason(pod: dict[str, Any], reason: Reason, words: str) -> None:
    found = diagnose(facts(pod))
    assert found.reason is reason
    assert words in found.message


def test_a_pod_that_vanished_while_its_component_ran_was_deleted() -> None:
    pod = make_pod(stage_in=done_in(), component=running(2), stage_out=running())
    assert diagnose(facts(pod, gone=True)).reason is Reason.POD_DELETED


def test_a_pod_that_vanished_during_its_upload_was_deleted() -> None:
    pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=running())
    assert diagnose(facts(pod, gone=True)).reason is Reason.POD_DELETED


def test_an_unknown_end_tells_what_is_known() -> None:
    pod = make_pod(phase="Failed", reason="New", stage_in=done_in(), component=running(2), stage_out=running())
    assert "component running, stage-in terminated Completed, stage-out running" in diagnose(facts(pod)).message


def test_an_unknown_end_quotes_what_was_said() -> None:
    pod = make_pod(phase="Failed", message="something new", component=running(2))
    assert "(phase Failed, no reason, component running; it said: something new)" in diagnose(facts(pod)).message


def test_a_start_that_failed_without_a_word_says_its_reason_once() -> None:
    pod = make_pod(component=ended(128, "StartError"), stage_out=done_out(), phase="Failed")
    assert "could not be started (StartError): no details were given." in diagnose(facts(pod)).message


def test_a_decided_termination_goes_before_what_the_stopping_caused() -> None:
    pod = make_pod(stage_in=done_in(), component=ended(137, end=50), stage_out=ended(137), deleted=(40, 1))
    found = diagnose(facts(pod), termination=Termination(reason="Timeout", message="Longer than 40s.", time=NOW))
    assert found.reason is Reason.TIMEOUT
    assert found.message == "Longer than 40s. It ended with exit code 137 (killed by SIGKILL)."
    assert found.exit_code == 137


@pytest.mark.parametrize("row", [row for row in ROWS if row[2] is not Reason.SUCCEEDED], ids=lambda row: row[0])
def test_every_failure_is_one_or_more_whole_sentences(row: tuple[str, dict[str, Any], Reason, str]) -> None:
    message = diagnose(facts(row[1])).message
    assert message[0].isupper()
    if row[2] is not Reason.USER_ERROR:  # which ends with the component's own words
        assert message.endswith(".")
    assert ".." not in message


class TestLastWords:
    def test_are_kept_where_the_component_failed(self) -> None:
        pod = make_pod(
            stage_in=done_in(), component=ended(3, message="Traceback\nKeyError: 'x'\n"), stage_out=done_out()
        )
        assert diagnose(facts(pod)).last_words == "Traceback\nKeyError: 'x'"

    def test_are_not_what_a_kubelet_says_that_finds_no_log(self) -> None:
        said = "Error on reading termination message from logs: failed to try resolving symlinks in path /var/log/0.log"
        pod = make_pod(stage_in=done_in(), component=ended(1, message=said), stage_out=done_out())
        found = diagnose(facts(pod))
        assert found.last_words is None
        assert "resolving" not in found.message

    def test_are_none_where_it_succeeded(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(0, message="bye"), stage_out=done_out())
        assert diagnose(facts(pod)).last_words is None

    def test_are_cut_at_a_line(self) -> None:
        lines = "\n".join(f"line {i:04}" for i in range(400))
        pod = make_pod(stage_in=done_in(), component=ended(3, message=lines), stage_out=done_out())
        words = diagnose(facts(pod)).last_words
        assert words is not None
        assert words.endswith("line 0399")
        assert words.startswith("…\nline "), "the kubelet has cut what was before"

    def test_of_one_endless_line_are_marked_as_cut(self) -> None:
        pod = make_pod(stage_in=done_in(), component=ended(1, message="x" * 2048), stage_out=done_out())
        found = diagnose(facts(pod))
        assert found.last_words is not None
        assert found.last_words.startswith("…x")
        assert found.last_words in found.message


def test_all_that_is_wrong_with_the_output_is_told() -> None:
    wrong = " Also: ".join(
        f"out/tables/t{number}.csv, line 3: found 4 fields, expected 5." + "x" * 80 for number in range(10)
    )
    refused = to_json(StageOutResult(ok=False, reason="OutputInvalid", message=wrong))
    pod = make_pod(stage_in=done_in(), component=ended(0), stage_out=ended(1, message=refused))
    found = diagnose(facts(pod))
    assert found.reason is Reason.OUTPUT_INVALID
    assert found.message == f"The output was refused: {wrong}."
