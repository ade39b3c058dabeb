"""Compressed files, read as what they hold, within what may be stored."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from componentrun.agent.folder import Folder
from componentrun.agent.stagein import inflated
from componentrun.agent.stagein.inflated import Inflated, encoding_of, inflated_size, without_suffix
from componentrun.agent.stageout import upload
from componentrun.agent.stageout.checking import Checkers
from componentrun.agent.stageout.manifest import parse_manifest
from componentrun.agent.stageout.outputs import decide
from componentrun.agent.stageout.outputsizes import OutputSizes, output_sizes
from componentrun.agent.transfer import Stop
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import OutputTable, StageOutPlan
from componentrun.wire.grants import PostPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POST = PostPolicy("http://store.test/bucket", {}, "data/r-1/", 2**30)
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}


class Bytes:
    """A file in memory."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content

    def read(self, length: int, offset: int) -> bytes:
        return self._content[offset : offset + length]


@pytest.mark.parametrize("kind", sorted(PACKERS))
@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    asked=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 1300)), max_size=6),
    padding=st.integers(0, 5),
    sizes=st.tuples(st.integers(1, 50), st.integers(1, 50)),
)
def test_any_bytes_of_what_a_file_holds_are_read_in_any_order(
    kind: str, parts: list[bytes], asked: list[tuple[int, int]], padding: int, sizes: tuple[int, int]
) -> None:
    whole = b"".join(parts)
    file = Bytes(b"".join(PACKERS[kind](part) for part in parts) + b"\0" * padding)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflated, "_CHUNK_BYTES", sizes[0])
        patch.setattr(inflated, "_BLOCK_BYTES", sizes[1])
        assert encoding_of(file.read) == kind
        assert inflated_size(file, kind, "x", None) == len(whole)
        opened = Inflated(file, kind, "x", len(whole))
        for length, offset in asked:
            assert opened.read(length, offset) == whole[offset : offset + length]
        assert opened.read(len(whole) + 1, 0) == whole


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xef\xbb\xbfa\n", b"\x1f", b"(", b"PK\x03\x04"])
def test_what_is_not_compressed_is_read_as_it_is(content: bytes) -> None:
    assert encoding_of(Bytes(content).read) is None


@pytest.mark.parametrize("kind", sorted(PACKERS))
@pytest.mark.parametrize("damage", ["cut", "changed", "more"])
def test_a_broken_file_is_named(kind: str, damage: str) -> None:
    packed = PACKERS[kind](b"a,b\n1,2\n" * 1000)
    broken = {"cut": packed[:-6], "changed": packed[:20] + b"\xff\xff" + packed[22:], "more": packed + b"x,y\n"}[damage]
    with pytest.raises(UserError, match=rf"out/tables/x: it begins like {kind}, and can't be unpacked: ") as caught:
        inflated_size(Bytes(broken), kind, "out/tables/x", None)
    assert caught.value.reason is Reason.OUTPUT_INVALID


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_a_bomb_ends_where_the_run_may_store_no_more_and_takes_no_memory(kind: str) -> None:
    bomb = PACKERS[kind](bytes(64 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"x: it holds more than the 20000000 bytes that are left") as caught:
            inflated_size(Bytes(bomb), kind, "x", 20_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason is Reason.OUTPUT_INVALID
    assert peak < 8 * 2**20


def test_a_window_that_would_take_too_much_memory_is_refused() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 25,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    engine = zstd.ZstdCompressor(options=options)
    packed = engine.compress(b"x" * 1000) + engine.flush()
    with pytest.raises(UserError, match=r"a window of more than 8 MiB \(zstd up to level 19 has less\)"):
        inflated_size(Bytes(packed), "zstd", "x", None)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("a.csv.gz", "a.csv"), ("a.csv.zst", "a.csv"), ("a.csv", "a.csv"), ("a.gz.csv", "a.gz.csv"), ("a.gz", "a")],
)
def test_the_end_of_a_name_that_tells_of_compression(name: str, wanted: str) -> None:
    assert without_suffix(name) == wanted


class Kept:
    """A client whose store keeps everything."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.objects: list[bytes] = []

    def send(self, request: Any, _use: object) -> str:
        self.objects.append(b"".join(request.body()))
        return '"etag"'


def stored(
    data: Path, *tables: OutputTable, bucket: str | None = "out.c-a", most: int | None = None
) -> tuple[upload.Uploaded, OutputSizes, Kept]:
    plan = StageOutPlan("ns/run", tables, bucket, most)
    client: Any = Kept()
    with Folder(str(data)) as folder:
        entries = folder.entries("out/tables")
        names = [entry.name for entry in entries if entry.name.endswith(".manifest")]
        manifests = {
            name.removesuffix(".manifest"): parse_manifest((data / "out/tables" / name).read_bytes(), name)
            for name in names
        }
        decision = decide(entries, manifests, plan)
        assert decision.errors == ()
        sizes = output_sizes(folder, entries, decision, most)
        with Checkers(folder, 0) as checkers:
            done = upload.upload(client, folder, POST, sizes.sources, checkers, plan, sizes.unpacked_sizes)
    return done, sizes, client


def write(data: Path, name: str, content: bytes) -> None:
    path = data / "out/tables" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
@pytest.mark.parametrize("name", ["bar.csv.gz", "bar.csv", "bar.csv.zst", "bar.gz"])
def test_a_compressed_file_becomes_the_table_of_its_name_whatever_that_ends_with(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str
) -> None:
    write(tmp_path, name, pack(b"\xef\xbb\xbfid,n\n1,x\n2,y"))
    done, sizes, client = stored(tmp_path)
    assert (done.errors, done.warnings) == ((), ())
    (table,) = done.tables
    assert (table.destination, table.columns, table.rows) == ("out.c-a.bar", ("id", "n"), 2)
    assert b"1,x\n2,y\n" in client.objects[0]
    assert sizes.total == 15


def test_compressed_slices_may_stand_beside_others(tmp_path: Path) -> None:
    write(tmp_path, "bar.csv/1.gz", gzip.compress(b"1,x\n"))
    write(tmp_path, "bar.csv/2", b"2,y\n")
    write(tmp_path, "bar.csv/3", zstd.compress(b"3,z") + zstd.compress(b"z\n"))
    write(tmp_path, "bar.csv.manifest", json.dumps({"columns": ["id", "n"]}).encode())
    done, _, client = stored(tmp_path)
    assert done.errors == ()
    assert [part.rows for part in done.tables[0].slices] == [1, 1, 1]
    assert any(b"3,zz\n" in body for body in client.objects)


def test_a_fault_in_a_compressed_file_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "bar.csv.gz", gzip.compress(b"id,n\n" + b"1,x\n" * 400_000 + b"2\n"))
    done, _, _ = stored(tmp_path)
    assert done.tables == ()
    assert done.errors[0].message == "out/tables/bar.csv.gz, line 400002: found 1 field, expected 2 (`id`, `n`)"


def test_a_compressed_file_in_another_dialect(tmp_path: Path) -> None:
    write(tmp_path, "bar.csv.gz", gzip.compress(b"id;n\n1;'x;y'\n"))
    write(tmp_path, "bar.csv.gz.manifest", json.dumps({"delimiter": ";", "enclosure": "'"}).encode())
    done, _, client = stored(tmp_path)
    assert done.errors == ()
    assert b'1,"x;y"\n' in client.objects[0]


def test_what_compressed_files_hold_counts_together(tmp_path: Path) -> None:
    content = gzip.compress(b"n\n" + b"1\n" * 1000)
    for name in ("a.csv.gz", "b.csv.gz"):
        write(tmp_path, name, content)
    done, sizes, _ = stored(tmp_path, most=3000)
    assert [table.destination for table in done.tables] == ["out.c-a.a"]
    assert sizes.errors[0].message.startswith(
        f"out/tables/b.csv.gz: it holds more than the 998 bytes that are left of what the run may store, compressed to "
        f"{len(content)}. "
    )


def test_gzip_without_a_checksum_at_its_end_is_cut(tmp_path: Path) -> None:
    engine = zlib.compressobj(wbits=31)
    write(tmp_path, "bar.csv.gz", engine.compress(b"n\n1\n") + engine.flush(zlib.Z_SYNC_FLUSH))
    _, sizes, _ = stored(tmp_path)
    assert "it ends too early" in sizes.errors[0].message
