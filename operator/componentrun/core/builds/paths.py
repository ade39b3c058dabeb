"""Names, links and special files that no image gets.

A tree of git may contain any bytes. What is written to a disk, and what goes into a layer, has to stay in its folder.
"""

from __future__ import annotations

from posixpath import normpath
from typing import Final

from componentrun.core.builds.errors import BuildError, BuildProblem

__all__ = ["WHITEOUT", "check_link", "check_name", "git_folder", "link_target", "special_file", "unreadable"]

WHITEOUT: Final = ".wh."
"""Prefix that layers use to delete files of the layers below (OCI image specification)."""
_MOST_BYTES: Final = 255
"""Maximum length of a name in common file systems."""
_SHOWN: Final = 120
"""Characters of each end of a long path that messages have."""


def check_name(name: bytes, folder: str) -> str:
    """One part of a path as text.

    Args:
        name: the name of a file or folder, without its folder.
        folder: the folder that contains it, relative to the root; empty for the root itself.

    Raises:
        BuildError: it is not UTF-8, is not one name, or means something else in a layer or in git.
    """
    where = f"in folder `{folder}`" if folder else "in the root folder"
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise _unusable(repr(name)[1:], where, "it is not UTF-8") from None
    if text in {"", ".", ".."} or "/" in text or "\0" in text or len(name) > _MOST_BYTES:
        raise _unusable(repr(text), where, f"expected one name of at most {_MOST_BYTES} bytes")
    if text.startswith(WHITEOUT):
        raise _unusable(repr(text), where, f"names that begin with `{WHITEOUT}` delete files in layers of images")
    return text


def git_folder(name: str, folder: str) -> BuildError | None:
    """The error for a name that would be git's own folder; None for other names."""
    if name.lower() != ".git":
        return None
    where = f"in folder `{folder}`" if folder else "in the root folder"
    return _unusable(repr(name), where, "it is git's own folder")


def _unusable(name: str, where: str, why: str) -> BuildError:
    return BuildError(
        BuildProblem.UNUSABLE_NAME, f"the name {name} {where} can't be used: {why}", "Rename it in the repository."
    )


def check_link(path: str, target: bytes) -> str:
    """The target of a symbolic link as text.

    Args:
        path: path of the link, relative to the root.
        target: what it contains.

    Raises:
        BuildError: it leads out of the root, or is not UTF-8.
    """
    folder = path.rpartition("/")[0]
    text = link_target(path, target)
    place = normpath(f"{folder}/{text}" if folder else text)
    if not text or "\0" in text or text.startswith("/") or place == ".." or place.startswith("../"):
        raise BuildError(
            BuildProblem.LINK_LEAVES_FOLDER,
            f"link `{path}` leads to {text!r}, out of the folder that is built",
            "Replace it by the file, or by a link within the folder.",
        )
    return text


def link_target(path: str, target: bytes) -> str:
    """The target of a symbolic link as text, wherever it leads to.

    Raises:
        BuildError: it is not UTF-8.
    """
    try:
        return target.decode()
    except UnicodeDecodeError:
        raise _unusable(repr(target)[1:], f"that link `{path}` leads to", "it is not UTF-8") from None


def special_file(path: str, kind: str) -> BuildError:
    """The error for a socket, a pipe or a device.

    Args:
        path: its path, relative to the root.
        kind: what it is, with an article, such as `a socket`.
    """
    return BuildError(
        BuildProblem.SPECIAL_FILE,
        f"`{path}` is {kind}; an image has files, folders and symbolic links",
        "Have the commands of the build delete it.",
    )


def unreadable(path: str, why: str) -> BuildError:
    """The error for a file or folder that the commands left without permission to read it, or too deep.

    Args:
        path: its path, relative to the root. Its middle is left out if it is long.
        why: the operating system's words.
    """
    shown = path if len(path) <= 2 * _SHOWN else f"{path[:_SHOWN]} … {path[-_SHOWN:]}"
    return BuildError(
        BuildProblem.UNREADABLE,
        f"`{shown}` can't be read: {why}; an image has files that everybody may read",
        "Have the commands of the build delete it, set its mode, or choose a shorter path.",
    )
