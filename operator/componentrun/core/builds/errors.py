"""What can go wrong in a build: one sentence for each cause.

Errors of registries are in `registry.errors`. No message has a URL's user or password, because `GitUrl.text` has none.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from componentrun.errors import Reason, TransientError, UserError

__all__ = ["REASONS", "BuildError", "BuildProblem", "GitAwayError", "LostLayerError"]


class BuildProblem(StrEnum):
    """Cause of an error."""

    INVALID_URL = "InvalidUrl"
    INVALID_REF = "InvalidRef"
    INVALID_CONTEXT = "InvalidContext"
    INVALID_LOGIN = "InvalidLogin"
    GIT_AWAY = "GitAway"
    UNTRUSTED_HOST = "UntrustedHost"
    LOGIN_REFUSED = "LoginRefused"
    NO_SUCH_REPOSITORY = "NoSuchRepository"
    NOT_A_REPOSITORY = "NotARepository"
    EMPTY_REPOSITORY = "EmptyRepository"
    NO_SUCH_REF = "NoSuchRef"
    AMBIGUOUS_REF = "AmbiguousRef"
    NO_SUCH_COMMIT = "NoSuchCommit"
    NO_SUCH_FOLDER = "NoSuchFolder"
    TOO_LARGE = "TooLarge"
    SUBMODULE = "Submodule"
    LFS_POINTER = "LfsPointer"
    LOCK_OUTDATED = "LockOutdated"
    UNUSABLE_NAME = "UnusableName"
    LINK_LEAVES_FOLDER = "LinkLeavesFolder"
    SPECIAL_FILE = "SpecialFile"
    UNREADABLE = "Unreadable"
    NO_CONVENTION = "NoConvention"
    SEVERAL_CONVENTIONS = "SeveralConventions"
    NO_ENTRYPOINT = "NoEntrypoint"
    UNUSABLE_PARENT = "UnusableParent"
    TOO_MANY_LAYERS = "TooManyLayers"
    PARENT_REFUSED = "ParentRefused"
    PUSH_REFUSED = "PushRefused"


_SOURCE: Final = (
    BuildProblem.INVALID_URL, BuildProblem.INVALID_REF, BuildProblem.INVALID_CONTEXT, BuildProblem.INVALID_LOGIN,
    BuildProblem.GIT_AWAY, BuildProblem.UNTRUSTED_HOST, BuildProblem.LOGIN_REFUSED, BuildProblem.NO_SUCH_REPOSITORY,
    BuildProblem.NOT_A_REPOSITORY, BuildProblem.EMPTY_REPOSITORY, BuildProblem.NO_SUCH_REF, BuildProblem.AMBIGUOUS_REF,
    BuildProblem.NO_SUCH_COMMIT, BuildProblem.NO_SUCH_FOLDER,
)  # fmt: skip
_CONTENT: Final = (
    BuildProblem.TOO_LARGE, BuildProblem.SUBMODULE, BuildProblem.LFS_POINTER, BuildProblem.LOCK_OUTDATED,
    BuildProblem.UNUSABLE_NAME,
    BuildProblem.LINK_LEAVES_FOLDER, BuildProblem.SPECIAL_FILE, BuildProblem.UNREADABLE,
    BuildProblem.NO_CONVENTION, BuildProblem.SEVERAL_CONVENTIONS, BuildProblem.NO_ENTRYPOINT,
)  # fmt: skip
_PARENT: Final = (BuildProblem.UNUSABLE_PARENT, BuildProblem.TOO_MANY_LAYERS, BuildProblem.PARENT_REFUSED)
REASONS: Final[dict[BuildProblem, Reason]] = {
    **dict.fromkeys(_SOURCE, Reason.SOURCE_UNAVAILABLE),
    **dict.fromkeys(_CONTENT, Reason.BUILD_FAILED),
    **dict.fromkeys(_PARENT, Reason.PARENT_UNAVAILABLE),
    BuildProblem.PUSH_REFUSED: Reason.PUSH_REFUSED,
}
"""The reason of a run and of a build for each cause; a test checks that none is missing."""


class BuildError(UserError):
    """The build can't succeed with this input. Trying again changes nothing."""

    def __init__(self, problem: BuildProblem, summary: str, advice: str) -> None:
        """`problem` is the cause."""
        super().__init__(summary, REASONS[problem], advice=advice)
        self.problem = problem


class GitAwayError(TransientError):
    """The git host does not serve the request now; a later one may succeed."""

    def __init__(self, problem: BuildProblem, summary: str, advice: str) -> None:
        """`problem` is the cause."""
        super().__init__(summary, REASONS[problem], advice=advice)
        self.problem = problem


class LostLayerError(TransientError):
    """The layer of the dependencies is not in the registry any more. The next attempt installs them."""

    def __init__(self, repository: str, digest: str) -> None:
        """`digest` names the layer in the repository."""
        super().__init__(
            f"the layer of the dependencies, `{digest}`, which an earlier build has pushed, is not in repository "
            f"`{repository}` any more",
            Reason.PUSH_REFUSED,
            advice="The next attempt installs them again. Does something delete layers of images that have a tag?",
        )
