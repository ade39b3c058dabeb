"""Buckets that a run may write to: those that it names, and those that its Component allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.component import Component
    from componentrun.api.componentrun import Output

__all__ = ["WritableBuckets", "check_writable", "default_bucket", "writable_buckets"]

_ANY: Final = "*"
_NOT_IN_A_BUCKET: Final = re.compile(r"[^A-Za-z0-9_-]+")
_MOST_NAMED: Final = 10
"""Maximum number of buckets in a message. A run can name 1,000."""


@dataclass(frozen=True, slots=True)
class WritableBuckets:
    """Buckets that a run may write to."""

    patterns: tuple[str, ...]
    """Bucket ids, and prefixes of bucket ids followed by `*`. Sorted and without duplicates."""
    component: str | None = None
    """Name of the run's Component, for messages; None if it has none."""

    def allows(self, bucket: str) -> bool:
        """Whether the run may write to a bucket, such as `out.c-main`."""
        return any(_matches(pattern, bucket) for pattern in self.patterns)


def default_bucket(output: Output, component: Component | None, configuration: str | None) -> str | None:
    """The bucket of tables without a destination: the run's, or its Component's; None if neither has one.

    `in` or `out` alone stands for a bucket of the configuration, as in the original interface:
    `in.c-vendor-ex-name-<configuration id>`. A run without a configuration id has none.

    Args:
        output: the run's `spec.output`.
        component: the Component that `spec.component` names; None if the run has an image instead.
        configuration: id of the run's configuration.
    """
    if output.default_bucket is not None:
        return output.default_bucket
    bucket = component.spec.default_bucket if component is not None else None
    if component is None or bucket is None or "." in bucket:
        return bucket
    if configuration is None:
        return None
    return f"{bucket}.c-{_NOT_IN_A_BUCKET.sub('-', f'{component.metadata.name}-{configuration}')}"


def writable_buckets(output: Output, component: Component | None, configuration: str | None = None) -> WritableBuckets:
    """The buckets that a run may write to.

    Args:
        output: the run's `spec.output`.
        component: the Component that `spec.component` names; None if the run has an image instead.
        configuration: id of the run's configuration.
    """
    buckets = {_bucket_of(table.destination) for table in output.tables}
    default = default_bucket(output, component, configuration)
    if default is not None:
        buckets.add(default)
    allowed = component.spec.output.buckets if component is not None and component.spec.output is not None else ()
    return WritableBuckets(
        tuple(sorted(buckets.union(allowed))), component.metadata.name if component is not None else None
    )


def check_writable(tables: Iterable[str], writable: WritableBuckets) -> None:
    """Refuse tables that a run may not write.

    Args:
        tables: ids of the tables to write, such as `out.c-main.bar`.
        writable: the buckets that the run may write to.

    Raises:
        UserError: (OutputInvalid) the run may not write a table; the message names the first one and the allowed
            buckets, and says what to do.
    """
    denied_tables = sorted(table for table in tables if not writable.allows(_bucket_of(table)))
    if not denied_tables:
        return
    others = f" (and {len(denied_tables) - 1} more)" if len(denied_tables) > 1 else ""
    raise UserError(
        f"the run may not write table `{denied_tables[0]}`{others}: {_what_may_be_written(writable)}",
        Reason.OUTPUT_INVALID,
        advice=(
            f"Name the table in spec.output.tables, set spec.output.defaultBucket to `{_bucket_of(denied_tables[0])}`, "
            f"or {_other_way(writable.component)}."
        ),
    )


def _matches(pattern: str, bucket: str) -> bool:
    return bucket.startswith(pattern.removesuffix(_ANY)) if pattern.endswith(_ANY) else bucket == pattern


def _bucket_of(table: str) -> str:
    return table.rpartition(".")[0]


def _what_may_be_written(writable: WritableBuckets) -> str:
    if not writable.patterns:
        return "it names no bucket" + (", and its Component allows none" if writable.component is not None else "")
    patterns = ", ".join(f"`{pattern}`" for pattern in writable.patterns[:_MOST_NAMED])
    more = len(writable.patterns) - _MOST_NAMED
    return f"it may write to {patterns}" + (f" and {more} more" if more > 0 else "")


def _other_way(component: str | None) -> str:
    if component is None:
        return "run it as a Component whose spec.output.buckets allows the bucket"
    return f"allow the bucket in spec.output.buckets of Component `{component}`"
