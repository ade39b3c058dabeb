"""The format of all documents in Storage, and reading them."""

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
    """Parse a document.

    Raises:
        PlatformError: (Internal) it is not of this kind, or from a later release; the message says which.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PlatformError(
            f"{where} is not a valid {kind.__name__.lower()}: {field or 'the document'}: {first['msg']}"
        ) from None
    format_number = getattr(document, "format", newest_format)
    if format_number > newest_format:
        raise PlatformError(
            f"{where} has format {format_number}; this release of ComponentRun reads formats up to {newest_format}",
            advice="Upgrade the operator.",
        )
    return document
