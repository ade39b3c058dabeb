"""Which lines of a container belong together, as those of a stack trace do, and become one event. Pure.

A line joins the one before it where both are of the same stream, at most `_WINDOW` lies between them, the event stays
within its limits, and

- it is indented, or is one of the few lines that never stand alone (`Caused by:`, `... 12 more`, `goroutine 1 [...]`,
  `Traceback (most recent call last):`, `Stack trace:`), or
- the lines before are a stack trace of which it is known how it goes on: Python's exception behind the frames and the
  blank lines around "During handling of the above exception", Go's goroutines, R's calls, PHP's numbered frames.

Lines are held until it is certain that nothing joins them any more, and are given on all at once and in the order in
which they were read. So what was given on is always a beginning of the log, and a position behind it is exact.

Nearly all lines stand alone, and one look at their beginning says so. Such lines, one behind the other, become a
`Block` in a few steps for all of them together; every other line is taken by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun import contract
from componentrun.collector.readers.api.lines import KEPT_BYTES, SECOND
from componentrun.core.podstatus.printed import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.collector.readers.line import Line

    Released = tuple[Sequence["Group | Block"], Sequence[Line]]
    """Complete groups, and all of their lines as they were read."""

__all__ = ["Block", "Group", "Grouper"]

_WINDOW: Final = SECOND // 2
_MOST_LINES: Final = 500
"""Maximum number of held lines."""
_MOST_BYTES: Final = 512 * 1024
"""Approximate maximum of held bytes."""
_FEW: Final = 8
"""Minimum number of lines in a block; smaller ones cost more than they save."""

_JOINS: Final = re.compile(
    r"[ \t]+\S|(?:Traceback|Stack) \(most recent call last\):|Caused by: |\.\.\. \d+ (?:more|common)|goroutine \d+ \["
    r"|Stack trace:|\[stacktrace\]|stack backtrace:|note: run with `RUST_BACKTRACE"
    r"|The above exception was the direct cause of the following|During handling of the above exception, another"
)
"""Beginnings of lines that join any line."""
_JOIN_CHARACTERS: Final = frozenset(" \tTDC.gS[sn")
_KINDS: Final = (
    ("T \t", "python", re.compile(r"Traceback \(most recent call last\):|\s+File \".*\", line \d+")),
    ("TD", "python end", re.compile(r"The above exception was the direct|During handling of the above exception")),
    ("pfg", "go", re.compile(r"panic: |fatal error: |goroutine \d+ \[")),
    ("E", "r", re.compile(r"Error(?: in |: | : )")),
    ("PFS[", "php", re.compile(r"(?:PHP )?(?:Fatal|Parse) error: |Stack trace:|\[stacktrace\]")),
    ("{[", "json", re.compile(r"[{\[]$")),
    (" \t", "json", re.compile(r"\s+at .* [{\[]$")),
)
"""Lines that say which kind of text follows, and how they begin. Node shows an error's fields behind its last frame."""
_KINDS_OF: Final = {
    character: tuple((kind, line) for begins, kind, line in _KINDS if character in begins)
    for begins, _, _ in _KINDS
    for character in begins
}
_SPECIAL: Final = _JOIN_CHARACTERS | frozenset(_KINDS_OF)
"""A line that begins with any other character joins nothing but a text whose kind is known, and is of no kind."""
_STANDS_OUT: Final = re.compile("|".join([r"\{", _JOINS.pattern, *(begins.pattern for _, _, begins in _KINDS)]))
"""A line that may join another one, or another one it; or that may be an object of JSON."""
_PRINTABLE: Final = bytes(range(ord(" "), 0x7F))
_GOES_ON: Final = {
    # An exception, by its name: behind a stack that nobody raised stands the next line of the log.
    "python": re.compile(r"[^\W\d][\w.<>]*(?::(?: |$)|$)"),
    "python end": re.compile(
        r"$|During handling of the above exception, another|The above exception was the direct cause of the following"
    ),
    "go": re.compile(
        # A call: up to its first parenthesis in one way only, or a long line of parentheses would take minutes.
        r"$|[\w./*\[\](){},·-][\w./*\[\]){},·-]*\(.*\)$|created by |\[signal |\[recovered|exit status \d+$|panic: "
        r"|runtime stack:|[a-z]\w{1,6} +0x[0-9a-f]+$|\.\.\.(?:\d+|additional) frames elided"
    ),
    "r": re.compile(
        r"Calls: |Execution halted$|In addition: |In .* :|Backtrace:|Warning message|Caused by error|\d+[.:] |\W "
    ),
    "php": re.compile(r"$|#\d+ |Next |\[stacktrace\]|\[previous exception\]|\"} ?$"),
    "json": re.compile(r"[}\]]+,?$"),
}
"""What else joins a text of that kind."""


