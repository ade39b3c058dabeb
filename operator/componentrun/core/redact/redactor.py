r"""Redact a run's secret values in the text of events and statuses. Pure.

A value is found as plain text, in hexadecimal, and in base64 (alone, wrapped in lines, or inside a longer text such as
`user:password`). Each of these forms is also found if a program has escaped it, even with nested escapes (`escapes`:
JSON, URLs, HTML, shells, source code). The signatures of signed URLs, and secrets that are recognised by their form
(`shapes`), are redacted as well. If a value has several lines, each line counts as a value, because components print
private keys line by line.

Values shorter than `SHORTEST` characters are not redacted: `1`, `no` or `dev` as a "secret" would make every event
unreadable and hide nothing, because the gaps would reveal the value.

Every line of every log is checked for secrets. To make this fast, a line is first searched for a few short texts, at
least one of which is in every form (`_probes`). Only if one is found, the positions of secrets are searched.
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
"""Minimum length of the part of a base64 text that depends only on the value. A shorter part could be an ordinary
word."""
_FEW: Final = 100
"""Maximum number of probes to search one by one in a short text. For a long text, the limit is four times as large."""
_LONG: Final = 4096
_FEW_LINES: Final = 8
"""Maximum number of lines of a value whose encoded forms are searched. Each may be used alone, such as a password."""
_LONGEST_ESCAPE: Final = 10
"""Maximum number of characters of an escape. If a text was cut within one, fewer remain."""
_MOST_FOR_CHARACTER: Final = 3 * _LONGEST_ESCAPE
"""Maximum number of characters for one character of a form, with nested escapes."""
_ESCAPE_SIGNS: Final = frozenset("\\%&")
_SIGNATURES: Final = frozenset({"x-amz-signature", "x-amz-credential", "x-amz-security-token"})
_SIGNED: Final = re.compile(
    rf"((?:{'|'.join(_SIGNATURES)})[\"']?\s*(?:[=:]|%3D)\s*[\"']?)[^&\s\"'`,}}]+", re.IGNORECASE
)
"""The parts of a signed URL that grant access. An agent's message may quote such a URL."""
_WRAPS: Final = (76, 64)
"""Columns at which programs wrap base64."""
_PLAIN: Final = re.compile("[A-Za-z0-9]*")
_TOO_DEEP: Final = "[left out: too deep]"
DEEPEST: Final = 20
"""Maximum depth of a JSON value. Deeper values are replaced as a whole."""


