"""Whether `uv.lock` fits `pyproject.toml`.

`uv export --frozen` reads the lock file alone: a dependency that was added to the project afterwards would be missing
in the image, without a word. Only what both files say plainly is compared, because a build must not fail for another
spelling of the same.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from componentrun.core.builds.errors import BuildError, BuildProblem

__all__ = ["LOCK_FILE", "PROJECT_FILE", "check_uv_lock"]

LOCK_FILE: Final = "uv.lock"
PROJECT_FILE: Final = "pyproject.toml"
_REQUIREMENT: Final = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?P<versions>[^;@]*)(?P<rest>.*)",
    re.DOTALL,
)
"""A dependency of a project (PEP 508)."""
_CLAUSE: Final = re.compile(r"(?P<operator>~=|==|!=|<=|>=|<|>)\s*(?P<release>\d+(?:\.\d+)*)(?P<any>\.\*)?")
"""A plain condition of a version. Others have several spellings."""
_PLAIN_KEYS: Final = frozenset({"name", "extras", "marker", "specifier"})
"""Keys of a dependency in a lock file that comes from a package index."""
_MOST_NAMED: Final = 5


def check_uv_lock(project: str, lock: str) -> None:
    """Refuse a lock file that lacks a dependency of its project, or has another version of it.

    Args:
        project: content of `pyproject.toml`.
        lock: content of `uv.lock`.

    Raises:
        BuildError: it does not fit.
    """
    locked, wanted = _locked(_read(lock)), _wanted(_read(project))
    if locked is None or wanted is None:
        return  # not a single project, or not valid, which uv says better
    missing = sorted(name for name in wanted if name not in locked)
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        named = ", ".join(f"`{name}`" for name in missing[:_MOST_NAMED])
        raise _outdated(f"`{PROJECT_FILE}` names {named}{more}, which `{LOCK_FILE}` does not have")
    for name, versions in sorted(wanted.items()):
        there = locked[name]
        if versions is None or there is None or versions <= there:
            continue
        raise _outdated(
            f"`{PROJECT_FILE}` wants `{name}{_text(versions)}`, and `{LOCK_FILE}` was made for `{name}{_text(there)}`"
        )


def _outdated(summary: str) -> BuildError:
    return BuildError(
        BuildProblem.LOCK_OUTDATED,
        f"`{LOCK_FILE}` does not fit the project: {summary}",
        "Run `uv lock`, and commit the file.",
    )


_Versions = frozenset[tuple[str, ...]]
"""Plain conditions; several lines for one name are taken together."""


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _wanted(project: dict[str, Any]) -> dict[str, _Versions | None] | None:
    """Conditions by name, as the project has them; None for a name if they can't be compared."""
    table = project.get("project")
    lines = table.get("dependencies", []) if isinstance(table, dict) else None
    if not isinstance(lines, list) or "dependencies" in (table or {}).get("dynamic", []):
        return None
    found: dict[str, _Versions | None] = {}
    for line in lines:
        parts = _REQUIREMENT.fullmatch(line) if isinstance(line, str) else None
        if parts is None:
            return None
        is_elsewhere = parts["rest"].startswith("@")
        _add(found, parts["name"], None if is_elsewhere else parts["versions"].strip("() \t\n"))
    return found


def _locked(lock: dict[str, Any]) -> dict[str, _Versions | None] | None:
    """The same, as the project was when the lock file was made."""
    packages = lock.get("package")
    roots = [item for item in packages if _is_root(item)] if isinstance(packages, list) else []
    if len(roots) != 1:
        return None
    metadata = roots[0].get("metadata", {})
    entries = metadata.get("requires-dist", []) if isinstance(metadata, dict) else None
    if not isinstance(entries, list) or not all(isinstance(item, dict) and "name" in item for item in entries):
        return None
    found: dict[str, _Versions | None] = {}
    for item in entries:
        is_plain = _PLAIN_KEYS.issuperset(item)
        _add(found, str(item["name"]), str(item.get("specifier", "")) if is_plain else None)
    return found


def _is_root(package: Any) -> bool:
    source = package.get("source") if isinstance(package, dict) else None
    return isinstance(source, dict) and "." in {source.get("virtual"), source.get("editable"), source.get("directory")}


def _add(found: dict[str, _Versions | None], name: str, versions: str | None) -> None:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    new = None if versions is None else _clauses(versions)
    before = found.get(normal, frozenset())
    found[normal] = None if new is None or before is None else before | new


def _clauses(text: str) -> _Versions | None:
    """The conditions of a version; None if one is not plain."""
    found = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        clause = _CLAUSE.fullmatch(part)
        if clause is None:
            return None
        release = ".".join(str(int(number)) for number in clause["release"].split("."))
        found.add((clause["operator"], release + (clause["any"] or "")))
    return frozenset(found)


def _text(versions: _Versions) -> str:
    return ",".join(operator + release for operator, release in sorted(versions))
