"""stage-in and stage-out as processes on this machine, with real grants, against the cluster's store and catalog."""

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

from benchmarks import local
from benchmarks.lab import sweep
from benchmarks.lake import lake_place
from componentrun.storage.access.attempt import AttemptRequest, InputSource
from componentrun.storage.access.grants import Signer
from componentrun.storage.access.plans import prepare_attempt
from componentrun.storage.access.reading import EVERYTHING, Wish
from componentrun.storage.files.publish import check_files, publish_files
from componentrun.wire.agents import GRANT_FILE, OutputTable, StageOutResult, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.lab import Lab
    from benchmarks.lake import LakePlace
    from componentrun.storage.store.connection import Store
    from componentrun.wire.agents import GrantIn, GrantOut, TableWritten

__all__ = ["Bench", "bench"]

_AN_HOUR: Final = timedelta(hours=1)
_AT_ONCE: Final = 100
"""Tables that one run brings."""
_BUCKET: Final = "in.c-main"
_FILE_TAGS: Final = ("componentId: benchmark", "runId: benchmark", "configurationId: benchmark")
"""As many as a run of a configuration has."""


@dataclass(frozen=True)
class Bench:
    """Tables as files and in the store, and the two programs that move them.

    Every method does its work once, into a folder that is empty before and to keys that are new.
    """

    lab: Lab
    place: LakePlace
    signer: Signer
    files: Sequence[Path]
    work: Path
    """A folder for data, grants and messages."""
    memory: bool = False
    """Whether memory is measured instead of time."""
    through: Sequence[str] = ()
    """What stands before the command of a program that moves something."""
    key: tuple[str, ...] | None = None
    """Primary key of the tables."""
    loaded: list[str] = field(default_factory=list)
    """Table ids of the files."""

    def load(self) -> None:
        """Have the files in the store, as tables and as plain objects."""
        outputs = self.outputs(_BUCKET)
        for first in range(0, len(outputs), _AT_ONCE):
            run, data, some = uuid.uuid4().hex, self._data("load"), outputs[first : first + _AT_ONCE]
            _copy(self.files[first : first + _AT_ONCE], data / "out" / "tables")
            self.place.load(run, self.staged(run, data, some)[0])
            self.loaded.extend(output.destination for output in some)
            shutil.rmtree(data)
        source = str(self.files[0]) if len(self.files) == 1 else f"{self.files[0].parent}/"
        self._s5cmd("cp", source, f"{self._url}/plain/")

    @property
    def store(self) -> Store:
        """The bucket."""
        return self.place.store

    def outputs(self, bucket: str) -> list[OutputTable]:
        """An output mapping that has the files become tables of a bucket."""
        return [OutputTable(file.name, f"{bucket}.{file.stem}", primary_key=self.key) for file in self.files]

    def staged(
        self, run: str, data: Path, outputs: Sequence[OutputTable]
    ) -> tuple[tuple[TableWritten, ...], local.Ended]:
        """Have stage-out store the tables of a data folder; what it says of them, and how it ended."""
        ended = self._agent("stage-out", data, self._grants(run, outputs=outputs)[1])
        stored = asyncio.run(self.store.get(self.store.layout.result(run, 1)))
        return from_json(StageOutResult, stored.data).tables, ended

    def stage_in(self, wish: Wish = EVERYTHING) -> local.Ended:
        """Tables into a data folder."""
        inputs = tuple(InputSource(table=table, wish=wish) for table in self.loaded)
        return self._agent("stage-in", self._data("in"), self._grants(uuid.uuid4().hex, inputs=inputs)[0])

    def brought(self) -> list[Path]:
        """The files that stage-in left."""
        return sorted((self.work / "in" / "in" / "tables").glob("*.csv"))

    def stage_out(self) -> local.Ended:
        """Files out of a data folder."""
        data = self.work / "component"
        if not data.is_dir():
            _copy(self.files, data / "out" / "tables")
        run = uuid.uuid4().hex
        _, ended = self.staged(run, data, self.outputs("out.c-main"))
        sweep(self.store, self.store.layout.data(run, 1))
        return ended

    def store_files(self, count: int) -> tuple[float, float]:
        """Seconds that stage-out and then publishing take for so many small files."""
        data = self.work / "files"
        if not data.is_dir():
            target = data / "out" / "files"
            target.mkdir(parents=True)
            for number in range(count):
                (target / f"{number:05d}.txt").write_text(f"{number}\n", encoding="utf-8")
        run = uuid.uuid4().hex
        ended = self._agent("stage-out", data, self._grants(run, file_tags=_FILE_TAGS)[1])

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

    def s5cmd_down(self) -> local.Ended:
        """Plain objects into a folder."""
        target = self._data("s5cmd") / "in" / "tables"
        target.mkdir(parents=True)
        return self._s5cmd("cp", f"{self._url}/plain/*", f"{target}/")

    def s5cmd_up(self) -> local.Ended:
        """Files to plain objects."""
        source = str(self.files[0]) if len(self.files) == 1 else f"{self.files[0].parent}/"
        ended = self._s5cmd("cp", source, f"{self._url}/up/")
        sweep(self.store, f"{self.store.settings.prefix}/up/")
        return ended

    @property
    def _url(self) -> str:
        return f"s3://{self.store.settings.bucket}/{self.store.settings.prefix}"

    def _data(self, name: str) -> Path:
        """An empty data folder."""
        data = self.work / name
        if data.is_dir():
            shutil.rmtree(data)
        data.mkdir()
        return data

    def _grants(
        self,
        run: str,
        *,
        inputs: Sequence[InputSource] = (),
        outputs: Sequence[OutputTable] = (),
        file_tags: tuple[str, ...] = (),
    ) -> tuple[GrantIn, GrantOut]:
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
        plan = asyncio.run(prepare_attempt(self.store, self.signer, request, self.place.plan))
        return plan.grant_in, plan.grant_out

    def _agent(self, command: str, data: Path, grant: GrantIn | GrantOut) -> local.Ended:
        message = self.work / "termination-log"
        (self.work / GRANT_FILE).write_text(to_json(grant), encoding="utf-8")
        options = ["--data", str(data), "--grant", str(self.work), "--termination-log", str(message)]
        ended = local.run(
            [*self.through, sys.executable, "-m", "componentrun.agent", command, *options],
            {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            memory=self.memory,
        )
        result: dict[str, Any] = json.loads(message.read_text(encoding="utf-8"))
        assert result["ok"], result
        return ended

    def _s5cmd(self, *arguments: str) -> local.Ended:
        command = [*self.through, str(self.lab.s5cmd), "--log", "error", *arguments]
        environment = {"PATH": os.environ["PATH"], **self.place.s5cmd}
        return local.run(command, environment, memory=self.memory)


@contextmanager
def bench(
    lab: Lab,
    files: Sequence[Path],
    *,
    memory: bool = False,
    through: Sequence[str] = (),
    key: tuple[str, ...] | None = None,
) -> Iterator[Bench]:
    """A bench with the files loaded; afterwards nothing of it is left in the store."""
    with lake_place(lab.connection.lake) as place:
        made = Bench(lab, place, Signer(place.settings), files, Path(place.scratch), memory, through, key)
        made.load()
        yield made


def _copy(files: Sequence[Path], target: Path) -> None:
    target.mkdir(parents=True)
    for file in files:
        shutil.copy2(file, target)
