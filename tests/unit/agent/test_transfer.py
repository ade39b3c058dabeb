"""How long trouble with the store is borne."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.agent import transfer
from componentrun.agent.transfer import Client, Patience, Request
from componentrun.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST = Request("POST", "http://store.test/bucket", "out/tables/bar.csv")


class Line:
    """A connection on which a try takes its time, and the clock that tells so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float, failures: int) -> None:
        self.now = 0.0
        self.tries = 0
        self.client = Client(patience=Patience(stall=30.0, budget=120.0))

        def one_try(_request: Request, use: Callable[[Any], str]) -> str:
            self.tries += 1
            self.now += seconds
            if self.tries <= failures:
                raise ConnectionResetError
            return use(None)

        def wait(pause: float) -> None:
            self.now += pause

        monkeypatch.setattr(transfer, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(self.client, "_try", one_try)
        monkeypatch.setattr(self.client.stop, "wait", wait)

    def send(self) -> str:
        return self.client.send(REQUEST, lambda _: "etag")


def test_a_long_upload_that_breaks_off_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of 256 MiB takes ten minutes on a slow line; the store restarts just before its end."""
    line = Line(monkeypatch, seconds=600, failures=1)
    assert line.send() == "etag"
    assert line.tries == 2


@pytest.mark.parametrize(("seconds", "tries"), [(600, 2), (30, 4)])
def test_trouble_that_does_not_end_is_not_borne_for_ever(
    monkeypatch: pytest.MonkeyPatch, seconds: float, tries: int
) -> None:
    line = Line(monkeypatch, seconds, failures=1000)
    with pytest.raises(TransientError, match="the connection broke"):
        line.send()
    assert abs(line.tries - tries) <= 1
    assert line.now <= 120 + 2 * seconds
