"""Compressed slices: what goes in comes out, and never more than was recorded."""

from __future__ import annotations

import gzip
import zlib

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.wire.encoding import COMPRESSIONS, GZIP, NONE, ZSTD, Packer, Unpacker, pack, suffix

ENCODINGS = [GZIP, ZSTD]
MIB = 2**20


def unpacked(data: bytes, encoding: str, size: int, step: int = 1000) -> bytes:
    unpacker = Unpacker(encoding, size)
    found = b"".join(
        block for start in range(0, len(data), step) for block in unpacker.add(memoryview(data)[start : start + step])
    )
    unpacker.finish()
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=60)
@given(pieces=st.lists(st.binary(max_size=300), min_size=1), repeats=st.integers(1, 400), step=st.integers(1, 5000))
def test_what_goes_in_comes_out(encoding: str, pieces: list[bytes], repeats: int, step: int) -> None:
    packer = Packer(encoding)
    data = b"".join(pieces) * repeats
    made = b"".join(packer.add(piece) for _ in range(repeats) for piece in pieces) + packer.finish()
    assert unpacked(made, encoding, len(data), step) == data
    assert unpacked(pack(data, encoding), encoding, len(data), step) == data


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blocks_are_small_however_well_the_rows_were_compressed(encoding: str) -> None:
    made = pack(bytes(20 * MIB), encoding)
    blocks = list(Unpacker(encoding, 20 * MIB).add(made))
    assert sum(map(len, blocks)) == 20 * MIB
    assert max(map(len, blocks)) <= MIB


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_byte_more_comes_out_than_was_recorded(encoding: str) -> None:
    blocks = []
    with pytest.raises(ValueError, match=f"more than the {3 * MIB} bytes"):
        blocks.extend(Unpacker(encoding, 3 * MIB).add(pack(bytes(300 * MIB), encoding)))
    assert sum(map(len, blocks)) == 3 * MIB


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("lost", [1, 5, 500])
def test_an_end_that_is_missing_is_noticed(encoding: str, lost: int) -> None:
    data = bytes(range(256)) * 100 + zlib.crc32(b"x").to_bytes(4, "big") * 1000
    made = pack(data, encoding)
    with pytest.raises(ValueError, match=r"ends \d+ bytes before|its end is not where"):
        unpacked(made[:-lost], encoding, len(data))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_changed_bit_is_noticed_where_it_would_change_the_rows(encoding: str) -> None:
    data = b"".join(b"%d,row %d\n" % (i, i * 7919) for i in range(50))
    made = pack(data, encoding)
    noticed = 0
    for at in range(len(made) * 8):
        changed = bytearray(made)
        changed[at // 8] ^= 1 << at % 8
        try:
            assert unpacked(bytes(changed), encoding, len(data)) == data
        except ValueError:
            noticed += 1
    # The others are bits that say nothing, such as the time in gzip's header.
    assert noticed > len(made) * 7


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_stands_behind_the_end_is_noticed(encoding: str) -> None:
    data = b"1,one\n" * 10
    for more in (b"x", pack(b"2,two\n", encoding)):
        with pytest.raises(ValueError, match=r"behind its end|its end is not where|more than the"):
            unpacked(pack(data, encoding) + more, encoding, len(data))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_something_else_is_named_as_what_it_is_not(encoding: str) -> None:
    with pytest.raises(ValueError, match=f"it is no {encoding}"):
        unpacked(b"id,name\n1,one\n", encoding, 14)


def test_an_object_that_would_need_a_lot_of_memory_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.compression_level: 1}
    made = zstd.compress(bytes(200 * MIB), options=options)
    with pytest.raises(ValueError, match="it is no zstd"):
        unpacked(made, ZSTD, 200 * MIB)


def test_common_tools_read_the_objects() -> None:
    data = b"1,one\n" * 1000
    assert gzip.decompress(pack(data, GZIP)) == data
    assert zstd.decompress(pack(data, ZSTD)) == data
    assert {name: suffix(name) for name in COMPRESSIONS} == {NONE: "", GZIP: ".gz", ZSTD: ".zst"}
