"""Events as the lines of a segment, for whoever writes very many of one run. Pure.

The same text as `events.encode_segment` makes of `Event` objects, without making them: a collector does this for every
line of every log, and a generic encoder takes most of its time.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LineWriter"]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class LineWriter:
    """Makes the lines of one run's events."""

    def __init__(self, run: str, component: str, configuration: str) -> None:
        """Prepare what all of them have in common.

        Args:
            run: uid.
            component: of the run.
            configuration: of the run.
        """
        self._begin = f'{{"id":{encode_basestring(run)[:-1]}-'
        self._middle = f'","run":{encode_basestring(run)},"component":{encode_basestring(component)},'
        self._middle += f'"configuration":{encode_basestring(configuration)},"type":"'
        self._ends: dict[tuple[str, int | None], str] = {}

    def one(
        self, seq: int, time: str, kind: str, message: str, params: dict[str, Any], source: str, attempt: int | None
    ) -> str:
        """The line of one event."""
        said = _ENCODER.encode(params) if params else "{}"
        tail = self._ends.get((source, attempt)) or self._end(source, attempt)
        text = f'{kind}","message":{encode_basestring(message)},"params":{said}'
        return f'{self._begin}{seq}","seq":{seq},"time":"{time}{self._middle}{text}{tail}'

    def plain(self, seq: int, times: Sequence[str], messages: Sequence[str], source: str, attempt: int | None) -> str:
        """The lines of many events of type `info` without params, the first of which has this number."""
        begin, middle = self._begin, f'{self._middle}info","message":'
        tail = f',"params":{{}}{self._end(source, attempt)}'
        return "".join(
            [
                f'{begin}{at}","seq":{at},"time":"{time}{middle}{encode_basestring(message)}{tail}'
                for at, (time, message) in enumerate(zip(times, messages, strict=True), seq)
            ]
        )

    def _end(self, source: str, attempt: int | None) -> str:
        about = "" if attempt is None else f',"attempt":{attempt}'
        return self._ends.setdefault((source, attempt), f',"source":{encode_basestring(source)}{about}}}\n')
