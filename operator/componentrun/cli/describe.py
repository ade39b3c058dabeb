"""A run in people's words: the summary of `get`, the rows of `list`."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from componentrun.cli.terminal.render import INDENT, LABEL_WIDTH, Cell, Row, styled
from componentrun.cli.terminal.words import age, count, duration, first_line, moment, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.api.componentrun import ComponentRun, QueueStatus, TableStatus
    from componentrun.api.files import FilesStatus
    from componentrun.cli.session import Session

__all__ = ["listing", "summary"]


def summary(session: Session, run: ComponentRun) -> None:
    """Everything that a person asks about one run."""
    for label, cells in _facts(session, run):
        session.output.fact(label, *cells)
    _phases(session, run)
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
    yield from _sentences(("Message", status.message), ("It says", status.result_message))
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


def _sentences(*told: tuple[str, str | None]) -> Iterator[tuple[str, list[Cell | str]]]:
    """What is said in whole sentences; further lines stand below the first one."""
    for label, text in told:
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
            continue  # the phase in which nothing happens any more
        end = run.status.completion_time if last else phases[i + 1].start_time
        took = duration(phase.start_time, end, session.now())
        rows.append([phase.phase, Cell(took, right=True), "so far" if last else ""])
    session.output.table((), rows, indent=INDENT)


def _conditions(session: Session, run: ComponentRun) -> None:
    if run.status.conditions:
        session.output.line(Cell("Conditions:", "bold"))
        rows: list[Row] = [
            [one.type, styled(one.status), one.reason, first_line(one.message)] for one in run.status.conditions
        ]
        session.output.table((), rows, indent=INDENT)


def _tables(session: Session, title: str, tables: Sequence[TableStatus] | None) -> None:
    if tables:
        session.output.line(Cell(f"{title}:", "bold"))
        rows: list[Row] = [
            [one.table, Cell(count(one.rows, "row"), right=True), Cell(size(one.bytes), right=True)] for one in tables
        ]
        session.output.table((), rows, indent=INDENT)


def _files(session: Session, title: str, files: FilesStatus | None) -> None:
    if files is None:
        return
    session.output.line(Cell(f"{title}:", "bold"), f" {count(files.count, 'file')}, {size(files.bytes)}")
    rows: list[Row] = [[one.id, one.name, Cell(size(one.bytes), right=True)] for one in files.files]
    session.output.table((), rows, indent=INDENT)


def _attempts(session: Session, run: ComponentRun) -> None:
    attempts = run.status.attempts
    if not attempts:
        return
    session.output.line(Cell("Attempts:", "bold"))
    rows: list[Row] = []
    for one in attempts:
        took = duration(one.start_time, one.completion_time, session.now())
        ended = one.reason or "running"
        code = f"exit code {one.exit_code}" if one.exit_code is not None else ""
        rows.append([str(one.number), one.pod, one.node or "no node", Cell(took, right=True), ended, code])
    session.output.table((), rows, indent=INDENT)


def _texts(session: Session, title: str, lines: Sequence[str], style: str) -> None:
    if lines:
        session.output.line(Cell(f"{title}:", "bold"))
        for line in lines:
            session.output.line(INDENT, Cell("| ", "dim"), Cell(line, style))


def listing(session: Session, runs: Sequence[ComponentRun], *, wide: bool, namespaces: bool) -> None:
    """A line for each run."""
    now = session.now()
    header = ["NAME", "PHASE", "REASON", "COMPONENT", "DURATION", "AGE"]
    rows: list[Row] = []
    for run in runs:
        status = run.status
        cells: list[Cell | str] = [
            run.metadata.name,
            styled(status.phase or "Queued"),
            _reason(run),
            run.spec.component or _short_image(run),
            Cell(duration(status.start_time, status.completion_time, now), right=True),
            Cell(age(run.metadata.creation_timestamp, now), right=True),
        ]
        rows.append(([run.metadata.namespace] if namespaces else []) + cells + (_more(run) if wide else []))
    if wide:
        header += ["NODE", "TRIES", "EXIT", "ROWS IN", "ROWS OUT", "MESSAGE"]
    session.output.table((["NAMESPACE"] if namespaces else []) + header, rows)


def _reason(run: ComponentRun) -> str:
    """Of a run that waits, with what it waits for and its place."""
    queue = run.status.queue
    if queue is None:
        return run.status.reason or "-"
    return queue.waiting_for if queue.position is None else f"{queue.waiting_for} #{queue.position}"


def _short_image(run: ComponentRun) -> str:
    return (run.spec.image or "-").rpartition("/")[2]


def _more(run: ComponentRun) -> list[Cell | str]:
    status = run.status
    node = next((one.node for one in reversed(status.attempts) if one.node), None)
    return [
        node or "-",
        Cell(str(len(status.attempts)), right=True),
        Cell("-" if status.exit_code is None else str(status.exit_code), right=True),
        Cell(_rows(status.input_tables), right=True),
        Cell(_rows(status.output_tables), right=True),
        first_line(status.message or "-"),
    ]


def _rows(tables: Sequence[TableStatus] | None) -> str:
    return "-" if tables is None else count(sum(one.rows or 0 for one in tables))
