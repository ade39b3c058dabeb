"""What a refusal of the Kubernetes API means to whoever typed the command. Pure: status and body in, error out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.cli.errors import BadRequestError, EnvironmentFault, NotFoundError
from componentrun.cli.kubernetes.cluster import GROUP
from componentrun.cli.request.parameters import USE_A_CONFIG_MAP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.cli.kubernetes.cluster import Resource
    from componentrun.errors import ComponentRunError

__all__ = ["INSTALL", "Asked", "explain"]

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_INVALID: Final = frozenset({400, 422})
_TOO_LARGE: Final = 413
_INTERNAL: Final = 500
_TOO_LARGE_WORDS: Final = ("request is too large", "ResourceExhausted", "larger than max")
"""How etcd, and the API server's client of it, say that an object is too large; the API server passes it on as 500."""
_STRICT: Final = re.compile(r'unknown field "([^"]+)"')
_DUMP: Final = re.compile(r'^(Invalid value: )?("object": |\{.*?\}: )?')
INSTALL: Final = "install the chart, which brings the CRDs: helm/componentrun/README.md has the commands"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the API server."""

    verb: str
    """As roles call it: `get`, `list`, `create`."""
    what: Resource | None
    """None: the server's version."""
    name: str
    """Empty: the collection."""
    namespace: str | None
    """None: all of them."""
    server: str

    @property
    def place(self) -> str:
        """Where, as the end of a sentence."""
        if self.what is None or not self.what.namespaced:
            return ""
        return " in all namespaces" if self.namespace is None else f" in namespace `{self.namespace}`"

    @property
    def thing(self) -> str:
        """The object or the collection, as messages call it."""
        if self.what is None:
            return "its version"
        return f"{self.what.kind} `{self.name}`" if self.name else self.what.plural


def explain(status: int, text: bytes, asked: Asked) -> ComponentRunError:
    """Turn an HTTP error of the API server into an error with a hint."""
    answer = _answer(text)
    said = str(answer.get("message") or "").strip()
    if status in {_UNAUTHORIZED, _FORBIDDEN, _CONFLICT}:
        return _denied(status, str(answer.get("reason")), said, asked)
    if status == _NOT_FOUND:
        return _not_found(answer, asked)
    if status in _INVALID:
        return _invalid(answer, said, asked)
    if status == _TOO_LARGE or (status == _INTERNAL and any(words in said for words in _TOO_LARGE_WORDS)):
        return BadRequestError(
            f"the cluster refused {asked.thing}: it is larger than Kubernetes stores (etcd takes 1.5 MiB): {said}",
            f"if its parameters are large, {USE_A_CONFIG_MAP}",
        )
    return EnvironmentFault(
        f"the cluster at {asked.server} could not {asked.verb} {asked.thing}{asked.place}: "
        f"HTTP {status}: {said or 'no message'}",
        "this is often over after a moment: try again",
    )


def _answer(text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        return {}  # a proxy's page, or the plain `404 page not found` of an unknown path
    return answer if isinstance(answer, dict) else {}


def _denied(status: int, reason: str, said: str, asked: Asked) -> ComponentRunError:
    if status == _UNAUTHORIZED:
        return BadRequestError(
            f"the cluster at {asked.server} does not accept your credentials",
            "log in again, or choose another context with `--context NAME`",
        )
    if reason == "AlreadyExists":
        hint = "choose another name, or let one be generated: leave `--name` out"
        return BadRequestError(f"{asked.thing} exists already{asked.place}", hint)
    if reason == "Forbidden" and " cannot " in said:
        resource = _resource(asked.what)
        return BadRequestError(
            f"you are not allowed to {asked.verb} `{resource}`{asked.place}",
            f"ask the people who run the cluster for a role with the verb `{asked.verb}` on `{resource}`",
        )
    # An admission controller, a quota, a namespace that is going away.
    return BadRequestError(
        f"the cluster refused to {asked.verb} {asked.thing}{asked.place}: {said or 'it gave no reason'}",
        "ask the people who run the cluster",
    )


def _resource(what: Resource | None) -> str:
    """As a role names it: `secrets`, `componentruns.componentrun.dev`."""
    if what is None:
        return "/version"
    group = what.root.split("/")[2] if what.root.startswith("/apis/") else ""
    return f"{what.plural}.{group}" if group else what.plural


def _not_found(answer: Mapping[str, Any], asked: Asked) -> ComponentRunError:
    details = answer.get("details") or {}
    if details.get("kind") == "namespaces":
        return NotFoundError(
            f"there is no namespace `{details.get('name')}`", "`kubectl get namespaces` shows those that are there"
        )
    plural = asked.what.plural if asked.what is not None else "version"
    if not details.get("name"):
        hint = INSTALL if asked.what is not None and GROUP in asked.what.root else "this Kubernetes may be too old"
        return EnvironmentFault(f"the cluster at {asked.server} does not know `{plural}`", hint)
    command = "componentrun list" if plural == "componentruns" else f"kubectl get {plural}"
    hint = f"`{command}` shows those that are there; `--namespace` looks elsewhere"
    return NotFoundError(f"there is no {asked.thing}{asked.place}", hint)


def _invalid(answer: Mapping[str, Any], said: str, asked: Asked) -> ComponentRunError:
    causes = (answer.get("details") or {}).get("causes") or []
    named = [cause for cause in causes if cause.get("field") not in {None, "", "<nil>"}]
    problems = [f"`{cause['field']}`: {_sentence(cause)}" for cause in named]
    if not problems:
        problems = [f"`{field}`: there is no such field" for field in dict.fromkeys(_STRICT.findall(said))]
    hint = "`componentrun submit --dry-run` prints the manifest; `kubectl explain componentrun.spec` tells its fields"
    told = "; ".join(problems) if problems else said or "it gave no reason"
    if asked.verb == "list":
        return BadRequestError(
            f"the cluster refused to list {asked.thing}: {told}", "check `--selector`: `team=sales,tier!=test` is one"
        )
    return BadRequestError(f"the cluster refused {asked.thing}: {told}", hint)


def _sentence(cause: Mapping[str, Any]) -> str:
    """A cause's message without the dump of the object that some rules put before it."""
    return _DUMP.sub("", str(cause.get("message") or "").strip())
