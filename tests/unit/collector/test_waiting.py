"""In which order events stand in a segment, in whatever portions they came."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from componentrun.collector.events.pending import Entry, PendingEvents, PlainEvents
from componentrun.collector.readers.structure import EventContent

portions = st.lists(
    st.tuples(
        st.sampled_from(["one", "one", "block", "entry", "last"]),
        st.lists(st.integers(1, 12), min_size=1, max_size=4),
        st.sampled_from(["component", "component", "component", "operator"]),
        st.sampled_from([1, 1, None]),
    ),
    max_size=12,
)


def added(waiting: PendingEvents, portion: tuple[str, list[int], str, int | None], number: int) -> list[Entry]:
    """Hand it in; the events that it is."""
    how, times, source, attempt = portion
    if how == "block":
        messages = [f"{number}.{at}" for at in range(len(times))]
        waiting.add(PlainEvents(list(times), list(messages), source, attempt))
        said = zip(times, messages, strict=True)
        return [Entry(time, EventContent("info", message), source, attempt) for time, message in said]
    entry = Entry(times[0], EventContent("info", str(number)), source, attempt)
    if how == "one":
        waiting.add_plain(entry.time, entry.what.message, source, attempt)
    else:
        waiting.add(entry, last=how == "last")
    return [entry]


@settings(max_examples=500)
@given(portions)
def test_each_source_keeps_its_order_and_all_stand_by_their_times(
    portions: list[tuple[str, list[int], str, int | None]],
) -> None:
    waiting = PendingEvents()
    expected: list[tuple[int, Entry]] = []
    latest: dict[str, int] = {}
    for number, portion in enumerate(portions):
        for entry in added(waiting, portion, number):
            place = 2**63 if portion[0] == "last" else max(latest.get(entry.source, 0), entry.time)
            latest[entry.source] = place
            expected.append((place, entry))
    assert waiting.count == len(expected)
    taken = [part.entry(at) for part in waiting.take() for at in range(part.amount)]
    assert taken == [entry for _, entry in sorted(expected, key=lambda item: item[0])]
    assert (waiting.count, waiting.take()) == (0, ())


def test_events_that_say_nothing_but_their_message_are_kept_together() -> None:
    waiting = PendingEvents()
    for time in (1, 3, 2):
        waiting.add_plain(time, str(time), "component", 1)
    assert waiting.take() == (PlainEvents([1, 3, 2], ["1", "3", "2"], "component", 1),)
