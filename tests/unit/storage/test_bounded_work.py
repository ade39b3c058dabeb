"""Many requests at once: the first error comes out as it is, because callers tell errors by their class."""

import asyncio

import pytest

from componentrun.errors import Reason, UserError
from componentrun.storage.store.gather import CONCURRENCY, gather_bounded


async def test_the_first_error_is_raised_as_it_is() -> None:
    async def fail(number: int) -> int:
        if number == 2:
            raise UserError("number two", Reason.INPUT_NOT_FOUND)
        return number

    with pytest.raises(UserError, match="number two"):
        await gather_bounded(fail, range(5))


async def test_results_come_in_the_order_of_the_items_and_no_more_than_the_bound_run_at_once() -> None:
    running = most = 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number * 2

    assert await gather_bounded(work, range(100)) == [number * 2 for number in range(100)]
    assert most <= CONCURRENCY
