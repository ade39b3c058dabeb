"""Events as the lines of a segment, for whoever writes very many of one run. Pure.

The same text as `events.encode_segment` makes of `Event` objects, without making them: a collector does this for every
line of every log, and a generic encoder takes most of its time.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["line_writer"]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def line_writer(
    run: str, component: str, configuration: str
) -> Callable[[int, str, str, str, dict[str, Any], str, int | None], str]:
    """What makes the lines of a run's events: of number, time, type, message, params, source and attempt.

    Args:
        run: uid.
        component: of the run.
        configuration: of the run.
    """
    begin = f'{{"id":{encode_basestring(run)[:-1]}-'
    middle = f'","run":{encode_basestring(run)},"component":{encode_basestring(component)},'
    middle += f'"configuration":{encode_basestring(configuration)},"type":"'
    ends: dict[tuple[str, int | None], str] = {}

    def end(source: str, attempt: int | None) -> str:
        about = "" if attempt is None else f',"attempt":{attempt}'
        return ends.setdefault((source, attempt), f',"source":{encode_basestring(source)}{about}}}\n')

    def write(
        seq: int, time: str, kind: str, message: str, params: dict[str, Any], source: str, attempt: int | None
    ) -> str:
        said = _ENCODER.encode(params) if params else "{}"
        tail = ends.get((source, attempt)) or end(source, attempt)
        text = encode_basestring(message)
        return f'{begin}{seq}","seq":{seq},"time":"{time}{middle}{kind}","message":{text},"params":{said}{tail}'

    return write
