"""Cost of searching a line without secrets for one value, for ten values, and for a private key."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from benchmarks.harness.interleave import figures, interleave
from componentrun.core.redact.redactor import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["redaction"]

_ROUNDS: Final = 2_000
_BATCH: Final = 256
_LINE: Final = (
    "2026-01-01 INFO loading table in.c-main.orders: 1200 rows of 3 columns in 1.2 seconds, next page follows"
)
_ESCAPED: Final = (
    'GET https://example.com/a%20b/c?x=1&y=2%2F3 answered {\\"status\\": 200, \\"rows\\": 1200} in 35 ms, next page'
)
_KEY_LINES: Final = (f"{number:02}kqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ/+kqhkiG9w0BAQEFAASCBKgw" for number in range(26))
_VALUES: Final = {
    "one": ("correct-horse-battery-staple",),
    "ten": tuple(f"{number}-wJalrXUtnFEMI/K7MDENG+bPxRfiCY" for number in range(10)),
    "key": ("\n".join(["-----BEGIN PRIVATE KEY-----", *_KEY_LINES, "-----END PRIVATE KEY-----"]),),
}


def redaction(_: Testbed, repeats: int) -> list[Figure]:
    """CPU microseconds for a line: single lines, lines with escapes, and many lines at once, as in a busy log."""
    return figures(interleave([_measure], repeats), "µs")


def _measure() -> dict[str, float]:
    return {
        f"collector.redaction.{name}.{how}": value
        for name, values in _VALUES.items()
        for how, value in _costs(Redactor(values)).items()
    }


def _costs(redactor: Redactor) -> dict[str, float]:
    batch = "\n".join([_LINE] * _BATCH)
    return {
        "line": _microseconds(lambda: redactor.text(_LINE)),
        "escaped": _microseconds(lambda: redactor.text(_ESCAPED)),
        "batch": _microseconds(lambda: redactor.untouched(batch), 20) / _BATCH,
    }


def _microseconds(action: Callable[[], object], rounds: int = _ROUNDS) -> float:
    begun = time.process_time()
    for _ in range(rounds):
        action()
    return (time.process_time() - begun) / rounds * 1e6
