"""Components that match words, and what a list shows of each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import CATALOGUE_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ListedComponent", "listed", "search"]

_DEFAULT_TYPE: Final = "other"
_DEFAULT_TAG: Final = "latest"
_WEIGHTS: Final = (("name", 8), ("title", 4), ("categories", 3), ("vendor", 2), ("summary", 2), ("description", 1))
"""Fields that are searched, and how much a match in each counts."""


@dataclass(frozen=True, slots=True)
class ListedComponent:
    """What a list shows of a Component."""

    kind: str
    name: str
    type: str
    title: str
    version: str
    """Tag, digest or channel that runs use by default."""
    catalogue: str
    """Name of the catalogue that owns it; empty if none does."""
    is_deprecated: bool
    document: Mapping[str, Any]
    """The object."""


def listed(item: Mapping[str, Any]) -> ListedComponent:
    """The list's view of an object, whichever release wrote it."""
    metadata, spec = item.get("metadata") or {}, item.get("spec") or {}
    return ListedComponent(
        kind=str(item.get("kind") or ""),
        name=str(metadata.get("name") or ""),
        type=str(spec.get("type") or _DEFAULT_TYPE),
        title=str(spec.get("title") or spec.get("summary") or ""),
        version=_version(spec),
        catalogue=str((metadata.get("labels") or {}).get(CATALOGUE_LABEL) or ""),
        is_deprecated=bool(spec.get("deprecated")),
        document=item,
    )


def search(items: Iterable[ListedComponent], words: Sequence[str]) -> list[ListedComponent]:
    """The Components in which each word occurs, the best match first. Capital letters make no difference.

    A Component matches if each word is part of its name, title, summary, description, vendor or one of its categories.
    """
    wanted = [word.casefold() for word in words if word]
    scored = [(_score(item, wanted), item) for item in items]
    matches = [(score, item) for score, item in scored if score > 0 or not wanted]
    return [item for _, item in sorted(matches, key=lambda pair: (-pair[0], pair[1].name, pair[1].kind))]


def _score(item: ListedComponent, words: Sequence[str]) -> int:
    """0 if a word does not occur."""
    spec = item.document.get("spec") or {}
    texts = {"name": item.name, "categories": " ".join(map(str, spec.get("categories") or ()))}
    texts |= {key: str(spec.get(key) or "") for key, _ in _WEIGHTS if key not in texts}
    folded = {key: text.casefold() for key, text in texts.items()}
    total = 0
    for word in words:
        score = sum(weight for key, weight in _WEIGHTS if word in folded[key])
        if not score:
            return 0
        total += score
    return total


def _version(spec: Mapping[str, Any]) -> str:
    """What runs use by default, in few characters."""
    if channel := spec.get("defaultChannel"):
        return str(channel)
    digest = str(spec.get("image") or "").partition("@")[2]
    return digest.removeprefix("sha256:")[:12] or str(spec.get("tag") or _DEFAULT_TAG)
