"""What dulwich, urllib3 and ssh report, as errors of builds: one sentence for each cause."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import urllib3.exceptions as http
from dulwich.client import HTTPProxyUnauthorized, HTTPUnauthorized
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository

from componentrun.core.builds.errors import BuildError, BuildProblem, GitAwayError
from componentrun.errors import AWAY_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.core.builds.source import GitUrl

__all__ = ["RedirectedError", "git_errors", "no_such_commit", "not_a_repository", "too_large"]

_STATUS: Final = "unexpected http resp "
"""Beginning of dulwich's message about an HTTP status."""
_NOT_GIT: Final = (
    "Invalid content-type",
    "Redirected",
    "Invalid pkt-line",
    "unexpected first line",
    "unexpected number",
)
_REFUSALS: Final = frozenset({401, 403})
_UNKNOWN_COMMIT: Final = ("not our ref", "invalid want", "not in server provided refs", "client wants", "invalid wants")
_SSH_CAUSES: Final = (
    ("host key verification failed", BuildProblem.UNTRUSTED_HOST),
    ("remote host identification has changed", BuildProblem.UNTRUSTED_HOST),
    ("no matching host key type", BuildProblem.UNTRUSTED_HOST),
    ("error in libcrypto", BuildProblem.INVALID_LOGIN),
    ("invalid format", BuildProblem.INVALID_LOGIN),
    ("permission denied", BuildProblem.LOGIN_REFUSED),
    ("too many authentication failures", BuildProblem.LOGIN_REFUSED),
    ("not found", BuildProblem.NO_SUCH_REPOSITORY),
    ("no git repository", BuildProblem.NO_SUCH_REPOSITORY),
    ("does not exist", BuildProblem.NO_SUCH_REPOSITORY),
    ("does not appear to be a git repository", BuildProblem.NO_SUCH_REPOSITORY),
)
"""What ssh and common git hosts print, in lower case, in the order in which it is looked for."""


class RedirectedError(http.HTTPError):
    """A host redirects to another scheme, host or port than that of the repository."""

    def __init__(self, target: str) -> None:
        """`target` is the other host with its port. A path may contain a token, and is left out."""
        super().__init__(f"redirected to {target}")
        self.target = target


@contextmanager
def git_errors(url: GitUrl) -> Iterator[None]:
    """Raise what goes wrong in a conversation with a git host as an error of the build.

    Raises:
        BuildError: the host or the repository refuses.
        GitAwayError: the host can't answer now.
    """
    try:
        yield
    except NotGitRepository as error:
        raise _no_such_repository(url) from error
    except HTTPUnauthorized as error:
        raise _login_refused(url) from error
    except HTTPProxyUnauthorized as error:
        raise _away(url, "the proxy wants a login") from error
    except HangupException as error:
        raise _hung_up(url, error) from error
    except GitProtocolError as error:
        raise _protocol_error(url, error) from error
    except http.HTTPError as error:
        raise _http_error(url, error) from error
    except (OSError, EOFError) as error:
        raise _away(url, _words(error)) from error
    except (ValueError, AssertionError, KeyError, IndexError) as error:  # dulwich, of bytes that are not the protocol
        raise not_a_repository(url, "its answer is not that of a git server") from error


def _hung_up(url: GitUrl, error: HangupException) -> BuildError | GitAwayError:
    lines = [line.decode(errors="replace").strip() for line in error.stderr_lines or ()]
    text = " ".join(lines).lower()
    if any(words in text for words in _UNKNOWN_COMMIT):
        return no_such_commit(url, "")
    for words, problem in _SSH_CAUSES:
        if words in text:
            return _ssh_error(url, problem)
    # The last words of ssh name the cause; they contain neither the key nor a password.
    said = next((line for line in reversed(lines) if line), "the connection was closed")
    return _away(url, said[:200])


def _ssh_error(url: GitUrl, problem: BuildProblem) -> BuildError:
    if problem is BuildProblem.UNTRUSTED_HOST:
        return BuildError(
            problem,
            f"the key of SSH server `{url.host}` is not among the keys in `known_hosts` of the Secret",
            f"Compare what `ssh-keyscan -p {url.port} {url.host}` prints with what the host publishes, and add it "
            "to `known_hosts`. If another key was right before, the server was replaced, or somebody is in between.",
        )
    if problem is BuildProblem.INVALID_LOGIN:
        return BuildError(
            problem,
            f"the private key for `{url.text}` can't be used",
            "`ssh-privatekey` of the Secret has to be an OpenSSH or PEM key without a passphrase.",
        )
    return _login_refused(url) if problem is BuildProblem.LOGIN_REFUSED else _no_such_repository(url)


