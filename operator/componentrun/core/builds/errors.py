"""What can go wrong in a build: one sentence for each cause.

Errors of registries are in `registry.errors`. No message has a URL's user or password, because `GitUrl.text` has none.
"""

from __future__ import annotations

from enum import StrEnum

from componentrun.errors import Reason, TransientError, UserError

__all__ = ["BuildError", "BuildProblem", "GitAwayError"]


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
    UNUSABLE_NAME = "UnusableName"
    LINK_LEAVES_FOLDER = "LinkLeavesFolder"
    SPECIAL_FILE = "SpecialFile"
    NO_CONVENTION = "NoConvention"
    SEVERAL_CONVENTIONS = "SeveralConventions"
    NO_ENTRYPOINT = "NoEntrypoint"
    UNUSABLE_PARENT = "UnusableParent"
    TOO_MANY_LAYERS = "TooManyLayers"


class BuildError(UserError):
    """The build can't succeed with this input. Trying again changes nothing."""

    def __init__(self, problem: BuildProblem, summary: str, advice: str) -> None:
        """`problem` is the cause."""
        super().__init__(summary, Reason.INVALID_SPEC, advice=advice)
        self.problem = problem


class GitAwayError(TransientError):
    """The git host does not serve the request now; a later one may succeed."""

    def __init__(self, problem: BuildProblem, summary: str, advice: str) -> None:
        """`problem` is the cause."""
        super().__init__(summary, advice=advice)
        self.problem = problem
