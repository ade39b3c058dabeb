"""Locations of files of Iceberg tables: `s3://bucket/key`, in any bucket of the Storage's store."""

from __future__ import annotations

from typing import Final

from componentrun.errors import PlatformError, Reason

__all__ = ["split_location"]

_SCHEMES: Final = ("s3://", "s3a://", "s3n://")


def split_location(location: str) -> tuple[str, str]:
    """Bucket and key.

    Raises:
        PlatformError: (PublishFailed) the location is of another kind.
    """
    for scheme in _SCHEMES:
        if location.startswith(scheme):
            bucket, _, key = location.removeprefix(scheme).partition("/")
            return bucket, key
    raise PlatformError(
        f"a table has a file at `{location}`; expected `s3://bucket/key`: only tables in S3-compatible stores can be "
        "used",
        Reason.PUBLISH_FAILED,
    )
