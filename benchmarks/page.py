"""docs/benchmarks.md, made from the newest figure of each name."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.goals import GOALS
from benchmarks.record import newest, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.goals import Goal
    from benchmarks.record import Figure

__all__ = ["PAGE", "render", "write"]

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_HEAD: Final = """# Benchmarks

Made from `benchmarks/results.jsonl` by `python -m benchmarks`; not to be edited.

Ratios, not times: a figure and what it is compared with were measured in turns, in the same run, on the same machine.
A value is the median of its repeats; the spread is the smallest and the largest of them. `make bench` measures on your
machine; `make bench ONLY=overhead.tiny` measures what begins with that name.
"""
_TITLES: Final = {
    "overhead": (
        "What a run costs",
        """The same work three ways, from the create call to the watch event that says it has ended. `pod` is a bare pod
of the component's image (tiny: without any data; data: one container that downloads, copies and uploads by itself).
`job` is a Job as one would write it by hand: init containers `s5cmd cp` and the component, then `s5cmd cp` as the main
container, keys in a Secret; s5cmd may use 1 GiB, page cache included. `run` is a ComponentRun as it comes. The
component copies its input table to its output (so that there is something to publish): 3 rows (tiny), 512 MiB (data).

The parts of a run and of a Job, as a watcher of their pods sees them: `start` until the pod is created, `input` until
the input is there (scheduling, sandbox, download), `component` until the component has ended, `output` until the upload
has ended, `finish` until the object says so. The kubelet looks after its containers once a second, so each step
from one container to the next takes up to a second, in all three ways.

What was measured before 2026-12-01 is of tables that were kept as slices in MinIO, not in a catalog.""",
    ),
    "transfer": (
        "Bringing tables",
        """The agents' own process (interpreter's start, plan, checks of every row included) against the s5cmd binary
with its defaults, on the node, with the same store and the same data: one table of 1 GiB, 1,000 tables of 4 KiB. The
agents store tables compressed, as is the default: how well a table compresses decides about its speed, and this one
becomes a sixth. The store is on the same processors and there is no network to speak of between them, which is where
compressing gains least; `link`: the large table over a link of 2 Gbit/s. `files`: 2,000
output files of a few bytes with three tags each, stored by stage-out and published as the operator does it.""",
    ),
    "mapped": (
        "Bringing some columns and rows of a table",
        """stage-in's own process with three of five columns and a sixth of the rows of a table that has 1 GiB as CSV,
from the catalog to the file that the component reads, against DuckDB alone: the same query on the CSV file, which is on
the disk already, with DuckDB's defaults. `cpu` are CPU seconds.""",
    ),
    "tables": (
        "Tables in a catalog",
        """Store and catalog are SeaweedFS, on the same processors. `cpu` are CPU seconds, or milliseconds, of a
process; `cpu.store` those of SeaweedFS. On a machine that is busy with other work they tell more than times: on
2026-12-01, 20 to 40 processes waited for its two processors.

`data`: one table of 512 MiB. `run`: stage-in, the component (`cp`), stage-out, which checks every row, and a loader.
`hand`: DuckDB with its extension for Iceberg writes the table to CSV, `cp`, and DuckDB inserts the file into a new
table. No pods around them: these cost a run and a Job the same. `in` and `out` are the parts before and behind `cp`.

`publish`: on a cluster, from the event of the pod that says that the upload has ended to the event of the run that says
that it is published; the table has three rows, and was there before. `phase` is the part of it for which the run is in
the phase Publishing.

`keyed`: 100,000 rows by key into 10 million; half of the keys are there. `loader`: a load (`memory` is the peak of its
process). `merge` and `plain`: DuckDB by hand, with MERGE, and with DELETE and INSERT in one transaction.

`rate`: 1,000 loads of three rows by two loaders, without the way from the operator to them; half of the loads make
their tables. `cpu` is for each load. Two processors have 120 s in a minute: where they have nothing else to do, a load
may cost 120 ms for 1,000 of them.

`increments`: 500 increments of ten rows on one table, with a round of maintenance after each 60; the first 50 against
the last 50. A catalog keeps all versions of a table in one document, which is read and written anew with each commit.
A version has 1 kB there, and versions are kept for seven days. So the cost of a load grows with the number of loads in
these days.

`upkeep`: requests to store and catalog. `scanned`: for a table in its turn (each once in seven days), of which nothing
is to be done; `changed`: for one that has changed; `round`: in a round without tables. `quiet` is computed from these:
an hour with 100,000 tables in 1,000 buckets, 100,000 / 168 * `scanned` + 1,000 + `round`; `busy`: the same with 1,000
tables that have changed. What is rewritten comes on top.""",
    ),
    "start": (
        "Starting",
        """From the call that starts an agent's interpreter to the first byte of its first request, over plain http.""",
    ),
    "throughput": (
        "Many runs",
        """A control plane of its own (etcd, API server, scheduler, controller manager, SeaweedFS, all as they are)
whose 20 nodes are played by KWOK: a component runs for a second, and costs nothing. `pod`: the pod that the
operator would make, created by the benchmark. `job`: the same as a Job, with 500 requests a second and 64 workers
for its controller, which would start some 200 a minute with its defaults (`default`). `argo`: workflows of one step
with the component's container, whose controller has the same limits and workers, and looks again after a second instead
of ten; neither it nor a Job brings tables, keeps keys away or publishes anything. `run`: ComponentRuns that
read a table; what stage-out leaves in the store and what the collector says in the status (one write for each run)
is done by the benchmark. 1,000 of each, created as fast as the API server takes them, timed until the last one has
ended, on a machine whose processors are all busy with it; `many`: 10,000. `cpu` is CPU time for each, of the
operator, of the API server (`server`), of the controller manager; `writes` those that the operator sent for each
(`all`: whoever sent them). `start` is the time from the call that creates a run to its pod, one run at a time.
`memory` and `ready`: the operator with 11,000 runs that have ended. `queue`: 20 runs may have a pod at a time;
`short`: 300 runs from their creation to their end; `long`: joining 10,000 others and, in front of these, having a
turn.

What was measured before 2026-12-01 is of tables that were kept as slices in MinIO, not in a catalog.""",
    ),
    "events": (
        "Events",
        """`readers`: eight containers of the real kubelet have printed 70,000 lines of 99 bytes, and are read at
the same time: over the API, and from the node's files through a log server. `rate` is lines for each CPU second of the
collector's process; the others are CPU seconds of a process for a million lines. `pipeline`: with events made of the
lines (grouped, redacted, and encoded as segments that are thrown away) instead of counting them.

`last`: the last 100 events among those of 100,000 runs with 20 each, found by 200,000 small objects: of one
configuration that has 10,000 of the runs, of one that has nine, of a component, of all, and the errors of the first
(one in a hundred of its runs has one). From a new connection to the last event; `command` is the command line, its
start included.""",
    ),
    "collector": (
        "What a printed line costs",
        """The collector's own process on one processor, against a stand-in for the log server that sends what the log
API sends, over TLS; the store is the real one, and two secret values are looked for. `cpu` are seconds of the processor
for a million lines of 100 bytes, all its work from reading to storing; `rate` are lines a second. `single`, `chunk` and
`big` come in chunks of 1, 4 and 500 lines (the kubelet flushes about four at a time); `json` are structured lines, four
at a time. `lag` is from the moment at which a line was printed until its segment is in the store, 100 runs printing ten
lines a second each. `memory` is the peak with 1,000 streams, a line a second each. `pipeline` are seconds of the
processor for a million lines from the bytes of a node's file to those of a segment, nothing read or stored: `plain` are
lines of text; among those of `mixed`, one in twenty is JSON and one in a hundred a stack trace of six lines.
`redaction` are microseconds that looking for secrets takes for a line of 100 characters that holds none.""",
    ),
    "memory": (
        "Memory",
        """`idle` and `rest` are working sets as the kubelet reports them for a container. `agent` is the peak of an
agent with a table of 1 GiB, all its processes together (proportional set size).""",
    ),
}


