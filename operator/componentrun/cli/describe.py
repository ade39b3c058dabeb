"""A run as text: what `get` shows."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from componentrun.cli.terminal.render import INDENT, LABEL_WIDTH, Cell, Row, styled
from componentrun.cli.terminal.words import count, duration, first_line, moment, size
from componentrun.errors import without_advice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.api.componentrun import ComponentRun, QueueStatus, TableStatus
    from componentrun.api.mapping.files import FilesStatus
    from componentrun.cli.session import Session

__all__ = ["summary"]


def summary(session: Session, run: ComponentRun) -> None:
    """Print the details of a run."""
    for label, cells in _facts(session, run):
        session.output.fact(label, *cells)
    _phases(session, run)
    _steps(session, run)
    _conditions(session, run)
    _tables(session, "Input tables", run.status.input_tables)
    _tables(session, "Output tables", run.status.output_tables)
    _files(session, "Input files", run.status.input_files)
    _files(session, "Output files", run.status.output_files)
    _attempts(session, run)
    _texts(session, "Warnings", run.status.warnings or (), "yellow")
    if run.status.last_words:
        _texts(session, "Last words", run.status.last_words.rstrip("\n").split("\n"), "")


def _facts(session: Session, run: ComponentRun) -> Iterator[tuple[str, list[Cell | str]]]:
    status, spec, now = run.status, run.spec, session.now()
    yield "Name", [run.metadata.name]
    yield "Namespace", [run.metadata.namespace]
    if spec.component:
        yield "Component", [spec.component]
    if status.image or spec.image:
        yield "Image", [status.image or spec.image or ""]
    yield (
        "Phase",
        [
            styled(status.phase or "Queued"),
            *(["  (cancel asked for)"] if spec.cancel and not status.completion_time else []),
        ],
    )
    if status.result:
        yield "Result", [styled(status.result)]
    if status.reason and status.reason != status.phase:
        yield "Reason", [status.reason]
    yield from _waits_for(status.queue)
    message = without_advice(status.message or "", status.advice or "")
    yield from _sentences(("Message", message), ("Advice", status.advice), ("It says", status.result_message))
    if status.exit_code is not None:
        yield "Exit code", [str(status.exit_code)]
    yield "Created", [moment(run.metadata.creation_timestamp, now)]
    if status.next_attempt_time:
        yield "Next attempt", [f"{status.next_attempt_time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"]
    if status.start_time:
        yield "Duration", [duration(status.start_time, status.completion_time, now)]
    if status.storage:
        yield "Storage", [status.storage]
    if status.events is not None:
        yield (
            "Events",
            [
                count(status.events.count),
                "" if status.events.delivered else " so far",
                *_trouble(status.events.message),
            ],
        )


def _waits_for(queue: QueueStatus | None) -> Iterator[tuple[str, list[Cell | str]]]:
    if queue is None:
        return
    group = f" `{queue.group}`" if queue.waiting_for == "ConcurrencyGroup" and queue.group else ""
    place = "" if queue.position is None else f", place {queue.position} in line"
    yield "Waits for", [f"{queue.waiting_for}{group}{place}"]


def _sentences(*facts: tuple[str, str | None]) -> Iterator[tuple[str, list[Cell | str]]]:
    """Texts of several lines, indented below the first one."""
    for label, text in facts:
        if text:
            yield label, [text.rstrip("\n").replace("\n", "\n" + " " * LABEL_WIDTH)]


def _trouble(message: str) -> list[Cell | str]:
    return [": ", Cell(message, "yellow")] if message else []


def _phases(session: Session, run: ComponentRun) -> None:
    phases = run.status.phases
    if not phases:
        return
    session.output.line(Cell("Phases:", "bold"))
    rows: list[Row] = []
    for i, phase in enumerate(phases):
        last = i == len(phases) - 1
        if last and run.status.completion_time:
            continue  # the final phase has no duration
        end = run.status.completion_time if last else phases[i + 1].start_time
        elapsed = duration(phase.start_time, end, session.now())
        rows.append([phase.phase, Cell(elapsed, right=True), "so far" if last else ""])
    session.output.table((), rows, indent=INDENT)


def _steps(session: Session, run: ComponentRun) -> None:
    """The component and its processors, if it has any."""
    steps = run.status.steps
    if not steps:
        return
    session.output.line(Cell("Steps:", "bold"))
    rows: list[Row] = []
    for step in steps:
        began = step.start_time
        elapsed = "" if began is None else duration(began, step.completion_time, session.now())
        code = "" if step.exit_code is None else f"exit code {step.exit_code}"
        state = code or ("not started" if began is None else "so far")
        rows.append([step.name, step.component, step.image_digest or step.image, Cell(elapsed, right=True), state])
    session.output.table((), rows, indent=INDENT)


def _conditions(session: Session, run: ComponentRun) -> None:
    if run.status.conditions:
        session.output.line(Cell("Conditions:", "bold"))
        rows: list[Row] = [
            [item.type, styled(item.status), item.reason, first_line(item.message)] for item in run.status.conditions
        ]
        session.output.table((), rows, indent=INDENT)


def _tables(session: Session, title: str, tables: Sequence[TableStatus] | None) -> None:
    if tables:
        session.output.line(Cell(f"{title}:", "bold"))
        rows: list[Row] = [
            [item.table, Cell(count(item.rows, "row"), right=True), Cell(size(item.bytes), right=True)]
            for item in tables
        ]
        session.output.table((), rows, indent=INDENT)


def _files(session: Session, title: str, files: FilesStatus | None) -> None:
    if files is None:
        return
    session.output.line(Cell(f"{title}:", "bold"), f" {count(files.count, 'file')}, {size(files.bytes)}")
    rows: list[Row] = [[item.id, item.name, Cell(size(item.bytes), right=True)] for item in files.files]
    session.output.table((), rows, indent=INDENT)


def _attempts(session: Session, run: ComponentRun) -> None:
    attempts = run.status.attempts
    if not attempts:
        return
    session.output.line(Cell("Attempts:", "bold"))
    rows: list[Row] = []
    for item in attempts:
        elapsed = duration(item.start_time, item.completion_time, session.now())
        outcome = item.reason or "running"
        code = f"exit code {item.exit_code}" if item.exit_code is not None else ""
        rows.append([str(item.number), item.pod, item.node or "no node", Cell(elapsed, right=True), outcome, code])
    session.output.table((), rows, indent=INDENT)


def _texts(session: Session, title: str, lines: Sequence[str], style: str) -> None:
    if lines:
        session.output.line(Cell(f"{title}:", "bold"))
        for line in lines:
            session.output.line(INDENT, Cell("| ", "dim"), Cell(line, style))
