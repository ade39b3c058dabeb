"""Whether `package-lock.json` fits `package.json`.

`npm ci` refuses one that does not, but prints all of its options behind the cause, so that the end of the log, which is
all that a build keeps, does not have it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from componentrun.core.builds.errors import BuildError, BuildProblem

__all__ = ["LOCK_FILE", "PROJECT_FILE", "check_npm_lock"]

LOCK_FILE: Final = "package-lock.json"
PROJECT_FILE: Final = "package.json"
_MOST_NAMED: Final = 5


def check_npm_lock(project: str, lock: str) -> None:
    """Refuse a lock file that lacks a dependency of its project.

    Args:
        project: content of `package.json`.
        lock: content of `package-lock.json`.

    Raises:
        BuildError: it does not fit.
    """
    wanted, packages = _read(project).get("dependencies"), _read(lock).get("packages")
    if not isinstance(wanted, dict) or not isinstance(packages, dict):
        return  # nothing to compare, a lock file of an old npm, or not valid, which npm says itself
    missing = sorted(name for name in wanted if f"node_modules/{name}" not in packages)
    if not missing:
        return
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    raise BuildError(
        BuildProblem.LOCK_OUTDATED,
        f"`{LOCK_FILE}` does not fit the project: `{PROJECT_FILE}` names "
        f"{', '.join(f'`{name}`' for name in missing[:_MOST_NAMED])}{more}, which `{LOCK_FILE}` does not have",
        "Run `npm install`, and commit the file.",
    )


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
