"""CSV objects as input tables with selected columns or rows, against a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.agent.stagein.main import stage_in
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import CsvRead, Where

if TYPE_CHECKING:
    from tests.integration.agent.place import Ended, Place

pytestmark = pytest.mark.store


async def brought(place: Place, *objects: CsvRead) -> Ended:
    ended = place.run("stage-in", await place.grant_in(objects=objects))
    left = {item.name for item in place.data.iterdir()}
    assert left <= {"artifacts", "config.json", "in", "out"}, "something else is still there"
    return ended


@pytest.mark.parametrize("select", ["b", "*b", "b*"])
async def test_an_object_is_read_by_the_header_it_brings(place: Place, select: str) -> None:
    part = await place.object("x.csv", b'\xef\xbb\xbfa,b\r\n1,2\r\n3,"4\r\n"')
    some = CsvRead("files/x.csv", "in/tables/x.csv", part, (select,), Where("a", "ne", ("1",)))
    first = CsvRead("files/x.csv", "in/tables/first.csv", part, limit=1)
    ended = await brought(place, some, first)
    assert ended.code == 0, ended.text
    assert (place.data / "in/tables/x.csv").read_bytes() == b'b\n"4\r\n"\n'
    assert (place.data / "in/tables/first.csv").read_bytes() == b"a,b\n1,2\n"
    assert not (place.data / "in/tables/x.csv.manifest").exists()
    assert (ended.term["tables"], ended.term["rows"]) == (2, 2)


@pytest.mark.parametrize(
    ("text", "select", "where", "told"),
    [
        (b"a,b\n1\n", ("a",), None, "files/x.csv, line 2: found 1 field, expected 2"),
        (b"", ("a",), None, "the file is empty"),
        (b"a,b\n1,2\n", ("z",), None, "names the column `z`, which does not exist; it has `a`, `b`"),
        (b"a,b\n1,2\n", None, Where("z", "eq", ("1",)), "names the column `z`, which does not exist; it has `a`, `b`"),
    ],
)
async def test_an_object_that_can_not_be_read_is_the_authors_to_mend(
    place: Place, text: bytes, select: tuple[str, ...] | None, where: Where | None, told: str
) -> None:
    part = await place.object("x.csv", text)
    ended = await brought(place, CsvRead("files/x.csv", "in/tables/x.csv", part, select, where))
    assert (ended.code, ended.term["reason"]) == (1, Reason.INPUT_INVALID)
    assert told in ended.term["message"]


async def test_a_full_disk_is_known_before_anything_travels(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    part = await place.object("x.csv", b"a\n" + b"1\n" * 400)
    monkeypatch.setattr("componentrun.agent.folder.Folder.free_bytes", lambda _: 800)
    place.data.mkdir()
    with pytest.raises(UserError, match="the input has 802 bytes, but the data folder has room for 800") as refusal:
        stage_in(await place.grant_in(objects=(CsvRead("x", "in/tables/x.csv", part, limit=5),)), str(place.data))
    assert refusal.value.reason is Reason.DISK_FULL
