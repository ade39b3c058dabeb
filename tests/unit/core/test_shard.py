"""Which shard owns a namespace, and which Leases belong to another number of shards."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.lease.shard import WHOLE, Shard, shard_of

NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
COUNTS = st.integers(1, 64)


@given(NAMESPACES, COUNTS)
def test_each_namespace_has_exactly_one_owner(namespace: str, count: int) -> None:
    owners = [number for number in range(count) if Shard(number, count).owns(namespace)]
    assert owners == [shard_of(namespace, count)]


@pytest.mark.parametrize(
    ("namespace", "of_two", "of_three", "of_sixteen"),
    [("default", 0, 0, 2), ("team-a", 0, 0, 6), ("team-b", 1, 1, 3), ("", 0, 0, 4)],
)
def test_the_owner_never_changes_between_releases(namespace: str, of_two: int, of_three: int, of_sixteen: int) -> None:
    """Operators of two releases run at the same time during an upgrade."""
    assert [shard_of(namespace, count) for count in (2, 3, 16)] == [of_two, of_three, of_sixteen]


def test_names_that_differ_in_their_last_character_are_spread() -> None:
    """Namespaces are often numbered."""
    counts = Counter(shard_of(f"team-{number}", 16) for number in range(1600))
    assert set(counts) == set(range(16))
    assert max(counts.values()) < 140, "a fair share is 100; the standard deviation is 10"


def test_one_operator_owns_everything() -> None:
    assert WHOLE.owns("any")
    assert WHOLE.owns("")


@given(st.integers(0, 100_000), COUNTS)
def test_shares_of_a_limit_add_up_to_it_or_a_little_more(limit: int, count: int) -> None:
    assert limit <= count * Shard(0, count).share(limit) < limit + count


def test_the_lease_of_one_operator_is_named_as_it_always_was() -> None:
    assert WHOLE.lease_name("operator") == "operator"
    assert Shard(1, 3).lease_name("operator") == "operator-1-of-3"


@given(COUNTS, COUNTS)
def test_leases_of_another_number_of_shards_are_recognized(ours: int, others: int) -> None:
    for number in (0, others - 1):
        name = Shard(number, others).lease_name("operator")
        assert Shard(0, ours).is_of_another_division("operator", name) == (ours != others)


@pytest.mark.parametrize(
    "name", ["loader", "operator-", "operator-canary", "operator-1-of-x", "operator-1-of-3-x", "my-operator-0-of-9", ""]
)
def test_other_leases_are_nobodys(name: str) -> None:
    assert not Shard(0, 2).is_of_another_division("operator", name)
