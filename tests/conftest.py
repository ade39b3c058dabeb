"""How property tests choose their examples, everywhere in `tests`."""

from __future__ import annotations

from hypothesis import settings

# `make test` tries the same examples on every machine, so that what fails elsewhere fails here; `make search` looks
# for new ones, and what it finds becomes an `@example` of its test.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("quick", derandomize=True, deadline=None, database=None, max_examples=10, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("repeatable")