class Redactor:
    """Redacts the secret values of one run."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        """Learn the values."""
        self._values: set[str] = set()
        self._forms: set[str] = set()
        self._forms_by_head: dict[str, list[str]] = {}
        self._forms_with: dict[str, set[str]] = {}
        """The forms that contain each probe."""
        self.learn(values)

    def learn(self, values: Iterable[str]) -> None:
        """Add values to redact."""
        new = set(values) - self._values
        self._values |= new
        # Texts are searched without control characters, so control characters are also removed from the values.
        for value in new | {plain(value) for value in new if not value.isprintable()}:
            for part, is_encoded in _parts(value):
                forms = {form for form in (_forms(part) if is_encoded else _quoted(part)) if len(form) >= SHORTEST}
                for form in forms - self._forms:
                    self._forms_by_head.setdefault(form[:SHORTEST], []).append(form)
                self._forms |= forms
                for probe, forms_of_probe in _least(forms).items():
                    self._forms_with.setdefault(probe, set()).update(forms_of_probe)
        self._longest = max(map(len, self._forms), default=0)
        self._probes = probes = tuple(self._forms_with)
        self._anchors = tuple({max(_PLAIN.findall(probe), key=len) for probe in probes})
        """The part of each probe that most escapes do not change."""
        self._heads: dict[str, list[str]] = {}
        for probe in probes:
            self._heads.setdefault(probe[:SHORTEST], []).append(probe)

    def __repr__(self) -> str:
        """The number of known forms, without the values."""
        return f"Redactor({len(self._forms)} forms)"

    def text(self, text: str, *, cut_before: bool = False, cut_behind: bool = False) -> str:
        """Replace each secret in a text with a mark. Secrets that overlap or touch get one mark together.

        Args:
            text: a text that may contain secrets.
            cut_before: whether the beginning of the text was cut off, so that it may begin with the end of a secret.
            cut_behind: whether the end of the text was cut off, so that it may end with the beginning of a secret.
        """
        lowered = text.lower()
        if "amz" in lowered and _SIGNED.search(text):
            text = _SIGNED.sub(rf"\1{MARK}", text)
        spans_found = list(secret_spans(text)) if may_hold_secret(text, lowered) else []
        if not self._probes:
            return marked(text, sorted(spans_found)) if spans_found else text
        if not cut_before and not cut_behind and not self._may_escape(text):
            if not self._clean(text):
                spans_found += self._found_in(text)
            return marked(text, sorted(spans_found)) if spans_found else text
        candidates = list(readings(text))
        for candidate in candidates:
            spans = [] if self._clean(candidate.text) else list(self._found_in(candidate.text))
            if cut_before:
                spans += _heads(candidate.text, self._forms, cut_behind=cut_behind)
            spans_found += [candidate.original(*span) for span in spans]
        if cut_behind:
            spans_found += [(begin, len(text)) for begin in self._tails(text)]
        return marked(text, sorted(spans_found)) if spans_found else text

    def _tails(self, text: str) -> Iterator[int]:
        """Positions of forms that continue after the end of the text, which may have been cut within an escape.

        Only the end of the text is read, up to the length of the longest form: reading a long line ten times would
        delay all other runs.
        """
        start = max(len(text) - _MOST_FOR_CHARACTER * self._longest, 0)
        tail = text[start:]
        for end in range(len(tail), max(len(tail) - _LONGEST_ESCAPE, 0), -1):
            if end == len(tail) or tail[end] in _ESCAPE_SIGNS:
                for reading in readings(tail[:end]):
                    begin = self._begin_at_end(reading.text)
                    if begin is not None:
                        yield start + reading.original(begin, len(reading.text))[0]

    def _begin_at_end(self, text: str) -> int | None:
        """The first position at which a form begins that is longer than the rest of the text."""
        for position in range(max(len(text) - self._longest, 0), len(text) - SHORTEST + 1):
            for form in self._forms_by_head.get(text[position : position + SHORTEST], ()):
                if len(form) > len(text) - position and form.startswith(text[position:]):
                    return position
        return None

    def untouched(self, text: str) -> bool:
        """Whether `text` would certainly not change this text. Fast enough for many lines at once.

        If lines are joined by newlines, the result applies to each of them. It also applies to their decoded values,
        unless they contain a backslash (see `escapes`).
        """
        return not self._probes_or_signs(text)

    def _probes_or_signs(self, text: str) -> bool:
        lowered = text.lower()
        if "amz" in lowered or may_hold_secret(text, lowered):
            return True
        return bool(self._probes) and (self._may_escape(text) or not self._clean(text))

    def _may_escape(self, text: str) -> bool:
        """Whether the text may contain an escaped form. Letters and digits usually remain unescaped."""
        if "\\" not in text and "%" not in text and "&" not in text:
            return False
        for anchor in self._anchors:
            if anchor in text:
                return True
        return spells(text)

    def _clean(self, text: str) -> bool:
        """Whether the text contains no form of any value, without decoding escapes."""
        probes = self._probes
        if self._looks_for_each(text):
            for probe in probes:  # noqa: SIM110 - a generator takes twice the time, and this runs for every log line
                if probe in text:
                    return False
            return True
        return not any(probe in text for probe in self._likely(text))

    def _found_in(self, text: str) -> Iterator[tuple[int, int]]:
        """Spans of forms in the text. Only forms with a probe in the text are searched."""
        probes = [
            probe for probe in (self._probes if self._looks_for_each(text) else self._likely(text)) if probe in text
        ]
        return _spans(text, set().union(*[self._forms_with[probe] for probe in probes]))

    def _looks_for_each(self, text: str) -> bool:
        probes = len(self._probes)
        return probes <= _FEW or (len(text) > _LONG and probes <= 4 * _FEW)

    def _likely(self, text: str) -> Iterator[str]:
        """Probes whose first characters are in the text. With many probes, this is faster than searching each."""
        heads = self._heads.keys() & {
            text[position : position + SHORTEST] for position in range(len(text) - SHORTEST + 1)
        }
        return (probe for head in heads for probe in self._heads[head])

    def value(self, value: Any, depth: int = 0) -> Any:
        """Redact all strings in a JSON value, including keys. A number that contains a secret becomes a mark."""
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
    """Whether a field contains a secret according to its name."""
    return name.lower() in _SIGNATURES or (isinstance(value, str) and shows_secret(name, value))


def _parts(value: str) -> Iterator[tuple[str, bool]]:
    """The value and its lines, each with whether to search its encoded forms.

    If a value has many lines, as a private key does, its single lines are not searched in encoded forms.
    """
    values = {value, value.strip()}
    for part in values:
        yield part, True
    lines = {line.strip() for line in value.splitlines()} - values
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
    """The value itself, and variants with doubled quotes and other changes that `escapes` does not decode."""
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
    """Base64 forms of the value alone, and the constant part of its base64 form inside a longer text.

    Base64 encodes three bytes at a time, so there are three such parts, one for each alignment.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode("ascii")
        yield encode(data).decode("ascii").rstrip("=")
        yield from _wrapped(encode(data).decode("ascii"))
        yield from _wrapped(encode(data + b"\n").decode("ascii"))
        for shift in (0, 1, 2):
            text = encode(b"\0" * shift + data).decode("ascii").rstrip("=")
            first = -(-shift * 8 // 6)
            last = (shift + len(data)) * 8 // 6
            inner = text[first:last]
            if len(inner) >= _SHORTEST_INNER_BASE64:
                yield inner


def _wrapped(text: str) -> Iterator[str]:
    """The lines of a base64 text that is wrapped at the usual widths."""
    for columns in _WRAPS:
        for position in range(0, len(text) if len(text) > columns else 0, columns):
            piece = text[position : position + columns].rstrip("=")
            if len(piece) >= _SHORTEST_INNER_BASE64:
                yield piece


def _least(forms: Iterable[str]) -> dict[str, list[str]]:
    """Probes and the forms that contain them. A text without any probe contains none of the forms.

    A long value has thousands of forms, which are compared only with the shortest ones. This may return more probes
    than necessary, but comparing all pairs would take minutes.
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
        position = text.find(form)
        while position >= 0:
            yield position, position + len(form)
            position = text.find(form, position + 1)


def _heads(text: str, forms: Iterable[str], *, cut_behind: bool) -> Iterator[tuple[int, int]]:
    """Spans at the beginning of the text that are the end of a form, possibly after the rest of an escape."""
    for form in forms:
        if cut_behind and len(text) >= SHORTEST and text in form:
            yield 0, len(text)
        for position in range(_LONGEST_ESCAPE):
            if size := _overlap(form, text[position:]):
                yield 0, position + size


def _overlap(first: str, second: str) -> int:
    """Length of the end of `first` that is the beginning of `second`; 0 if it is shorter than `SHORTEST`."""
    position = first.find(second[:SHORTEST], max(len(first) - len(second) + 1, 0)) if len(second) >= SHORTEST else -1
    while position >= 0:
        if second.startswith(first[position:]):
            return len(first) - position
        position = first.find(second[:SHORTEST], position + 1)
    return 0


def marked(text: str, spans: list[tuple[int, int]]) -> str:
    """Replace sorted spans of a text with marks. Spans that overlap or touch get one mark together."""
    parts, position = [], 0
    for begin, end in _merged(spans):
        parts += [text[position:begin], MARK]
        position = end
    return "".join(parts) + text[position:]


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    begin, end = spans[0]
    for next_begin, next_end in spans[1:]:
        if next_begin > end:
            yield begin, end
            begin, end = next_begin, next_end
        else:
            end = max(end, next_end)
    yield begin, end
