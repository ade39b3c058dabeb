r"""Takes a run's secret values out of what goes into events and statuses. Pure.

Found are a value as it is, in hexadecimal, and in base64 (alone, in lines, or inside a longer text, e.g.
`user:password`); each of them also in whatever way a program has escaped it, and one escape within another (`escapes`:
JSON, URLs, HTML, shells, source text). Besides, what makes a signed URL a capability, and secrets that are known by
their form (`shapes`). Of a value with several lines, each line is a value too: a component prints a private key
line by line.

Values shorter than `SHORTEST` characters are not redacted: `1`, `no` or `dev` as a "secret" would make every event
unreadable and hide nothing, as the gaps would show the value.

Whether there is anything to hide is asked for every line of every log, so it is asked with the few shortest texts that
tell (`_probes`); where a secret stands is looked for only where one is.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.core.podstatus.printed import plain
from componentrun.core.redact.escapes import readings, spells
from componentrun.core.redact.shapes import may_hold_secret, secret_spans, shows_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DEEPEST", "MARK", "SHORTEST", "Redactor", "marked"]

MARK: Final = "[redacted]"
SHORTEST: Final = 4
_SHORTEST_INNER_BASE64: Final = 6
"""Below this, the part of a base64 text that depends on the value alone is too short to be told from other words."""
_FEW: Final = 100
"""Probes that are looked for one by one in a text as short as a line; in a long text, four times as many."""
_LONG: Final = 4096
_FEW_LINES: Final = 8
"""Of a value: each may be used by itself, as user and password are."""
_LONGEST_ESCAPE: Final = 10
"""Characters; what may be left of one where a text was cut within it."""
_MOST_FOR_CHARACTER: Final = 3 * _LONGEST_ESCAPE
"""Characters that one of a form may take, with escapes within escapes."""
_ESCAPE_SIGNS: Final = frozenset("\\%&")
_SIGNATURES: Final = frozenset({"x-amz-signature", "x-amz-credential", "x-amz-security-token"})
_SIGNED: Final = re.compile(
    rf"((?:{'|'.join(_SIGNATURES)})[\"']?\s*(?:[=:]|%3D)\s*[\"']?)[^&\s\"'`,}}]+", re.IGNORECASE
)
"""What makes a URL a capability: an agent's message may quote one."""
_WRAPS: Final = (76, 64)
"""Columns at which programs wrap base64."""
_PLAIN: Final = re.compile("[A-Za-z0-9]*")
_TOO_DEEP: Final = "[left out: too deep]"
DEEPEST: Final = 20
"""Levels of a JSON value; what lies deeper is replaced as a whole."""


