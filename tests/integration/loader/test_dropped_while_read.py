"""Another engine drops or replaces a table during a run: the run reads the planned data, or reports why it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from componentrun.errors import ComponentRunError, Reason
from componentrun.loader.maintenance.objects import TableObjects
from tests.integration.loader.foreign import Foreign
from tests.integration.loader.maintained import A, Place
from tests.integration.loader.stagedin import planned, staged_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

LARGE = 2**20 + 2**19
"""Size in bytes from which stage-in reads a file in ranges."""


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path) -> Place:
    return Place(lake_space, tmp_path)


def test_a_table_that_is_replaced_behind_the_plan_is_read_as_planned_and_one_that_is_dropped_before_is_not_there(
    place: Place, tmp_path: Path
) -> None:
    place.fully("1", "2")
    foreign = Foreign(place.space)
    waiting = planned(place, A)
    foreign.execute(f"DELETE FROM {foreign.name(A)}")  # noqa: S608 - a test's
    foreign.execute(f"INSERT INTO {foreign.name(A)} VALUES ('other', now())")  # noqa: S608 - likewise
    assert staged_in(waiting, tmp_path / "first", A).splitlines()[1:] == ["1", "2"]
    assert staged_in(planned(place, A), tmp_path / "second", A).splitlines()[1:] == ["other"]
    foreign.execute(f"DROP TABLE {foreign.name(A)}")
    with pytest.raises(ComponentRunError, match=r"`out\.c-main\.a`") as caught:
        planned(place, A)
    assert caught.value.reason == Reason.INPUT_NOT_FOUND


@pytest.mark.parametrize("size", [1, LARGE], ids=["whole_file", "ranges"])
def test_a_table_whose_files_are_deleted_while_it_is_read_ends_in_a_sentence(
    place: Place, tmp_path: Path, size: int
) -> None:
    # Incompressible text.
    place.fully(*[f"{number * 2654435761 % 2**32:x}{number * 40503 % 65521:x}" for number in range(1 + size // 10)])
    waiting = planned(place, A)
    files = {path for path in place.files() if "/data/" in path}
    foreign = Foreign(place.space)
    foreign.execute(f"DROP TABLE {foreign.name(A)}")
    TableObjects(place.settings).delete(sorted(files))  # some engines delete the files themselves
    with pytest.raises(ComponentRunError) as caught:
        staged_in(waiting, tmp_path / "data", A)
    assert caught.value.message.startswith("out.c-main.a, its file `s3://")
    assert "the object is not in the store any more" in caught.value.message
    assert caught.value.reason == Reason.INPUT_NOT_FOUND
    assert "X-Amz" not in caught.value.message