def _protocol_error(url: GitUrl, error: GitProtocolError) -> BuildError | GitAwayError:
    if isinstance(error.__cause__, http.HTTPError):
        return _http_error(url, error.__cause__)
    text = str(error)
    if any(words in text.lower() for words in _UNKNOWN_COMMIT):
        return no_such_commit(url, "")
    if text.startswith(_NOT_GIT):
        return not_a_repository(url, "its answer is not that of a git server")
    if text.startswith(_STATUS):
        return _status(url, int(text.removeprefix(_STATUS).split()[0]))
    return _away(url, text[:200])


def _status(url: GitUrl, status: int) -> BuildError | GitAwayError:
    if status in _REFUSALS:
        return _login_refused(url)
    if status in AWAY_STATUSES:
        return _away(url, f"it answered {status}")
    return not_a_repository(url, f"it answered {status}")


def _http_error(url: GitUrl, error: http.HTTPError) -> BuildError | GitAwayError:
    cause: BaseException = error
    if isinstance(error, http.MaxRetryError) and error.reason is not None:
        cause = error.reason
    certificate = cause.args[0] if cause.args and isinstance(cause.args[0], ssl.SSLError) else None
    if isinstance(cause, http.SSLError):
        why = getattr(certificate, "verify_message", "") or "it does not speak TLS as expected"
        return GitAwayError(
            BuildProblem.UNTRUSTED_HOST,
            f"there is no trusted connection to git host `{url.host}`: {why}",
            "Have the platform trust its certificate authority.",
        )
    if isinstance(cause, http.NameResolutionError):
        return _away(url, "its name can't be resolved")
    if isinstance(cause, http.TimeoutError) and not isinstance(cause, http.NewConnectionError):
        return _away(url, "no answer in time")
    return _redirect_error(url, cause) or _away(url, _words(cause))


def _redirect_error(url: GitUrl, cause: BaseException) -> BuildError | None:
    if isinstance(cause, RedirectedError):
        return _redirected(url, cause.target)
    if isinstance(cause, http.LocationValueError):
        return not_a_repository(url, "it redirects to an address without TLS")
    if isinstance(cause, http.ResponseError):
        return not_a_repository(url, "it redirects too often")
    return None


def _words(error: BaseException) -> str:
    """The operating system's words, without addresses of proxies, which may contain a password."""
    source = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return getattr(source, "strerror", "") or type(error).__name__


def _away(url: GitUrl, why: str) -> GitAwayError:
    return GitAwayError(
        BuildProblem.GIT_AWAY,
        f"git host `{url.host}` does not serve `{url.text}`: {why}",
        "Check the host, and whether builds can reach it.",
    )


def _login_refused(url: GitUrl) -> BuildError:
    return BuildError(
        BuildProblem.LOGIN_REFUSED,
        f"git host `{url.host}` refuses access to `{url.text}`",
        "Check the login in the Secret that `secretRef` names, and that its user may read the repository. For a "
        "repository that everybody may read, check its name: many hosts answer the same for one that does not exist.",
    )


def _no_such_repository(url: GitUrl) -> BuildError:
    return BuildError(
        BuildProblem.NO_SUCH_REPOSITORY,
        f"git host `{url.host}` has no repository `{url.text}`, or the login may not see it",
        "Correct the URL, or name a Secret in `secretRef` whose user may read it.",
    )


def not_a_repository(url: GitUrl, found: str) -> BuildError:
    """Something else than a git server answers."""
    return BuildError(
        BuildProblem.NOT_A_REPOSITORY,
        f"`{url.text}` did not answer like a git repository: {found}",
        "Check the URL, and whether a proxy or a login page answers in its place.",
    )


def _redirected(url: GitUrl, target: str) -> BuildError:
    return BuildError(
        BuildProblem.NOT_A_REPOSITORY,
        f"git host `{url.host}` redirects to another host or port, `{target}`; expected `{url.text}` itself to answer",
        "If the repository has moved there, set `url` to its new URL.",
    )


def no_such_commit(url: GitUrl, commit: str) -> BuildError:
    """The server does not have, or does not give, a commit."""
    what = f"commit `{commit}`" if commit else "the commit"
    return BuildError(
        BuildProblem.NO_SUCH_COMMIT,
        f"repository `{url.text}` does not give {what}",
        "It may have been removed by a forced push; push it again, or name another one. If it is there, but not the "
        "head of a branch or a tag, the server has to allow that (`uploadpack.allowReachableSHA1InWant`).",
    )


def too_large(url: GitUrl, what: str, limit: int, unit: str) -> BuildError:
    """The repository exceeds a limit."""
    return BuildError(
        BuildProblem.TOO_LARGE,
        f"repository `{url.text}` is too large: {what} exceeds {limit} {unit}",
        "Remove large files from the repository, and load them when the component runs.",
    )