def write(figures: Iterable[Figure] | None = None) -> None:
    """Write the page, from results.jsonl unless figures are given."""
    PAGE.write_text(render(read() if figures is None else figures), encoding="utf-8")


def render(figures: Iterable[Figure]) -> str:
    """The page's text."""
    found = newest(figures)
    parts = [_HEAD, _goals(found)]
    for area, (title, text) in _TITLES.items():
        members = [figure for figure in found.values() if figure.name.startswith(f"{area}.")]
        if members:
            parts.append(_area(title, text, members))
    parts.append(_conditions(list(found.values())))
    return "\n".join(parts)


def _goals(found: Mapping[str, Figure]) -> str:
    rows = [_goal(goal, found) for goal in GOALS]
    return _table("## Goals", ("Goal", "Bound", "Measured", ""), rows)


def _goal(goal: Goal, found: Mapping[str, Figure]) -> tuple[str, ...]:
    reached, met = goal.reached(found), goal.met(found)
    verdict = {True: "met", False: "**missed**", None: "not measured"}[met]
    now = "-" if reached is None else f"{reached:.3g} {goal.unit}".rstrip()
    return (
        f"{goal.sentence} (`{goal.name}`)",
        f"{'at least' if goal.least else 'at most'} {goal.bound:g} {goal.unit}".rstrip(),
        now,
        verdict,
    )


def _area(title: str, text: str, members: Sequence[Figure]) -> str:
    paragraphs = [f"## {title}\n"]
    if text:
        paragraphs.append(f"{text}\n")
    for _, group in groupby(members, key=_group):
        rows = [_row(figure) for figure in group]
        paragraphs.append(_table("", ("Figure", "Median", "Spread", "Against", "Ratio", "Repeats"), rows))
    return "\n".join(paragraphs)


def _group(figure: Figure) -> str:
    """Figures that stand in one table: those of one area and subject."""
    return ".".join(figure.name.split(".")[:2])


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    return (
        f"`{figure.name}`",
        f"{figure.value:.3g} {figure.unit}".rstrip(),
        f"{low:.3g} - {high:.3g}",
        f"`{figure.against}`" if figure.against else "",
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        str(figure.repeats),
    )


def _conditions(members: Sequence[Figure]) -> str:
    rows = sorted({(figure.date[:10], figure.commit, figure.machine, _group(figure)) for figure in members})
    grouped = [
        (date, f"`{commit}`", machine, ", ".join(f"`{row[3]}`" for row in group))
        for (date, commit, machine), group in groupby(rows, key=lambda row: row[:3])
    ]
    return _table("## Where and when", ("Date", "Commit", "Machine", "Figures"), grouped)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([*([title, ""] if title else []), *lines, ""])
