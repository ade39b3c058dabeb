"""Several errors told as one."""

from __future__ import annotations

import pytest

from componentrun.errors import Reason, UserError, together, with_advice, without_advice


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


class TestAdvice:
    def test_of_several_errors_is_named_once_and_last(self) -> None:
        error = together(
            [
                UserError("a.csv: row 3 has 4 fields", advice="Quote the field."),
                UserError("b.csv: row 7 has 5 fields", advice="Quote the field."),
                UserError("c.csv is missing", advice="Write it."),
            ]
        )
        assert error.advice == "Quote the field. Write it."
        assert error.message == (
            "a.csv: row 3 has 4 fields. Also: b.csv: row 7 has 5 fields. Also: c.csv is missing. "
            "Quote the field. Write it."
        )

    @pytest.mark.parametrize(
        ("summary", "advice"), [("It failed.", "Try again."), ("Is it?", "Look."), ("It failed", "")]
    )
    def test_can_be_taken_off_a_message_again(self, summary: str, advice: str) -> None:
        assert without_advice(with_advice(summary, advice), advice) == summary

    def test_summary_and_advice_are_kept_apart_and_make_one_message(self) -> None:
        error = UserError("the table `t` has no column `a`", Reason.OUTPUT_INVALID, advice="Add the column.")
        assert error.summary == "the table `t` has no column `a`"
        assert error.advice == "Add the column."
        assert error.message == str(error) == "the table `t` has no column `a`. Add the column."

    def test_without_advice_the_message_is_the_summary(self) -> None:
        assert UserError("no such table").message == "no such table"