class Redactor:
    """Knows the secret values of one run, and never shows them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Learn the values."""
        self._values: set[str] = set()
        self._forms: set[str] = set()
        self._forms_by_head: dict[str, list[str]] = {}
        self._forms_with: dict[str, set[str]] = {}
        """The forms that each probe stands in."""
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Hide these values, too."""
        new = set(values) - self._values
        self._values |= new
        # Text is looked through without control characters, so values are looked for without them, too.
        for value in new | {plain(value) for value in new if not value.isprintable()}:
            for part, encoded in _parts(value):
                forms = {form for form in (_forms(part) if encoded else _quoted(part)) if len(form) >= SHORTEST}
                for form in forms - self._forms:
                    self._forms_by_head.setdefault(form[:SHORTEST], []).append(form)
                self._forms |= forms
                for probe, those in _least(forms).items():
                    self._forms_with.setdefault(probe, set()).update(those)
        self._longest = max(map(len, self._forms), default=0)
        self._probes = probes = tuple(self._forms_with)
        self._anchors = tuple({max(_PLAIN.findall(probe), key=len) for probe in probes})
        """Of each probe, what an escape leaves as it is, mostly."""
        self._heads: dict[str, list[str]] = {}
        for probe in probes:
            self._heads.setdefault(probe[:SHORTEST], []).append(probe)

    def __repr__(self) -> str:
        """How much it knows, not what."""
        return f"Redactor({len(self._forms)} forms)"

    def text(self, text: str, *, cut_before: bool = False, cut_behind: bool = False) -> str:
        """The text with a mark in place of each secret; secrets that overlap or touch get one mark together.

        Args:
            text: what may hold secrets.
            cut_before: something is missing before the text, so it may begin with the end of a secret.
            cut_behind: something is missing behind it, so it may end with the begin of one.
        """
        lowered = text.lower()
        if "amz" in lowered and _SIGNED.search(text):
            text = _SIGNED.sub(rf"\1{MARK}", text)
        found = list(secret_spans(text)) if may_hold_secret(text, lowered) else []
        if not self._probes:
            return marked(text, sorted(found)) if found else text
        if not cut_before and not cut_behind and not self._may_escape(text):
            if not self._clean(text):
                found += self._found_in(text)
            return marked(text, sorted(found)) if found else text
        whole = list(readings(text))
        for reading in whole:
            spans = [] if self._clean(reading.text) else list(self._found_in(reading.text))
            if cut_before:
                spans += _heads(reading.text, self._forms, cut_behind=cut_behind)
            found += [reading.original(*span) for span in spans]
        if cut_behind:
            found += [(begin, len(text)) for begin in self._tails(text)]
        return marked(text, sorted(found)) if found else text

    def _tails(self, text: str) -> Iterator[int]:
        """Where a form begins that goes on behind the end of the text, which may be in the middle of an escape.

        Only the end of the text is read, as much as the longest form can take: reading all of a long line ten times
        would hold up all other runs.
        """
        before = max(len(text) - _MOST_FOR_CHARACTER * self._longest, 0)
        tail = text[before:]
        for end in range(len(tail), max(len(tail) - _LONGEST_ESCAPE, 0), -1):
            if end == len(tail) or tail[end] in _ESCAPE_SIGNS:
                for reading in readings(tail[:end]):
                    begin = self._begin_at_end(reading.text)
                    if begin is not None:
                        yield before + reading.original(begin, len(reading.text))[0]

    def _begin_at_end(self, text: str) -> int | None:
        """The first place where a form begins that is longer than the rest of the text."""
        for at in range(max(len(text) - self._longest, 0), len(text) - SHORTEST + 1):
            for form in self._forms_by_head.get(text[at : at + SHORTEST], ()):
                if len(form) > len(text) - at and form.startswith(text[at:]):
                    return at
        return None

    def untouched(self, text: str) -> bool:
        """Whether it is certain, and quickly known, that `text` would leave this as it is: of many lines at once.

        Of lines that are joined by newlines it holds for each; and for whatever is read in them, unless they hold a
        backslash (see `escapes`).
        """
        return not self._probes_or_signs(text)

    def _probes_or_signs(self, text: str) -> bool:
        lowered = text.lower()
        if "amz" in lowered or may_hold_secret(text, lowered):
            return True
        return bool(self._probes) and (self._may_escape(text) or not self._clean(text))

    def _may_escape(self, text: str) -> bool:
        """Whether the text may hold a form that is escaped: as a rule, letters and digits of it stand as they are."""
        if "\\" not in text and "%" not in text and "&" not in text:
            return False
        for anchor in self._anchors:
            if anchor in text:
                return True
        return spells(text)

    def _clean(self, text: str) -> bool:
        """Whether the text, as it stands, holds no form of any value."""
        probes = self._probes
        if self._looks_for_each(text):
            for probe in probes:  # noqa: SIM110 - a generator would take twice the time, for every line of every log
                if probe in text:
                    return False
            return True
        return not any(probe in text for probe in self._likely(text))

    def _found_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Where forms stand. Of the forms of all values only those are looked for that have a probe in the text."""
        found = [
            probe for probe in (self._probes if self._looks_for_each(text) else self._likely(text)) if probe in text
        ]
        return _spans(text, set().union(*[self._forms_with[probe] for probe in found]))

    def _looks_for_each(self, text: str) -> bool:
        probes = len(self._probes)
        return probes <= _FEW or (len(text) > _LONG and probes <= 4 * _FEW)

    def _likely(self, text: str) -> Iterator[str]:
        """Probes whose begin is in the text. Of many, that is quicker than to look for each."""
        heads = self._heads.keys() & {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)}
        return (probe for head in heads for probe in self._heads[head])

    def value(self, value: Any, depth: int = 0) -> Any:
        """A JSON value with every text in it redacted, keys too. A number that shows a secret becomes a mark."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict | list):
            return self._collection(value, depth) if depth < DEEPEST else _TOO_DEEP
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self._clean(repr(value)) else MARK
        return value

    def _collection(self, value: dict[str, Any] | list[Any], depth: int) -> dict[str, Any] | list[Any]:
        if isinstance(value, list):
            return [self.value(item, depth + 1) for item in value]
        return {
            self.text(str(key)): MARK if _names_secret(str(key), item) else self.value(item, depth + 1)
            for key, item in value.items()
        }


def _names_secret(name: str, value: Any) -> bool:
    """Whether a field of this name holds a secret, whatever its value looks like."""
    return name.lower() in _SIGNATURES or (isinstance(value, str) and shows_secret(name, value))


def _parts(value: str) -> Iterator[tuple[str, bool]]:
    """The value and its lines, and whether they are looked for encoded: nobody encodes one line of a private key."""
    whole = {value, value.strip()}
    for part in whole:
        yield part, True
    lines = {line.strip() for line in value.splitlines()} - whole
    for line in lines:
        if len(line) >= SHORTEST:
            yield line, len(lines) <= _FEW_LINES


def _forms(value: str) -> Iterator[str]:
    yield from _quoted(value)
    data = value.encode(errors="surrogatepass")
    yield data.hex()
    yield data.hex().upper()
    yield from _base64(data)


def _quoted(value: str) -> Iterator[str]:
    """The value as it is, and what is done to it without an escape, or with one that can be read in two ways."""
    yield value
    if " " in value:
        yield value.replace(" ", "+")
    if '"' in value:
        yield value.replace('"', '""')
    if "'" in value:
        for quoted in ("''", "'\\''", "'\"'\"'"):
            yield value.replace("'", quoted)
    if not value.isascii():
        yield ascii(value)[1:-1]
    if "\n" in value:
        yield value.replace("\n", "\r\n")
        yield value.replace("\r\n", "\n")


def _base64(data: bytes) -> Iterator[str]:
    """Alone, and what is the same of it in any longer text: base64 takes three bytes at a time, so there are three."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode("ascii")
        yield encode(data).decode("ascii").rstrip("=")
        yield from _wrapped(encode(data).decode("ascii"))
        yield from _wrapped(encode(data + b"\n").decode("ascii"))
        for before in (0, 1, 2):
            whole = encode(b"\0" * before + data).decode("ascii").rstrip("=")
            first = -(-before * 8 // 6)
            last = (before + len(data)) * 8 // 6
            inner = whole[first:last]
            if len(inner) >= _SHORTEST_INNER_BASE64:
                yield inner


def _wrapped(encoded: str) -> Iterator[str]:
    """The lines of a text that is printed in several."""
    for columns in _WRAPS:
        for at in range(0, len(encoded) if len(encoded) > columns else 0, columns):
            piece = encoded[at : at + columns].rstrip("=")
            if len(piece) >= _SHORTEST_INNER_BASE64:
                yield piece


def _least(forms: Iterable[str]) -> dict[str, list[str]]:
    """Those that stand in all others, each with these: where none of them is, none of the forms is.

    A long value has thousands of forms. They are compared with the shortest of these alone: more than the least tell as
    well, and comparing each with each would hold up everybody for minutes.
    """
    least: dict[str, list[str]] = {}
    shortest: list[str] = []
    for form in sorted(forms, key=len):
        probe = next((probe for probe in shortest if probe in form), form)
        if probe is form and len(shortest) < _FEW:
            shortest.append(form)
        least.setdefault(probe, []).append(form)
    return least


def _spans(text: str, forms: Iterable[str]) -> Iterator[tuple[int, int]]:
    for form in forms:
        at = text.find(form)
        while at >= 0:
            yield at, at + len(form)
            at = text.find(form, at + 1)


def _heads(text: str, forms: Iterable[str], *, cut_behind: bool) -> Iterator[tuple[int, int]]:
    """Where the text begins with the end of a form, be it behind the rest of an escape."""
    for form in forms:
        if cut_behind and len(text) >= SHORTEST and text in form:
            yield 0, len(text)
        for at in range(_LONGEST_ESCAPE):
            if size := _overlap(form, text[at:]):
                yield 0, at + size


def _overlap(first: str, second: str) -> int:
    """How much of the end of the one is the begin of the other; 0 where it is too little to be told."""
    at = first.find(second[:SHORTEST], max(len(first) - len(second) + 1, 0)) if len(second) >= SHORTEST else -1
    while at >= 0:
        if second.startswith(first[at:]):
            return len(first) - at
        at = first.find(second[:SHORTEST], at + 1)
    return 0


def marked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with one mark in place of all spans, which are sorted, that overlap or touch."""
    parts, at = [], 0
    for begin, end in _merged(spans):
        parts += [text[at:begin], MARK]
        at = end
    return "".join(parts) + text[at:]


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    begin, end = spans[0]
    for next_begin, next_end in spans[1:]:
        if next_begin > end:
            yield begin, end
            begin, end = next_begin, next_end
        else:
            end = max(end, next_end)
    yield begin, end
