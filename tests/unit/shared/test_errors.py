"""Several errors told as one."""

from __future__ import annotations

import pytest

from componentrun.errors import Reason, UserError, together


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (1, "0: wrong"),
        (2, "0: wrong. Also: 1: wrong."),
        (10, "0: wrong. " + " ".join(f"Also: {i}: wrong." for i in range(1, 10))),
        (12, "0: wrong. " + " ".join(f"Also: {i}: wrong." for i in range(1, 10)) + " And 2 more."),
    ],
)
def test_ten_of_several_errors_are_told_with_the_reason_of_the_first(count: int, message: str) -> None:
    reasons = [Reason.OUTPUT_INVALID, *[Reason.OUTPUT_MISSING] * count]
    error = together([UserError(f"{i}: wrong", reasons[i]) for i in range(count)])
    assert (error.message, error.reason) == (message, Reason.OUTPUT_INVALID)


def test_a_sentence_that_ends_by_itself_gets_no_second_point() -> None:
    assert together([UserError("Is it?"), UserError("It is.")]).message == "Is it? Also: It is."
