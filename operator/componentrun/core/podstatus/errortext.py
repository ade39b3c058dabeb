"""The sentence of an error among the last lines that a program printed.

A person who started a run wants to read `AES method is not supported`, not the frames of the stack trace around it.
Each language's runtime prints an uncaught error in a form of its own; the forms were taken from the runtimes themselves
(tests/unit/core/endings.yaml). Text in no known form is returned unchanged, and so are lines behind a stack trace:
nothing that may be the cause is left out.

Lines are looked at one by one, each with patterns that can't backtrack: what is parsed here is anybody's output.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from componentrun.core.podstatus.results import CUT_MARK, capitalized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["error_sentence", "user_error_message"]

MAX_MESSAGE: Final = 4000
"""Characters of a user error's message: as many as the original of the interface shows."""

_MESSAGE_LINES: Final = 40
"""Lines that the message of an error may have, where its first line is looked for from a frame upwards."""
_KIND_AND_TEXT: Final = re.compile(r"(?P<kind>[^\W\d][\w.$<>\\]*)(?: \[\w+\])?(?:: (?P<text>.*))?$")
_PYTHON_FRAME: Final = re.compile(r'  File "')
_PYTHON_GROUP_FRAME: Final = re.compile(r'  \|   File "')
_IN_FILE: Final = re.compile(r" in /[^ ]*:\d+$| in [A-Z]:\\[^ ]*:\d+$")
_PHP_PLAIN: Final = re.compile(r"(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: +(?P<text>.*) in [^ ]+ on line \d+$")
_JAVA_FRAME: Final = re.compile(r"\tat |\t\.\.\. \d+ |Caused by: |\tSuppressed: ")
_JAVA_THREAD: Final = re.compile(r'Exception in thread "[^"]*" ')
_NODE_ERROR: Final = re.compile(r"(?:Uncaught )?[\w.$]*(?:Error|Exception)(?: \[\w+\])?: ")
_GO_TIME: Final = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? ")
_RUST: Final = re.compile(r"thread '[^']*'(?: \(\d+\))? panicked at ")
_RUBY: Final = re.compile(r"\S+:\d+:in .+$")
_EXIT_STATUS: Final = re.compile(r"exit status \d+$")
_MESSAGE_KEYS: Final = ("message", "msg")


class _Error(NamedTuple):
    """An error that was found in the lines."""

    text: str
    end: int
    """Number of the first line behind it."""


def user_error_message(words: str | None, who: str = "the component") -> str:
    """The message of a run whose component ended with exit code 1, which means that its user can mend it.

    Args:
        words: the end of what the component printed; None if it printed nothing.
        who: the component, or a processor.
    """
    who = capitalized(who)
    words = (words or "").removeprefix(f"{CUT_MARK}\n")
    if not words.strip():
        return f"{who} ended with exit code 1 and printed nothing. Its developer should have it say what is wrong."
    text = error_sentence(words)
    shown = text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + CUT_MARK
    return f"{who} ended with exit code 1: {shown}"


def error_sentence(printed: str) -> str:
    """What an error says in the last lines of a program, without its stack trace.

    Args:
        printed: the end of what was printed; its first line may be cut.

    Returns:
        The error's own text and whatever stands behind its stack trace; all of `printed` where there is no error in a
        known form.
    """
    lines = printed.replace("\r\n", "\n").strip("\n").rstrip().split("\n")
    for find in _FORMS:
        found = find(lines)
        if found is not None and found.text.strip():
            rest = [line for line in lines[found.end :] if line.strip()]
            return "\n".join([found.text.strip(), *rest])
    return printed.strip()


def _named(kind: str, text: str | None) -> str:
    """The message alone where it is a sentence; else with the kind of error, as in `KeyError: 'id'`."""
    short = kind.replace("\\", ".").rpartition(".")[2].rpartition("$")[2]
    if not text or not text.strip():
        return short
    return f"{short}: {text}" if " " not in text.strip() or short == "KeyError" else text


def _from_line(lines: Sequence[str]) -> str | None:
    """The error in lines that begin with `Kind: message`; None where they do not."""
    head = _KIND_AND_TEXT.match(lines[0])
    if head is None:
        return None
    text = "\n".join([head["text"] or "", *lines[1:]]).strip()
    return _named(head["kind"], text)


