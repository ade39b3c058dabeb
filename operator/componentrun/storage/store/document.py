"""The form of all documents in Storage, and how one is read back."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from componentrun.errors import PlatformError

__all__ = ["StorageModel", "parse_document"]


class StorageModel(BaseModel):
    """Base of the documents in Storage: camelCase, frozen, fields of a later release ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_bytes(self) -> bytes:
        """The document as it is stored: JSON in UTF-8."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


Model = TypeVar("Model", bound=StorageModel)


def parse_document(kind: type[Model], data: bytes, where: str, newest_format: int) -> Model:
    """Read a document back.

    Raises:
        PlatformError: (Internal) it is not of this kind, or of a release later than this one; the message says which.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PlatformError(
            f"{where} is no valid {kind.__name__.lower()}: {field or 'the document'}: {first['msg']}"
        ) from None
    found = getattr(document, "format", newest_format)
    if found > newest_format:
        raise PlatformError(
            f"{where} has format {found}; this release of ComponentRun reads formats up to {newest_format}. "
            "Upgrade the operator"
        )
    return document
