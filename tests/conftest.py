"""How property tests choose their examples, how tests are named, and in which order they start."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

# `make test` tries the same examples on every machine, so that what fails elsewhere fails here; `make search` looks
# for new ones, and what it finds becomes an `@example` of its test.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("quick", derandomize=True, deadline=None, database=None, max_examples=10, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("repeatable")
LARGE = 6
"""Number of tests from which a group is large."""
LONGEST_ID = 100
"""Maximum length of a text in the name of a test. The name of its parameter stands for a longer one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests for several processes, which `--dist=loadgroup` gives one test or group at a time.

    Tests that share a fixture of their module are a group, because each process would set up its own fixture. Long
    tests start first, then large groups, because the end of the whole waits for the last one.
    """
    grouped = [item for item in items if shares_a_fixture_of_its_module(item)]
    for item in grouped:
        item.add_marker(pytest.mark.xdist_group(str(item.path)))
    sizes = Counter(item.path for item in grouped)
    items.sort(key=lambda item: (item.get_closest_marker("long") is None, sizes[item.path] < LARGE))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Replace a long text in the name of a test by the name of its parameter. pytest numbers names that are equal.

    Some long texts contain a generated key or a time. Processes share tests only if all collect the same names.
    """
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


def shares_a_fixture_of_its_module(item: pytest.Item) -> bool:
    """Whether a test uses a fixture that is set up once for its module."""
    found = getattr(item, "_fixtureinfo", None)
    return found is not None and any(made[-1].scope == "module" for made in found.name2fixturedefs.values() if made)