class Block(NamedTuple):
    """Consecutive lines that are an event each, with nothing but a message."""

    times: list[int]
    """As `Line.time`."""
    texts: list[str]
    """Readable texts, within the limit of a message."""

    @property
    def time(self) -> int:
        """Of the first line."""
        return self.times[0]

    @property
    def oldest(self) -> int:
        """The earliest time."""
        return min(self.times)

    @property
    def text(self) -> str:
        """All of them."""
        return "\n".join(self.texts)


class Group:
    """Lines that form one event, in the order in which they were read."""

    __slots__ = ("characters", "is_truncated", "kind", "last", "missing", "text", "texts", "time")

    def __init__(self, line: Line, text: str, kind: str = "") -> None:
        """Begin with its first line; `kind`: it goes on with a text of that kind, which had no room for it."""
        self.time = line.time
        self.last = line.time
        self.text = text
        """Of the first line; `message` is the whole."""
        self.texts: list[str] | None = None
        """All lines, where there are several."""
        self.characters = len(text)
        self.is_truncated = line.size > KEPT_BYTES
        """The end of the line is missing; none joins one that is so long."""
        self.missing = _missing(line, text) if self.is_truncated else 0
        self.kind = _kind_behind(kind, text) if kind or text[:1] in _KINDS_OF else ""

    @property
    def oldest(self) -> int:
        """The time that counts."""
        return self.time

    @property
    def message(self) -> str:
        """The lines as one text."""
        return self.text if self.texts is None else "\n".join(self.texts)

    def belongs(self, line: Line, text: str) -> bool:
        """Whether the line belongs to this group."""
        if self.kind:
            belongs = _JOINS.match(text) is not None or _goes_on(self.kind, text)
        else:
            belongs = text[:1] in _JOIN_CHARACTERS and _JOINS.match(text) is not None
        if not belongs or text[:1] == "{" or (self.text[:1] == "{" and self.kind != "json"):
            return False  # a line that is an object of JSON stands alone
        return abs(line.time - self.last) <= _WINDOW

    def has_room(self, text: str) -> bool:
        """Whether the message stays within the limit with this text."""
        return self.characters + 1 + len(text) <= contract.EVENT_MESSAGE_LIMIT

    def add(self, line: Line, text: str) -> None:
        """Add a line."""
        if self.texts is None:
            self.texts = [self.text]
        self.texts.append(text)
        self.characters += 1 + len(text)
        self.last = line.time
        self.kind = _kind_behind(self.kind, text)