def _last(lines: Sequence[str], begins: Callable[[str], object]) -> int | None:
    """Number of the last line of which this holds."""
    return next((number for number in range(len(lines) - 1, -1, -1) if begins(lines[number])), None)


def _above(lines: Sequence[str], frame: int, is_head: Callable[[str], object]) -> int | None:
    """Number of the nearest line above a frame that begins an error."""
    first = max(frame - _MESSAGE_LINES, 0)
    return next((number for number in range(frame - 1, first - 1, -1) if is_head(lines[number])), None)


def _python(lines: Sequence[str]) -> _Error | None:
    """The exception behind the last frame; its message goes on to the end."""
    frame = _last(lines, _PYTHON_FRAME.match)
    if frame is None:
        return None
    for number in range(frame + 1, len(lines)):
        if lines[number].strip() and not lines[number].startswith(" "):
            text = _from_line(lines[number:])
            return None if text is None else _Error(text, len(lines))
    return None


def _python_group(lines: Sequence[str]) -> _Error | None:
    """The message of an exception group, and those of its members."""
    first = next((number for number, line in enumerate(lines) if _PYTHON_GROUP_FRAME.match(line)), None)
    if first is None:
        return None
    told = [line.lstrip(" |") for line in lines[first:] if "|" in line and not line.rpartition("| ")[2].startswith(" ")]
    texts = [text for line in told if (text := _from_line([line])) is not None]
    return _Error("\n".join(texts), len(lines)) if texts else None


def _php(lines: Sequence[str]) -> _Error | None:
    """An uncaught exception; of several, the last one was thrown while the others were handled."""
    trace = _last(lines, lambda line: line == "Stack trace:")
    if trace is None:
        number = _last(lines, _PHP_PLAIN.match)
        plain = None if number is None else _PHP_PLAIN.match(lines[number])
        return None if number is None or plain is None else _Error(plain["text"], number + 1)
    head = _above(lines, trace, lambda line: "Uncaught " in line or line.startswith("Next "))
    if head is None:
        return None
    end = next((n + 1 for n in range(trace, len(lines)) if lines[n].startswith("  thrown in ")), len(lines))
    first = lines[head].removeprefix("Next ").partition("Uncaught ")
    message = [first[2] or first[0], *lines[head + 1 : trace]]
    message[-1] = _IN_FILE.sub("", message[-1])
    text = _from_line(message)
    return None if text is None else _Error(text, end)


def _java(lines: Sequence[str]) -> _Error | None:
    """The exception above the last block of frames; where it has no message, that of its last cause."""
    last = _last(lines, lambda line: line.startswith("\tat "))
    if last is None:
        return None
    first = last
    while first and (_JAVA_FRAME.match(lines[first - 1]) or _cause_goes_on(lines, first - 1)):
        first -= 1
    head = _above(lines, first, lambda line: _JAVA_THREAD.match(line) or _is_java_error(line))
    text = None
    if head is not None:
        text = _from_line([_JAVA_THREAD.sub("", lines[head]), *lines[head + 1 : first]])
    if text is None or " " not in text:
        causes = [line.removeprefix("Caused by: ") for line in lines[first:last] if line.startswith("Caused by: ")]
        text = (_from_line(causes[-1:]) if causes else None) or text
    end = next((n for n in range(last + 1, len(lines)) if not _JAVA_FRAME.match(lines[n])), len(lines))
    return None if text is None else _Error(text, end)


def _cause_goes_on(lines: Sequence[str], number: int) -> bool:
    """Whether a line belongs to the message of a cause of several lines, so that frames stand above it, too."""
    cause = _above(lines, number + 1, lambda line: line.startswith(("Caused by: ", "\tat ")))
    return cause is not None and lines[cause].startswith("Caused by: ")


def _is_java_error(line: str) -> bool:
    kind = line.partition(":")[0]
    return "." in kind and " " not in kind and kind.rpartition(".")[2][:1].isupper()


