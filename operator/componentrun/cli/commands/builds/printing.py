"""Builds as lines of a table, and one build as text.

The table reads the objects as the API server sends them, like that of runs: the models take a while to load.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.cli.terminal.render import INDENT, LABEL_WIDTH, Cell, Row, styled
from componentrun.cli.terminal.words import age, count, duration, first_line, moment, size
from componentrun.errors import without_advice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from componentrun.api.build.componentbuild import ComponentBuild, ComponentBuildSpec
    from componentrun.cli.session import Session
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["FIRST_PHASE", "print_build", "print_table"]

FIRST_PHASE: Final = "Pending"
"""Also the phase of a build without a status."""
_COMMIT_CHARACTERS: Final = 12
_HEADER: Final = ("NAME", "COMPONENT", "PHASE", "REF", "COMMIT", "DURATION", "AGE")
_WIDE_HEADER: Final = ("REASON", "DIGEST", "MESSAGE")
_REFS: Final = ("refs/heads/", "refs/tags/")


def print_table(session: Session, builds: Sequence[JsonObject], *, wide: bool, namespaces: bool) -> None:
    """Print a line for each build."""
    header = (("NAMESPACE",) if namespaces else ()) + _HEADER + (_WIDE_HEADER if wide else ())
    rows: list[Row] = []
    for build in builds:
        metadata, spec, status = build["metadata"], build["spec"], build.get("status") or {}
        namespace: list[Cell | str] = [metadata.get("namespace", "")] if namespaces else []
        cells: list[Cell | str] = [
            metadata["name"],
            spec["component"],
            styled(status.get("phase") or FIRST_PHASE),
            _short_ref(spec["git"].get("ref")),
            spec["git"]["commit"][:_COMMIT_CHARACTERS],
            Cell(duration(_time(status, "startTime"), _time(status, "completionTime"), session.now()), right=True),
            Cell(age(_time(metadata, "creationTimestamp"), session.now()), right=True),
        ]
        rows.append(namespace + cells + (_more(status) if wide else []))
    session.output.table(header, rows)


def _more(status: Mapping[str, Any]) -> list[Cell | str]:
    return [status.get("reason") or "-", status.get("digest") or "-", first_line(status.get("message") or "-")]


def _time(fields: Mapping[str, Any], name: str) -> datetime | None:
    text = fields.get(name)
    return None if text is None else datetime.fromisoformat(text)


def _short_ref(ref: str | None) -> str:
    """The name of a branch or tag; a dash if the commit was given."""
    text = ref or "-"
    for prefix in _REFS:
        text = text.removeprefix(prefix)
    return text


def print_build(session: Session, build: ComponentBuild) -> None:
    """Print the details of a build."""
    for label, cells in _facts(session, build):
        session.output.fact(label, *cells)
    _steps(session, build)
    if build.status.last_words:
        session.output.line(Cell("Last words:", "bold"))
        for line in build.status.last_words.rstrip("\n").split("\n"):
            session.output.line(INDENT, Cell("| ", "dim"), line)


def _origin(spec: ComponentBuildSpec) -> Iterator[tuple[str, list[Cell | str]]]:
    """What the image is built on."""
    if spec.parent:
        yield "Parent", [spec.parent]
    if spec.dockerfile:
        yield "Dockerfile", [spec.dockerfile, f" (stage {spec.stage})" if spec.stage else ""]
    for name, image in sorted((spec.bases or {}).items()):
        yield "Base", [f"{name}: {image}"]


def _facts(session: Session, build: ComponentBuild) -> Iterator[tuple[str, list[Cell | str]]]:
    status, spec, now = build.status, build.spec, session.now()
    yield "Name", [build.metadata.name]
    yield "Namespace", [build.metadata.namespace]
    yield "Component", [spec.component]
    yield "Repository", [spec.git.url]
    yield "Commit", [spec.git.commit, f" ({_short_ref(spec.git.ref)})" if spec.git.ref else ""]
    if spec.git.context_dir:
        yield "Folder", [spec.git.context_dir]
    yield from _origin(spec)
    if spec.not_before:
        yield "Not before", [moment(spec.not_before, now)]
    yield "Image", [f"{spec.target}@{status.digest}" if status.digest else f"{spec.target}:{build.metadata.name}"]
    is_being_cancelled = spec.cancel and not status.completion_time
    yield "Phase", [styled(status.phase or FIRST_PHASE), "  (cancel asked for)" if is_being_cancelled else ""]
    if status.reason and status.reason != status.phase:
        yield "Reason", [status.reason]
    message = without_advice(status.message or "", status.advice or "")
    for label, text in (("Message", message), ("Advice", status.advice)):
        if text:
            yield label, [text.rstrip("\n").replace("\n", "\n" + " " * LABEL_WIDTH)]
    yield "Created", [moment(build.metadata.creation_timestamp, now)]
    if status.start_time:
        yield "Duration", [duration(status.start_time, status.completion_time, now)]
    if status.pod:
        yield "Pod", [f"{status.pod.namespace}/{status.pod.name}"]
    if status.pushed:
        known, mounted, copied = (
            status.pushed.known_layers,
            status.pushed.mounted_layers,
            status.pushed.copied_layers,
        )
        layers = f"layers: {count(known)} known, {count(mounted)} mounted, {count(copied)} copied"
        yield "Sent", [f"{size(status.pushed.sent_bytes)} ({layers})"]
    if status.dependencies:
        how = "those of an earlier build" if status.dependencies.state == "Reused" else "installed"
        yield "Dependencies", [f"{how}, {size(status.dependencies.size)}"]


def _steps(session: Session, build: ComponentBuild) -> None:
    if not build.status.steps:
        return
    session.output.line(Cell("Steps:", "bold"))
    rows: list[Row] = []
    for step in build.status.steps:
        elapsed = duration(step.start_time, step.completion_time, session.now())
        code = "so far" if step.exit_code is None else f"exit code {step.exit_code}"
        rows.append([step.name, Cell(elapsed, right=True), code])
    session.output.table((), rows, indent=INDENT)
