"""The form of all documents in Storage."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

__all__ = ["StorageModel"]


class StorageModel(BaseModel):
    """Base of the documents in Storage: camelCase, frozen, fields of a later release ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_bytes(self) -> bytes:
        """The document as it is stored: JSON in UTF-8."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
