"""Findings about a catalogue: what makes it unusable, and what somebody should look at. Pure.

Each rule is a function that gets the whole catalogue. A rule has one word as its name, which scripts may match and
docs/catalogue.md lists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from componentrun.api.component import Component, ComponentSpec
from componentrun.api.problems import problems
from componentrun.catalogue.entry import Catalogue, CatalogueEntry, Finding
from componentrun.catalogue.references import processor_findings, replacement_findings
from componentrun.catalogue.schemas import schema_findings
from componentrun.contract import SECRET_KEY_PREFIX
from componentrun.core.images.channelcheck import channel_problems
from componentrun.core.images.reference import DIGEST, parse_repository
from componentrun.core.images.signingkey import parse_signing_key
from componentrun.core.schema.check import check
from componentrun.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from componentrun.core.schema.documents import CheckRequest, CheckResult

__all__ = ["errors_in", "lint"]

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MAX_NAME: Final = 63
"""Names are values of labels."""
_METADATA: Final = frozenset({"annotations", "labels", "name"})
_UNUSABLE_UNKNOWN: Final = "extra_forbidden"


def lint(catalogue: Catalogue, check: Callable[[CheckRequest], CheckResult] = check) -> tuple[Finding, ...]:
    """All findings, those of reading the catalogue first, each once.

    Args:
        catalogue: the catalogue.
        check: checks documents against JSON Schemas, which may take exponential time.
    """
    findings = list(catalogue.findings)
    if not catalogue.entries:
        findings.append(Finding("error", "Empty", "the catalogue", "it holds no Components"))
    for rule in _RULES:
        findings += rule(catalogue)
    findings += schema_findings(catalogue, check)
    return tuple(dict.fromkeys(findings))


def errors_in(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings with which a catalogue must not be used."""
    return tuple(finding for finding in findings if finding.severity == "error")


def _duplicate_names(catalogue: Catalogue) -> Iterator[Finding]:
    first: dict[tuple[str, str], CatalogueEntry] = {}
    for entry in catalogue.entries:
        other = first.setdefault(entry.key, entry)
        if other is not entry:
            message = f"`{other.source}` has the same name. Remove or rename one of them"
            yield Finding("error", "DuplicateName", entry.title, message)