def _dotnet(lines: Sequence[str]) -> _Error | None:
    head = _last(lines, lambda line: line.startswith("Unhandled exception. "))
    if head is None:
        return None
    frames = [number for number in range(head + 1, len(lines)) if lines[number].startswith(("   at ", " ---> "))]
    end = frames[0] if frames else len(lines)
    text = _from_line([lines[head].removeprefix("Unhandled exception. "), *lines[head + 1 : end]])
    return None if text is None else _Error(text, frames[-1] + 1 if frames else end)


def _node(lines: Sequence[str]) -> _Error | None:
    """The error above the last frames that are not those of its cause."""
    last = _last(lines, lambda line: line.startswith("    at "))
    if last is None:
        return None
    first = last
    while first and lines[first - 1].startswith(("    at ", "    ... ")):
        first -= 1
    before = max((number for number in range(first) if lines[number].startswith("    at ")), default=-1) + 1
    # The lines of a message may look like errors, so the nearest line that names a class of errors counts first.
    head = _above(lines[:first], first, _NODE_ERROR.match)
    if head is None or head < before:
        head = _above(lines, first, _KIND_AND_TEXT.match)
    if head is None or ": " not in lines[head]:
        return None
    version = _last(lines, lambda line: line.startswith("Node.js v"))
    text = _from_line([lines[head].removeprefix("Uncaught "), *lines[head + 1 : first]])
    return None if text is None else _Error(text, last + 1 if version is None else version + 1)


def _go(lines: Sequence[str]) -> _Error | None:
    """The first panic of the last ones, or the last line of Go's logger."""
    head = _last(lines, lambda line: line.startswith(("panic: ", "fatal error: ")))
    if head is not None and any(line.startswith("goroutine ") for line in lines[head + 1 :]):
        end = next(n for n in range(head + 1, len(lines)) if _ends_panic(lines[n]))
        text = "\n".join([lines[head].partition(": ")[2], *lines[head + 1 : end]])
        return _Error(text.replace(" [recovered]", ""), len(lines))
    last = len(lines) - 1
    if last > 0 and _EXIT_STATUS.match(lines[last]):  # of `go run`
        last -= 1
    logged = _GO_TIME.match(lines[last])
    return None if logged is None else _Error(lines[last][logged.end() :], len(lines))


def _ends_panic(line: str) -> bool:
    return not line.strip() or line.startswith(("goroutine ", "[signal ", "\tpanic: "))


def _rust(lines: Sequence[str]) -> _Error | None:
    head = _last(lines, _RUST.match)
    if head is None:
        return None
    ends = ("stack backtrace:", "note: ")
    end = next((n for n in range(head + 1, len(lines)) if lines[n].startswith(ends)), len(lines))
    return _Error("\n".join(lines[head + 1 : end]), len(lines))


def _r(lines: Sequence[str]) -> _Error | None:
    halted = _last(lines, lambda line: line == "Execution halted")
    if halted is None:
        return None
    head = _above(lines, halted, lambda line: line.startswith(("Error in ", "Error: ", "Error : ")))
    if head is None:
        return None
    separator = " : " if " : " in lines[head] + " " else ":"
    first = (lines[head] + " ").partition(separator)[2]
    more = [line for line in lines[head + 1 : halted] if not line.startswith("Calls: ")]
    return _Error("\n".join(line.strip() for line in [first, *more]), halted + 1)


def _ruby(lines: Sequence[str]) -> _Error | None:
    head = _last(lines, lambda line: _RUBY.match(line) and line.endswith(")") and "': " in line)
    if head is None or any(not line.startswith("\tfrom ") for line in lines[head + 1 :]):
        return None
    text, _, kind = lines[head].partition("': ")[2].removesuffix(")").rpartition(" (")
    return _Error(_named(kind, text), len(lines))


def _json(lines: Sequence[str]) -> _Error | None:
    """The message of a line of a structured log."""
    if not lines[-1].startswith("{"):
        return None
    try:
        document = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return None
    texts = [document[key] for key in _MESSAGE_KEYS if isinstance(document.get(key), str)]
    return _Error(texts[0], len(lines)) if texts else None


_FORMS: Final = (_json, _python_group, _python, _php, _java, _dotnet, _node, _go, _rust, _r, _ruby)
