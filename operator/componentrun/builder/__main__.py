"""`python -m componentrun.builder fetch|push`: the containers of a build before and after its commands.

What they print is the log of the build. Exit codes: 0 success, 1 the report in the termination message says why not.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from componentrun.builder.grants import read_docker_config, read_git_login, read_inputs, read_layers
from componentrun.builder.settings import read_settings
from componentrun.core.builds.exchange import (
    CONTROL_MOUNT,
    FETCH,
    GRANT_MOUNT,
    HOME_MOUNT,
    IMAGE_MOUNT,
    PULL_FILE,
    PUSH,
    PUSH_FILE,
    SOURCE_MOUNT,
    StepReport,
    failed,
    termination_message,
)
from componentrun.core.builds.settings import FOLDER
from componentrun.errors import ComponentRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from componentrun.builder.pushing import Pushed

_USAGE: Final = "usage: python -m componentrun.builder fetch|push\n"
_USAGE_EXIT: Final = 64
_FAILED: Final = 1
_STOPPED: Final = 128 + signal.SIGTERM
_TERMINATION_LOG: Final = "/dev/termination-log"
_SHORT_COMMIT: Final = 12
_CODE: Final = Path(FOLDER)
_CONTROL: Final = Path(CONTROL_MOUNT)
_IMAGE: Final = Path(IMAGE_MOUNT)
_GRANT: Final = Path(GRANT_MOUNT)


def main(arguments: Sequence[str], termination_log: str = _TERMINATION_LOG) -> int:
    """Run a step and return its exit code."""
    if len(arguments) != 1 or arguments[0] not in _STEPS:
        sys.stderr.write(_USAGE)
        return _USAGE_EXIT
    # The first process of a container ignores signals without a handler. Nothing here has to be cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_STOPPED))
    started = time.monotonic()
    try:
        report = _STEPS[arguments[0]](started)
    except Exception as error:  # noqa: BLE001 - every error must reach the operator
        report = failed(error, time.monotonic() - started)
        _say(f"error: {report.message}" + (f" {report.advice}" if report.advice else ""))
        if not isinstance(error, ComponentRunError):
            _say_where(error)
    Path(termination_log).write_text(termination_message(report), encoding="utf-8")
    return 0 if report.ok else _FAILED


def _fetch(started: float) -> StepReport:
    from componentrun.builder.preparing import Folders, prepare  # noqa: PLC0415 - each step imports only what it needs

    inputs = read_inputs(_GRANT)
    login = read_git_login(_GRANT, inputs)
    _say(f"fetching {inputs.url} at commit {inputs.commit[:_SHORT_COMMIT]}")
    settings = read_settings(os.environ)
    if inputs.engine == "dockerfile":
        from componentrun.builder.dockerfiles import prepare_dockerfile  # noqa: PLC0415 - likewise

        fetched = prepare_dockerfile(inputs, login, _CODE, _CONTROL, HOME_MOUNT, settings)
        how = f"building `{inputs.dockerfile}`"
    else:
        folders = Folders(_CODE, Path(SOURCE_MOUNT), _CONTROL, HOME_MOUNT)
        fetched, recipe, plan = prepare(inputs, login, folders, settings.git, read_layers(_GRANT))
        how = (
            f"building with the conventions for {recipe.language}"
            if recipe.language
            else "building with given commands"
        )
        if plan.layer is not None:
            how += f"; the dependencies are those of an earlier build, {_size(plan.layer.size)}"
    seconds = time.monotonic() - started
    _say(f"fetched {_counted(len(fetched.files), 'file')}, {_size(fetched.size)}, in {seconds:.1f} s")
    _say(how)
    return StepReport(ok=True, seconds=round(seconds, 3))


def _push(started: float) -> StepReport:
    from componentrun.builder.publishing import publish  # noqa: PLC0415 - likewise

    inputs = read_inputs(_GRANT)
    pulls, pushes = (read_docker_config(_GRANT, name) for name in (PULL_FILE, PUSH_FILE))
    registry = read_settings(os.environ).registry
    _say(f"pushing {inputs.target}:{inputs.name}")
    dependencies, were_reused = None, False
    if inputs.engine == "dockerfile":
        from componentrun.builder.dockerfiles import publish_layout  # noqa: PLC0415 - likewise

        pushed = asyncio.run(publish_layout(inputs, [pushes], _IMAGE, registry))
    else:
        published = asyncio.run(publish(inputs, [pulls], [pushes], _CODE, _CONTROL, registry))
        pushed, dependencies, were_reused = published
    seconds = time.monotonic() - started
    _say(_what_was_pushed(inputs.target, pushed, seconds))
    return StepReport(
        ok=True,
        seconds=round(seconds, 3),
        digest=pushed.digest,
        was_there=pushed.was_there,
        sent_bytes=pushed.sent_bytes,
        mounted_layers=pushed.mounted,
        known_layers=pushed.known,
        copied_layers=pushed.copied,
        dependencies=dependencies,
        were_reused=were_reused,
    )


_STEPS: Final[dict[str, Callable[[float], StepReport]]] = {FETCH: _fetch, PUSH: _push}


def _what_was_pushed(target: str, pushed: Pushed, seconds: float) -> str:
    image = f"{target}@{pushed.digest}"
    if pushed.was_there:
        return f"{image} is there already: another build of the same input was faster"
    layers = (
        (pushed.mounted, "taken from the parent's repository"),
        (pushed.known, "there already"),
        (pushed.copied, "copied from the parent's registry"),
    )
    parts = [
        f"{_size(pushed.sent_bytes)} sent",
        *(f"{_counted(count, 'layer')} {how}" for count, how in layers if count),
    ]
    return f"pushed {image}: {', '.join(parts)}, in {seconds:.1f} s"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _size(size: int) -> str:
    """A size in bytes, as people write it."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:  # noqa: PLR2004 - SI units
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _say(line: str) -> None:
    sys.stdout.write(f"componentrun: {line}\n")
    sys.stdout.flush()


def _say_where(error: BaseException) -> None:
    """Print where a defect is, without its text, which may contain a login."""
    sys.stderr.write("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