def _names(catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.entries:
        if not _NAME.fullmatch(entry.name) or len(entry.name) > _MAX_NAME:
            message = f"expected a name of at most {_MAX_NAME} small letters, digits, `-` and `.`"
            yield Finding("error", "InvalidName", entry.title, message)


def _colliding_names(catalogue: Catalogue) -> Iterator[Finding]:
    """Names that differ only in `.` and `-`, for which names of buckets have only `-`."""
    first: dict[tuple[str, str], CatalogueEntry] = {}
    for entry in catalogue.entries:
        other = first.setdefault((entry.kind, entry.name.replace(".", "-")), entry)
        if other.name != entry.name:
            message = f"its default buckets would be those of `{other.name}`. Rename one of them"
            yield Finding("error", "CollidingName", entry.title, message)


def _shadowed(catalogue: Catalogue) -> Iterator[Finding]:
    keys = catalogue.by_key()
    for kind, name in keys:
        if kind == "Component" and ("ClusterComponent", name) in keys:
            message = f"the catalogue has a ClusterComponent `{name}` as well; runs of the namespace use the Component"
            yield Finding("warning", "Shadowed", keys[kind, name].title, message)


def _metadata(catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.entries:
        for key in sorted(entry.manifest["metadata"].keys() - _METADATA):
            why = (
                "`sync` chooses the namespace"
                if key == "namespace"
                else "a catalogue has names, labels and annotations"
            )
            yield Finding("error", "Metadata", entry.title, f"found `metadata.{key}`, but {why}. Remove it")
        for key in sorted(entry.manifest.keys() - {"apiVersion", "kind", "metadata", "spec"}):
            yield Finding("error", "UnknownField", entry.title, f"there is no field `{str(key)[:80]}`. Remove it")


def _fields(catalogue: Catalogue) -> Iterator[Finding]:
    """Fields that the API server would refuse."""
    for entry in catalogue.entries:
        try:
            ComponentSpec.model_validate(entry.manifest.get("spec"), extra="forbid")
        except ValidationError as error:
            unknown = [item["loc"] for item in error.errors() if item["type"] == _UNUSABLE_UNKNOWN]
            for place in unknown:
                path = ".".join(str(part) for part in place)
                message = f"there is no field `spec.{path[:200]}`. Check the spelling, or remove it"
                yield Finding("error", "UnknownField", entry.title, message)
            known = {f"`{'.'.join(str(part) for part in place)}`: " for place in unknown}
            for problem in problems(error):
                if not problem.startswith(tuple(known) or ("\0",)):
                    yield Finding("error", "InvalidField", entry.title, problem)


def _images(catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.entries:
        image = entry.spec.get("image")
        if not isinstance(image, str):
            continue
        name, at, digest = image.partition("@")
        head, colon, tag = name.rpartition(":")
        if colon and head and "/" not in tag and not at:
            message = f"image `{image[:200]}` names a tag. Write it in `tag`"
        elif at and not DIGEST.fullmatch(digest):
            message = f"image `{image[:200]}`: `{digest[:200]}` is no digest `sha256:…`"
        else:
            try:
                parse_repository(name, "spec.image")
            except UserError as error:
                message = f"{error.summary}. {error.advice.removesuffix('.')}"
            else:
                continue
        yield Finding("error", "InvalidImage", entry.title, message)


def _channels(catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.entries:
        try:
            component = Component.model_validate(entry.manifest)
        except ValidationError:
            continue  # `_fields` reports it
        for problem in channel_problems(component):
            yield Finding("error", "InvalidChannel", entry.title, f"{problem}. Correct the channel")


def _signing_keys(catalogue: Catalogue) -> Iterator[Finding]:
    """Keys that no signature can be verified with, and keys that no image is verified with."""
    for entry in catalogue.entries:
        verify = entry.spec.get("verify")
        key = verify.get("key") if isinstance(verify, dict) else None
        if not isinstance(key, str):
            continue
        try:
            parse_signing_key(key, "spec.verify.key")
        except UserError as error:
            yield Finding("error", "InvalidKey", entry.title, f"{error.summary}. {error.advice.removesuffix('.')}")
        if not entry.spec.get("channels"):
            message = "`spec.verify` needs `spec.channels`. Add channels, or remove `spec.verify`"
            yield Finding("error", "InvalidKey", entry.title, message)


def _plain_secrets(catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.entries:
        configuration = entry.spec.get("configuration")
        default = configuration.get("default") if isinstance(configuration, dict) else None
        for path in _secrets_in(entry.spec.get("imageParameters"), "spec.imageParameters"):
            message = f"`{path}` holds a secret as text. Name a Secret in `spec.imageParameterSecrets`"
            yield Finding("error", "PlainSecret", entry.title, message)
        for path in _secrets_in(default, "spec.configuration.default"):
            yield Finding("error", "PlainSecret", entry.title, f"`{path}` holds a secret as text. Remove the value")


def _secrets_in(value: Any, path: str) -> Iterator[str]:
    """Paths of `#` keys with a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            if str(key).startswith(SECRET_KEY_PREFIX):
                if item not in (None, "", {}, []):
                    yield f"{path}.{key}"
            else:
                yield from _secrets_in(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _secrets_in(item, f"{path}[{i}]")


def _descriptions(catalogue: Catalogue) -> Iterator[Finding]:
    for entry in catalogue.entries:
        if not entry.spec.get("type"):
            yield Finding("warning", "NoType", entry.title, "`type` is not set, so it is listed as `other`")
        if not entry.spec.get("title") and not entry.spec.get("summary"):
            yield Finding("warning", "NoTitle", entry.title, "neither `title` nor `summary` is set; lists show them")


_RULES: Final[tuple[Callable[[Catalogue], Iterator[Finding]], ...]] = (
    _duplicate_names,
    _names,
    _colliding_names,
    _shadowed,
    _metadata,
    _fields,
    _images,
    _channels,
    _signing_keys,
    _plain_secrets,
    replacement_findings,
    processor_findings,
    _descriptions,
)
