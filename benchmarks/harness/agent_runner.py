"""Runs stage-in, stage-out and s5cmd as processes on this machine, with the cluster's store and catalog."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness import timed_process
from benchmarks.harness.sandbox import open_sandbox
from benchmarks.harness.testbed import sweep
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import prepare_attempt
from componentrun.storage.access.reading import EVERYTHING, Wish
from componentrun.storage.files.publish import check_files, publish_files
from componentrun.wire.agents import OutputTable, StageOutResult, from_json, to_json
from componentrun.wire.grants import GRANT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.harness.sandbox import Sandbox
    from benchmarks.harness.testbed import Testbed
    from componentrun.storage.store.connection import Store
    from componentrun.wire.agents import TableWritten
    from componentrun.wire.grants import GrantIn, GrantOut

__all__ = ["AgentRunner", "agent_runner"]

_AN_HOUR: Final = timedelta(hours=1)
_AT_ONCE: Final = 100
"""Maximum number of tables of one load."""
_BUCKET: Final = "in.c-main"
_FILE_TAGS: Final = ("componentId: benchmark", "runId: benchmark", "configurationId: benchmark")
"""As many tags as for a run with a configuration."""


@dataclass(frozen=True)
class AgentRunner:
    """Runs the programs with the same tables as files and in the store.

    Every method does its work once, with an empty folder and new keys.
    """

    testbed: Testbed
    sandbox: Sandbox
    signer: Signer
    files: Sequence[Path]
    work: Path
    """Folder for data, grants and messages."""
    memory: bool = False
    """Whether memory is measured instead of time."""
    command_prefix: Sequence[str] = ()
    """Prefix of the commands, for example to use a network namespace."""
    key: tuple[str, ...] | None = None
    """Primary key of the tables."""
    table_ids: list[str] = field(default_factory=list)
    """Table ids of the files."""

    def load_tables(self) -> None:
        """Load the files as tables."""
        outputs = self.outputs(_BUCKET)
        for first in range(0, len(outputs), _AT_ONCE):
            run, data, some = uuid.uuid4().hex, self._data("load"), outputs[first : first + _AT_ONCE]
            _copy(self.files[first : first + _AT_ONCE], data / "out" / "tables")
            self.sandbox.load(run, self.stage_output(run, data, some)[0])
            self.table_ids.extend(output.destination for output in some)
            shutil.rmtree(data)

    def load_objects(self) -> None:
        """Load the files as plain objects, for s5cmd."""
        source = str(self.files[0]) if len(self.files) == 1 else f"{self.files[0].parent}/"
        self._s5cmd("cp", source, f"{self._url}/plain/")

    @property
    def store(self) -> Store:
        """The bucket."""
        return self.sandbox.store

    def outputs(self, bucket: str) -> list[OutputTable]:
        """Return an output mapping of the files to tables of a bucket."""
        return [OutputTable(file.name, f"{bucket}.{file.stem}", primary_key=self.key) for file in self.files]

    def inputs(self, wish: Wish = EVERYTHING) -> tuple[InputSource, ...]:
        """Return an input mapping of all tables."""
        return tuple(InputSource(table=table, wish=wish) for table in self.table_ids)

    def stage_output(
        self, run: str, data: Path, outputs: Sequence[OutputTable]
    ) -> tuple[tuple[TableWritten, ...], timed_process.Ended]:
        """Run stage-out for the tables of a data folder; return its result and the process."""
        ended = self._agent("stage-out", data, self.grants(run, outputs=outputs)[1])
        stored = asyncio.run(self.store.get(self.store.layout.result(run, 1)))
        return from_json(StageOutResult, stored.data).tables, ended

    def stage_in(self, wish: Wish = EVERYTHING) -> timed_process.Ended:
        """Run stage-in into an empty data folder."""
        grant, _ = self.grants(uuid.uuid4().hex, inputs=self.inputs(wish))
        return self._agent("stage-in", self._data("in"), grant)

    def input_files(self) -> list[Path]:
        """Return the files that stage-in wrote."""
        return sorted((self.work / "in" / "in" / "tables").glob("*.csv"))

    def stage_out(self) -> timed_process.Ended:
        """Run stage-out for a data folder with the files."""
        data = self.work / "component"
        if not data.is_dir():
            _copy(self.files, data / "out" / "tables")
        run = uuid.uuid4().hex
        _, ended = self.stage_output(run, data, self.outputs("out.c-main"))
        sweep(self.store, self.store.layout.data(run, 1))
        return ended

    def store_files(self, count: int) -> tuple[float, float]:
        """Return the seconds of stage-out and of publishing for this number of small files."""
        data = self.work / "files"
        if not data.is_dir():
            target = data / "out" / "files"
            target.mkdir(parents=True)
            for number in range(count):
                (target / f"{number:05d}.txt").write_text(f"{number}\n", encoding="utf-8")
        run = uuid.uuid4().hex
        ended = self._agent("stage-out", data, self.grants(run, file_tags=_FILE_TAGS)[1])

        async def publish_result() -> None:
            stored = await self.store.get(self.store.layout.result(run, 1))
            files = from_json(StageOutResult, stored.data).files
            records = await check_files(self.store, run, 1, files, datetime.now(UTC))
            assert len(records) == count
            await publish_files(self.store, run, 1, records)

        started = time.monotonic()
        asyncio.run(publish_result())
        seconds = time.monotonic() - started
        sweep(self.store, self.store.layout.file_index.root)
        sweep(self.store, self.store.layout.data(run, 1))
        return ended.seconds, seconds

    def s5cmd_down(self) -> timed_process.Ended:
        """Download the plain objects with s5cmd."""
        target = self._data("s5cmd") / "in" / "tables"
        target.mkdir(parents=True)
        return self._s5cmd("cp", f"{self._url}/plain/*", f"{target}/")

    def s5cmd_up(self) -> timed_process.Ended:
        """Upload the files as plain objects with s5cmd."""
        source = str(self.files[0]) if len(self.files) == 1 else f"{self.files[0].parent}/"
        ended = self._s5cmd("cp", source, f"{self._url}/up/")
        sweep(self.store, f"{self.store.settings.prefix}/up/")
        return ended

    @property
    def _url(self) -> str:
        return f"s3://{self.store.settings.bucket}/{self.store.settings.prefix}"

    def _data(self, name: str) -> Path:
        """Return an empty data folder."""
        data = self.work / name
        if data.is_dir():
            shutil.rmtree(data)
        data.mkdir()
        return data

    def grants(
        self,
        run: str,
        *,
        inputs: Sequence[InputSource] = (),
        outputs: Sequence[OutputTable] = (),
        file_tags: tuple[str, ...] = (),
    ) -> tuple[GrantIn, GrantOut]:
        """Write the plans of an attempt to the store; return what its agents may do."""
        request = AttemptRequest(
            run=run,
            title="benchmark",
            attempt=1,
            expires_in=_AN_HOUR,
            expires_out=_AN_HOUR,
            inputs=inputs,
            outputs=outputs,
            file_tags=file_tags,
        )
        plan = asyncio.run(prepare_attempt(self.store, self.signer, request, self.sandbox.plan))
        return plan.grant_in, plan.grant_out

    def _agent(self, command: str, data: Path, grant: GrantIn | GrantOut) -> timed_process.Ended:
        message = self.work / "termination-log"
        (self.work / GRANT_FILE).write_text(to_json(grant), encoding="utf-8")
        options = ["--data", str(data), "--grant", str(self.work), "--termination-log", str(message)]
        ended = timed_process.run(
            [*self.command_prefix, sys.executable, "-m", "componentrun.agent", command, *options],
            {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            memory=self.memory,
        )
        result: dict[str, Any] = json.loads(message.read_text(encoding="utf-8"))
        assert result["ok"], result
        return ended

    def _s5cmd(self, *arguments: str) -> timed_process.Ended:
        command = [*self.command_prefix, str(self.testbed.s5cmd), "--log", "error", *arguments]
        environment = {"PATH": os.environ["PATH"], **self.sandbox.s5cmd}
        return timed_process.run(command, environment, memory=self.memory)


@contextmanager
def agent_runner(
    testbed: Testbed,
    files: Sequence[Path],
    *,
    memory: bool = False,
    command_prefix: Sequence[str] = (),
    key: tuple[str, ...] | None = None,
    s5cmd: bool = True,
) -> Iterator[AgentRunner]:
    """A runner with the files loaded; afterwards its objects are deleted. `s5cmd`: whether s5cmd will be used."""
    with open_sandbox(testbed.connection.lake) as sandbox:
        runner = AgentRunner(
            testbed, sandbox, Signer(sandbox.settings), files, Path(sandbox.scratch), memory, command_prefix, key
        )
        runner.load_tables()
        if s5cmd:
            runner.load_objects()
        yield runner


def _copy(files: Sequence[Path], target: Path) -> None:
    target.mkdir(parents=True)
    for file in files:
        shutil.copy2(file, target)
