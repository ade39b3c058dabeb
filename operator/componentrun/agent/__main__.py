"""`python -m componentrun.agent stage-in|step|stage-out|wait|gelf`: entry point of the containers beside a component.

Exit codes: 0 success, 1 the run's author can fix the error, 2 the platform team can fix it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.wire.agents import StageInResult, StageOutResult
    from componentrun.wire.chain import StepResult

_FLAGS: Final = ("--data", "--grant", "--termination-log")
_STEP_FLAGS: Final = ("--next", "--data", "--termination-log")
_GELF_FLAGS: Final = ("--server", "--visibility")
_USAGE: Final = (
    "usage: python -m componentrun.agent stage-in|stage-out|wait "
    "[--data /data] [--grant /run/componentrun/grant] [--termination-log /dev/termination-log]\n"
    "       python -m componentrun.agent step --next after-1 [--data /data] [--termination-log /dev/termination-log]\n"
    "       python -m componentrun.agent gelf [--server tcp|udp|http] [--visibility debug=none,error=verbose]"
)
_USAGE_EXIT: Final = 64

Grant = TypeVar("Grant")


def main(arguments: Sequence[str]) -> int:
    """Run one agent and return its exit code."""
    command, *rest = arguments or [""]
    options = dict(zip(rest[::2], rest[1::2], strict=False))
    if command == "gelf" and len(rest) % 2 == 0 and not set(options) - set(_GELF_FLAGS):
        return _gelf(options)
    known = _STEP_FLAGS if command == "step" else _FLAGS
    if command not in {*_AGENTS, "wait"} or len(rest) % 2 or set(options) - set(known):
        sys.stderr.write(_USAGE + "\n")
        return _USAGE_EXIT
    if command == "wait":
        from componentrun.agent.stageout.waiting import wait  # noqa: PLC0415 - keeps memory small while it waits

        wait(rest)
    if command == "stage-out":
        # A pod that is deleted again with a shorter grace period gets a second SIGTERM: continue until SIGKILL.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return _run(command, options)


def _gelf(options: dict[str, str]) -> int:
    # First of all: the kernel drops signals for which the first process of a container (PID 1) has no handler.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    from componentrun.agent.gelf.messages import parse_visibility  # noqa: PLC0415 - import only what this command needs
    from componentrun.agent.gelf.servers import SERVERS, serve  # noqa: PLC0415 - likewise

    server = options.get("--server", "tcp")
    if server not in SERVERS:
        sys.stderr.write(f"--server `{server}`: expected one of {', '.join(SERVERS)}\n{_USAGE}\n")
        return _USAGE_EXIT
    try:
        visibility = parse_visibility(options.get("--visibility", ""))
    except ValueError as error:
        sys.stderr.write(f"--visibility: {error}\n{_USAGE}\n")
        return _USAGE_EXIT
    return serve(server, visibility)


def _run(command: str, options: dict[str, str]) -> int:
    from componentrun import contract  # noqa: PLC0415 - after the signal disposition is set
    from componentrun.agent.outcome import exit_code, failed, termination_message  # noqa: PLC0415 - likewise
    from componentrun.agent.progress import say  # noqa: PLC0415 - likewise
    from componentrun.errors import ComponentRunError  # noqa: PLC0415 - likewise
    from componentrun.wire.agents import StageInResult, StageOutResult  # noqa: PLC0415 - likewise
    from componentrun.wire.chain import StepResult  # noqa: PLC0415 - likewise
    from componentrun.wire.grants import GRANT_MOUNT  # noqa: PLC0415 - likewise

    started = time.monotonic()
    problem: Exception | None = None
    result: StageInResult | StageOutResult | StepResult
    try:
        given = options.get("--next", "") if command == "step" else options.get("--grant", GRANT_MOUNT)
        result = _AGENTS[command](given, options.get("--data", contract.DATA_DIR))
    except Exception as error:  # noqa: BLE001 - every error must reach the operator
        problem = error
        seconds = time.monotonic() - started
        kinds = {"stage-in": StageInResult, "stage-out": StageOutResult, "step": StepResult}
        result = failed(kinds[command], error, seconds)
        say("error", result.message or "", reason=result.reason)
        if not isinstance(error, ComponentRunError):
            _tell_where(error)
    _write(options.get("--termination-log", "/dev/termination-log"), termination_message(result))
    return exit_code(result, problem)


def _stage_in(grant: str, data: str) -> StageInResult:
    from componentrun.agent.stagein.main import stage_in  # noqa: PLC0415 - import only what this command needs
    from componentrun.wire.grants import GrantIn  # noqa: PLC0415 - likewise

    return stage_in(_grant(GrantIn, grant), data)


def _stage_out(grant: str, data: str) -> StageOutResult:
    from componentrun.agent.stageout.main import stage_out  # noqa: PLC0415 - import only what this command needs
    from componentrun.wire.grants import GrantOut  # noqa: PLC0415 - likewise

    return stage_out(_grant(GrantOut, grant), data)


def _step(following: str, data: str) -> StepResult:
    from componentrun.agent.steps.main import step  # noqa: PLC0415 - import only what this command needs

    return step(following, data)


_AGENTS: Final[dict[str, Callable[[str, str], StageInResult | StageOutResult | StepResult]]] = {
    "stage-in": _stage_in,
    "stage-out": _stage_out,
    "step": _step,
}


def _grant(kind: type[Grant], folder: str) -> Grant:
    from componentrun.errors import PlatformError  # noqa: PLC0415 - see above
    from componentrun.wire.agents import from_json  # noqa: PLC0415 - see above
    from componentrun.wire.grants import GRANT_FILE  # noqa: PLC0415 - see above

    path = os.path.join(folder, GRANT_FILE)  # noqa: PTH118 - pathlib costs ten milliseconds
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - likewise
            return from_json(kind, file.read())
    except OSError as error:
        raise PlatformError(f"the grant at {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise PlatformError(f"the grant at {path} can't be read: {error}") from error


def _write(path: str, message: str) -> None:
    from componentrun.agent.progress import say  # noqa: PLC0415 - see above

    try:
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - see above
            file.write(message)
    except OSError as error:
        say("warn", f"the termination message can't be written to {path}: {error.strerror}")


def _tell_where(error: BaseException) -> None:
    """Print where a defect is, without its text, which may contain a signed URL."""
    import traceback  # noqa: PLC0415 - needed only here

    sys.stderr.write("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
