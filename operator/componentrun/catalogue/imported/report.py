"""What an import collects: manifests, and findings about what was changed, what is left to do and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import API_VERSION, IMPORTED_ANNOTATION
from componentrun.catalogue.entry import Finding, canonical_json

if TYPE_CHECKING:
    from componentrun.catalogue.entry import JsonObject

__all__ = ["ImportReport", "ImportedComponent"]

_MAX_ANNOTATION_BYTES: Final = 64 * 1024
"""All annotations of an object together may have 256 KiB."""


@dataclass
class ImportReport:
    """The result of an import."""

    manifests: list[JsonObject] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def changed(self, subject: str, message: str) -> None:
        """Something was written in another form."""
        self.findings.append(Finding("note", "Changed", subject, message))

    def to_do(self, subject: str, message: str) -> None:
        """Something has to be created or set before the component can run."""
        self.findings.append(Finding("warning", "ToDo", subject, message))

    def left_out(self, subject: str, message: str) -> None:
        """Something that can affect the component has no counterpart."""
        self.findings.append(Finding("warning", "LeftOut", subject, message))

    def refused(self, subject: str, message: str) -> None:
        """A whole component can't be imported."""
        self.findings.append(Finding("error", "NotImported", subject, message))


@dataclass
class ImportedComponent:
    """A Component while it is put together."""

    name: str
    report: ImportReport
    spec: JsonObject = field(default_factory=dict)
    kept: JsonObject = field(default_factory=dict)
    """What goes into the annotation."""

    @property
    def subject(self) -> str:
        """The component in findings."""
        return f"`{self.name}`"

    def set(self, key: str, value: Any) -> None:
        """Set a field of `spec`, unless the value is empty."""
        if value not in (None, "", [], {}):
            self.spec[key] = value

    def keep(self, key: str, value: Any) -> None:
        """Keep a value in the annotation, unless it is empty."""
        if value not in (None, "", [], {}):
            self.kept[key] = value

    def tell(self, path: str, message: str) -> None:
        """Report a value of an unexpected kind; the form that `wire.phpvalues` calls."""
        self.report.left_out(self.subject, f"`{path}`: {message}")

    def finish(self) -> None:
        """Add the manifest to the report."""
        metadata: JsonObject = {"name": self.name}
        if self.kept:
            text = canonical_json(self.kept)
            if len(text.encode()) <= _MAX_ANNOTATION_BYTES:
                metadata["annotations"] = {IMPORTED_ANNOTATION: text}
            else:
                keys = ", ".join(f"`{key}`" for key in self.kept)
                self.report.left_out(
                    self.subject,
                    f"{keys} together have {len(text.encode())} bytes; an annotation keeps at most "
                    f"{_MAX_ANNOTATION_BYTES}",
                )
        self.report.manifests.append(
            {"apiVersion": API_VERSION, "kind": "Component", "metadata": metadata, "spec": self.spec}
        )
