"""`build start`: has the operator build the image of a channel without a run, and follows it.

The request is an annotation of the Component. Its answer is in the Component's status. If a command was stopped, start
it again: the image is there then, or the same build goes on.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

import typer

from componentrun.api.names import FRESH_BUILD_PREFIX, FRESH_FORMAT, START_BUILD_PREFIX
from componentrun.cli.errors import (
    EXIT_INTERRUPTED,
    BadRequestError,
    EnvironmentFault,
    NotFoundError,
    WaitTimeoutError,
)
from componentrun.cli.terminal.interrupts import interrupts
from componentrun.cli.terminal.render import Cell, styled
from componentrun.client.models import parsed
from componentrun.errors import TransientError
from componentrun.process.kubernetes.resources import BUILDS, COMPONENTS

if TYPE_CHECKING:
    from datetime import datetime

    from componentrun.api.channels import BuildStart
    from componentrun.api.component import Component
    from componentrun.cli.session import Session

__all__ = ["StartedBuild", "start_build"]

_PAUSE_SECONDS: Final = 0.5
_QUIET: Final = timedelta(seconds=10)
"""Time without an answer of an operator after which the wait for it is reported."""
_PATIENCE: Final = timedelta(seconds=60)
"""How long the cluster may be unavailable."""


def start_build(session: Session, name: str, channel: str | None, *, fresh: bool) -> StartedBuild:
    """Ask the operator for the image of a channel.

    Args:
        session: of the command.
        name: name of the Component.
        channel: name of the channel; None: the Component's default channel.
        fresh: whether images that are there are not used.

    Raises:
        UserError: there is no such Component or channel, or the channel has no `build`.
    """
    from componentrun.api.component import Component  # noqa: PLC0415 - the models take a while to load
    from componentrun.api.componentrun import ComponentRunSpec  # noqa: PLC0415 - likewise
    from componentrun.core.images.channels import choose_image  # noqa: PLC0415 - likewise

    component = parsed(Component, session.cluster.get(COMPONENTS, name))
    if not component.spec.channels:
        raise BadRequestError(
            f"Component `{name}` has no channels; expected one with `build`", "Add one: docs/builds.md has an example."
        )
    choice = choose_image(ComponentRunSpec(component=name, channel=channel), component)
    if choice.build is None:
        raise BadRequestError(
            f"channel `{choice.channel}` of Component `{name}` names an image; expected `build`",
            "Name a channel with `build` by `--channel`.",
        )
    time = session.now().astimezone(UTC).strftime(FRESH_FORMAT)
    annotations = {START_BUILD_PREFIX + choice.channel: f"{time}-{secrets.token_hex(4)}"}
    if fresh:
        annotations[FRESH_BUILD_PREFIX + choice.channel] = time
    session.cluster.patch(COMPONENTS, name, {"metadata": {"annotations": annotations}})
    return StartedBuild(session, name, component.metadata.uid, choice.channel, session.now())


@dataclass
class StartedBuild:
    """A request, followed to its end."""

    session: Session
    component: str
    uid: str
    channel: str
    since: datetime
    build: str = ""
    """Name of the ComponentBuild, as soon as it is known."""
    _told: str = ""
    _phase: str = ""
    _away_since: datetime | None = None

    def follow(self, limit: timedelta | None) -> BuildStart:
        """Return the answer when the request has ended. Progress is printed on stderr.

        Raises:
            WaitTimeoutError: it has not ended within the limit.
            NotFoundError: the Component or the request is gone.
            PlatformError: the cluster was unavailable for too long.
            typer.Exit: Ctrl-C was pressed; the build goes on.
        """
        try:
            return self._until_answered(limit)
        except KeyboardInterrupt as error:
            self.session.output.note()
            self.session.output.note(f"the build goes on; {self._how_to_stop()}")
            raise typer.Exit(EXIT_INTERRUPTED) from error

    def _until_answered(self, limit: timedelta | None) -> BuildStart:
        with interrupts() as is_interrupted:
            while True:
                answer = self._patiently()
                if answer is not None and (answer.image is not None or answer.reason is not None):
                    return answer
                if limit is not None and self.session.now() - self.since >= limit:
                    raise self._too_late()
                self.session.makers.sleep(_PAUSE_SECONDS)
                if is_interrupted():
                    raise KeyboardInterrupt

    def _patiently(self) -> BuildStart | None:
        try:
            answer = self._look()
        except (EnvironmentFault, TransientError):
            now = self.session.now()
            self._away_since = self._away_since or now
            if now - self._away_since >= _PATIENCE:
                raise
            return None
        self._away_since = None
        return answer

    def _look(self) -> BuildStart | None:
        """The answer so far; None if no operator has answered."""
        from componentrun.core.builds.lifecycle.starts import start_of  # noqa: PLC0415 - loaded by now

        component = self._component()
        request = component.metadata.annotations.get(START_BUILD_PREFIX + self.channel)
        if not request:
            raise NotFoundError(
                f"the request to build channel `{self.channel}` of Component `{self.component}` was removed",
                "Start it again.",
            )
        # A later request for the same channel is as good: the operator answers the latest one.
        answer = start_of(component, self.channel)
        if answer is None or answer.request != request:
            if self.session.now() - self.since >= _QUIET:
                self._tell("no operator has answered yet; `componentrun doctor` shows whether one is running")
            return None
        if answer.build:
            self.build = answer.build
            self._tell_phase()
        if answer.message and answer.reason is None:
            self._tell(answer.message.replace("The run waits for its image: ", ""))
        return answer

    def _component(self) -> Component:
        from componentrun.api.component import Component  # noqa: PLC0415 - loaded by now

        component = parsed(Component, self.session.cluster.get(COMPONENTS, self.component))
        if component.metadata.uid != self.uid:
            raise NotFoundError(
                f"Component `{self.component}` was deleted and created again while its image was built",
                "Start it again.",
            )
        return component

    def _tell_phase(self) -> None:
        """Print the phase of the build if it is new."""
        try:
            raw = self.session.cluster.get(BUILDS, self.build)
        except NotFoundError:
            return  # it has ended, and the answer is about to be written
        phase = (raw.get("status") or {}).get("phase") or "Pending"
        if phase != self._phase:
            self._phase = phase
            self.session.output.note(f"ComponentBuild `{self.build}` ", styled(phase))

    def _tell(self, message: str) -> None:
        if message != self._told:
            self._told = message
            self.session.output.note(Cell("waiting: ", "dim"), message)

    def _how_to_stop(self) -> str:
        namespace = self.session.cluster.namespace
        if self.build:
            return f"`componentrun build cancel {self.build} --namespace {namespace}` stops it"
        return f"`componentrun build list --component {self.component} --namespace {namespace}` shows it"

    def _too_late(self) -> WaitTimeoutError:
        what = f"`{self.build}` is `{self._phase}`" if self.build else "no build has been created"
        return WaitTimeoutError(
            f"the image of channel `{self.channel}` of Component `{self.component}` is not there yet: {what}",
            f"It goes on: {self._how_to_stop()}.",
        )