class Grouper:
    """Holds the last lines of one container until it is known which of them belong together."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._lines: list[Line] = []
        self._groups: list[Group] = []
        self._open: dict[str | None, Group] = {}
        """The last group of each stream."""
        self._bytes = 0

    @property
    def holds(self) -> bool:
        """Whether lines are held."""
        return bool(self._lines)

    def take(self, line: Line) -> Released | None:
        """Take the next line. Returns the groups that are complete now, and all of their lines as they were read."""
        return self._take(line, readable(line.text))

    def take_all(self, lines: Sequence[Line]) -> Released:
        """Take many lines: the same as `take` for each of them."""
        groups: list[Group | Block] = []
        behind: list[Line] = []
        if len(lines) < _FEW:
            for line in lines:
                if (found := self.take(line)) is not None:
                    groups += found[0]
                    behind += found[1]
            return groups, behind
        texts, begin = _texts(lines), 0
        for end in [*_apart(lines, texts), len(lines)]:
            for released in self._take_stretch(lines[begin:end], texts[begin:end]):
                groups += released[0]
                behind += released[1]
            if end < len(lines) and (found := self._take(lines[end], texts[end])) is not None:
                groups += found[0]
                behind += found[1]
            begin = end + 1
        return groups, behind

    def _take(self, line: Line, text: str) -> Released | None:
        group = self._open.get(line.stream)
        belongs = group is not None and group.belongs(line, text)
        if group is not None and belongs and group.has_room(text):
            group.add(line, text)
            self._lines.append(line)
            self._bytes += line.size
            return None if len(self._lines) < _MOST_LINES and self._bytes < _MOST_BYTES else self.flush()
        released = self.flush() if self._lines and not self._waits(line) else None
        self._begin(line, text, group.kind if group is not None and belongs else "")
        return released

    def _take_stretch(self, lines: Sequence[Line], texts: list[str]) -> Iterator[Released]:
        """Lines none of which stands out: where no text of a known kind goes on, each of them ends what is held."""
        at = 0
        while at < len(lines) and any(group.kind for group in self._open.values()):
            if (released := self._take(lines[at], texts[at])) is not None:
                yield released
            at += 1
        if at == len(lines):
            return
        if self._lines:
            yield self.flush()
        if alone := lines[at:-1]:
            yield [Block([line.time for line in alone], texts[at:-1])], alone
        self._begin(lines[-1], texts[-1])

    def _begin(self, line: Line, text: str, kind: str = "") -> None:
        group = self._open[line.stream] = Group(line, text, kind)
        self._lines.append(line)
        self._groups.append(group)
        self._bytes += line.size

    @property
    def size(self) -> tuple[int, int]:
        """Number of held lines, and their bytes."""
        return len(self._lines), self._bytes

    def flush(self) -> Released:
        """Release all held lines, as nothing joins them any more."""
        released = self._groups, self._lines
        self._lines, self._groups, self._bytes = [], [], 0
        self._open.clear()
        return released

    def _waits(self, line: Line) -> bool:
        """Whether a stack trace of another stream goes on, as far as is known, and there is room to wait."""
        if len(self._open) + (line.stream not in self._open) < 2:  # noqa: PLR2004 - there is no other stream
            return False
        return (
            len(self._lines) < _MOST_LINES
            and self._bytes < _MOST_BYTES
            and any(
                stream != line.stream and group.kind and abs(line.time - group.last) <= _WINDOW
                for stream, group in self._open.items()
            )
        )


def _texts(lines: Sequence[Line]) -> list[str]:
    """All lines as readable text."""
    data = [line.text for line in lines]
    if b"".join(data).translate(None, _PRINTABLE):
        return [readable(text) for text in data]
    return [text.decode("ascii") for text in data]


def _apart(lines: Sequence[Line], texts: list[str]) -> list[int]:
    """Places of lines that can't be part of a block: they stand out, or are too long for a message."""
    apart = [at for at, text in enumerate(texts) if text[:1] in _SPECIAL and _STANDS_OUT.match(text)]
    most = contract.EVENT_MESSAGE_LIMIT
    if max(map(len, texts), default=0) > most or max([line.size for line in lines], default=0) > KEPT_BYTES:
        long = [at for at, line in enumerate(lines) if len(texts[at]) > most or line.size > KEPT_BYTES]
        apart = sorted({*apart, *long})
    return apart


def _missing(line: Line, text: str) -> int:
    """Estimated number of characters of a line that were not kept, from the ratio in the kept part."""
    if line.text[:1] == b"\r":
        return 0  # what was kept is what was written last over it (`lines.Splitter`)
    return (line.size - KEPT_BYTES) * len(text) // max(len(line.text), 1)


def _kind(text: str) -> str:
    return next((kind for kind, begins in _KINDS_OF.get(text[:1], ()) if begins.match(text)), "")


def _kind_behind(kind: str, text: str) -> str:
    """The kind of a text after one more line."""
    if kind == "python" and not text[:1].isspace() and not text.startswith("Traceback "):
        return "python end"
    return _kind(text) or kind


def _goes_on(kind: str, text: str) -> bool:
    return _GOES_ON[kind].match(text) is not None
