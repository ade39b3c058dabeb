"""Whether files that name dependencies pin them, and refer to no other file of the repository.

Only what is recognised counts. If a file has something else, the dependencies are installed for each commit, beside the
code, which costs time and is never wrong.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["are_pinned"]

_REQUIREMENT: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[A-Za-z0-9._, -]*\])?\s*={2,3}\s*[A-Za-z0-9.!+_-]+"
    r"\s*(?:;.*?)?(?:\s+--hash[ =]\S+)*"
)
"""A name with an exact version."""
_PIP_OPTION: Final = re.compile(
    r"--(?:require-hashes|no-index|pre|prefer-binary)"
    r"|--(?:only-binary|no-binary|trusted-host)[ =]\s*[^\s/]+"
    r"|(?:-i\s+|--(?:extra-)?index-url[ =]\s*)https?://\S+"
)
_COMMENT: Final = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)
_CONTINUED: Final = re.compile(r"\\\r?\n")
_URL: Final = re.compile(r"(?:git\+)?(?:https?|ssh)://")
_LOCAL_PACKAGE: Final = re.compile(r"\"(?:file|link):|\"link\"\s*:\s*true")
_OWN_SCRIPTS: Final = re.compile(
    r"\"(?:workspaces|(?:pre|post)?install|prepublish|(?:pre|post)?prepare)\"\s*:\s*[\"\[]"
    r"|\"workspaces\"\s*:"
)
"""Parts of `package.json` that have npm run or install what is in the repository."""
_NPMRC: Final = re.compile(
    r"(?:@[\w.-]+:)?registry\s*=\s*https?://\S+|(?:audit|engine-strict|fund|legacy-peer-deps|save-exact)\s*=\s*\w+"
)
_LOCAL_R_PACKAGE: Final = re.compile(r"\"(?:Source|RemoteType)\"\s*:\s*\"[Ll]ocal\"")

_ALSO_READ: Final[Mapping[str, frozenset[str]]] = {
    "uv.lock": frozenset({"uv.toml"}),
    "package-lock.json": frozenset({"npm-shrinkwrap.json", "binding.gyp"}),
    "renv.lock": frozenset({".Rprofile", ".Renviron"}),
}
"""Files that the commands would read, and that can refer to any other file."""


def are_pinned(contents: Mapping[str, str], files: Collection[str]) -> bool:
    """Whether the dependencies depend on these files alone, and always have the same versions.

    Args:
        contents: texts of the files that name the dependencies; the first one says how they are installed.
        files: paths of all files of the repository.
    """
    first = next(iter(contents), "")
    check = _CHECKS.get(first)
    if check is None or not _ALSO_READ.get(first, frozenset()).isdisjoint(files):
        return False
    return check(contents)


def _requirements(contents: Mapping[str, str]) -> bool:
    text = _COMMENT.sub("", _CONTINUED.sub(" ", contents["requirements.txt"]))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return all(_REQUIREMENT.fullmatch(line) or _PIP_OPTION.fullmatch(line) for line in lines)


def _uv(contents: Mapping[str, str]) -> bool:
    try:
        lock, project = tomllib.loads(contents["uv.lock"]), tomllib.loads(contents["pyproject.toml"])
        settings = project.get("tool", {}).get("uv", {})
        sources = [package["source"] for package in lock.get("package", ())]
        return all(map(_is_remote_or_project, sources)) and not _has_key(settings, {"workspace", "find-links"})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def _is_remote_or_project(source: Mapping[str, Any]) -> bool:
    """Whether a package comes from elsewhere, or is the repository's own, which is not installed."""
    ((kind, value),) = list(source.items())[:1]
    if kind in {"registry", "git", "url"}:
        return _URL.match(value) is not None
    return kind in {"virtual", "editable"} and value == "."


def _has_key(found: Any, keys: set[str]) -> bool:
    if isinstance(found, dict):
        return not keys.isdisjoint(found) or any(_has_key(value, keys) for value in found.values())
    return isinstance(found, list) and any(_has_key(value, keys) for value in found)


def _npm(contents: Mapping[str, str]) -> bool:
    lock, project = contents["package-lock.json"], contents.get("package.json", "")
    settings = [line.strip() for line in contents.get(".npmrc", "").splitlines()]
    return (
        _LOCAL_PACKAGE.search(lock) is None
        and _LOCAL_PACKAGE.search(project) is None
        and _OWN_SCRIPTS.search(project) is None
        and all(not line or line[0] in "#;" or _NPMRC.fullmatch(line) for line in settings)
    )


def _renv(contents: Mapping[str, str]) -> bool:
    return _LOCAL_R_PACKAGE.search(contents["renv.lock"]) is None


_CHECKS: Final[dict[str, Callable[[Mapping[str, str]], bool]]] = {
    "requirements.txt": _requirements,
    "uv.lock": _uv,
    "package-lock.json": _npm,
    "renv.lock": _renv,
}
