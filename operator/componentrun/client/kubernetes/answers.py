"""What an error of the Kubernetes API means to the person who typed the command. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import GROUP
from componentrun.client.errors import (
    AlreadyExistsError,
    BadRequestError,
    EnvironmentFault,
    NotAllowedError,
    NotFoundError,
    UnknownKindError,
)
from componentrun.client.request.parameters import USE_A_CONFIG_MAP
from componentrun.process.kubernetes.exchange import UNTRUSTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.errors import ComponentRunError
    from componentrun.process.kubernetes.errors import KubeError
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["INSTALL", "Asked", "explain"]

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_INVALID: Final = frozenset({400, 422})
_TOO_LARGE: Final = 413
_INTERNAL: Final = 500
_TOO_LARGE_WORDS: Final = ("request is too large", "ResourceExhausted", "larger than max")
"""Messages of etcd and its client about objects that are too large; the API server returns them with status 500."""
_NO_ANSWER: Final = "no answer: "
"""Begin of the client's message, after the request."""
_STRICT: Final = re.compile(r'unknown field "([^"]+)"')
_DUMP: Final = re.compile(r'^(Invalid value: )?("object": |\{.*?\}: )?')
INSTALL: Final = "Install the chart with its CRDs: helm/componentrun/README.md has the commands."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to the API server."""

    verb: str
    """Verb of a role: `get`, `list`, `create`."""
    resource: Resource | None
    """None: the server's version."""
    name: str
    """Empty: the collection."""
    namespace: str | None
    """None: all of them."""
    server: str

    @property
    def place(self) -> str:
        """The namespace, as the end of a sentence."""
        if self.resource is None or not self.resource.is_namespaced:
            return ""
        return " in all namespaces" if self.namespace is None else f" in namespace `{self.namespace}`"

    @property
    def thing(self) -> str:
        """The object or the collection, as messages call it."""
        if self.resource is None:
            return "its version"
        return f"{self.resource.kind} `{self.name}`" if self.name else self.resource.plural


def explain(error: KubeError, request: Asked) -> ComponentRunError:
    """Turn an error of the client into one with advice; the words of the API server stay in it."""
    status, answer = error.status, error.document
    words = str(answer.get("message") or "").strip()
    if not status:
        return _unanswered(error, request)
    if status in {_UNAUTHORIZED, _FORBIDDEN, _CONFLICT}:
        return _denied(status, str(answer.get("reason")), words, request)
    if status == _NOT_FOUND:
        return _not_found(answer, request)
    if status in _INVALID:
        return _invalid(answer, words, request)
    if status == _TOO_LARGE or (status == _INTERNAL and any(text in words for text in _TOO_LARGE_WORDS)):
        return BadRequestError(
            f"the cluster refused {request.thing}: it is larger than Kubernetes stores (etcd takes 1.5 MiB): {words}",
            f"If its parameters are large, {USE_A_CONFIG_MAP}.",
        )
    return EnvironmentFault(
        f"the cluster at {request.server} could not {request.verb} {request.thing}{request.place}: "
        f"HTTP {status}: {words or 'no message'}",
        "Try again: this often passes within seconds.",
    )


def _unanswered(error: KubeError, request: Asked) -> ComponentRunError:
    """The error for a missing response, or one that is not from an API server."""
    cause = error.summary.partition(": ")[2]
    if not cause.startswith(_NO_ANSWER):
        return EnvironmentFault(
            f"{request.server} does not answer like a Kubernetes API server: {cause}",
            "Check whether a proxy or a login page answers in its place.",
        )
    if UNTRUSTED in cause:
        return EnvironmentFault(
            f"the cluster at {request.server} is not trusted: {cause.removeprefix(_NO_ANSWER)}",
            "Check `certificate-authority-data` and `tls-server-name` of the cluster in the kubeconfig.",
        )
    return EnvironmentFault(
        f"the cluster at {request.server} does not answer: {cause.removeprefix(_NO_ANSWER)}",
        "Check that it is up and that this is the right one: `kubectl config current-context`; "
        "`--context NAME` chooses another.",
    )


def _denied(status: int, reason: str, words: str, request: Asked) -> ComponentRunError:
    if status == _UNAUTHORIZED:
        return BadRequestError(
            f"the cluster at {request.server} does not accept your credentials",
            "Log in again, or choose another context with `--context NAME`.",
        )
    if reason == "AlreadyExists":
        advice = "Choose another name, or leave out `--name` to have one generated."
        return AlreadyExistsError(f"{request.thing} exists already{request.place}", advice)
    if reason == "Forbidden" and " cannot " in words:
        resource = "/version" if request.resource is None else request.resource.rule
        return NotAllowedError(
            f"you are not allowed to {request.verb} `{resource}`{request.place}",
            f"Ask your cluster's administrator for a role with the verb `{request.verb}` on `{resource}`.",
        )
    # An admission controller, a quota, or a namespace that is being deleted.
    return BadRequestError(
        f"the cluster refused to {request.verb} {request.thing}{request.place}: {words or 'it gave no reason'}",
        "Ask your cluster's administrator.",
    )


def _not_found(answer: Mapping[str, Any], request: Asked) -> ComponentRunError:
    details = answer.get("details") or {}
    if details.get("kind") == "namespaces":
        return NotFoundError(
            f"there is no namespace `{details.get('name')}`", "`kubectl get namespaces` lists the namespaces."
        )
    plural = request.resource.plural if request.resource is not None else "version"
    if not details.get("name"):
        advice = (
            INSTALL
            if request.resource is not None and request.resource.group == GROUP
            else "This Kubernetes may be too old."
        )
        return UnknownKindError(f"the cluster at {request.server} does not know `{plural}`", advice)
    command = "componentrun list" if plural == "componentruns" else f"kubectl get {plural}"
    advice = f"`{command}` lists those that exist; `--namespace NAME` looks in another namespace."
    return NotFoundError(f"there is no {request.thing}{request.place}", advice)


def _invalid(answer: Mapping[str, Any], words: str, request: Asked) -> ComponentRunError:
    causes = (answer.get("details") or {}).get("causes") or []
    field_causes = [cause for cause in causes if cause.get("field") not in {None, "", "<nil>"}]
    problems = [f"`{cause['field']}`: {_sentence(cause)}" for cause in field_causes]
    if not problems:
        problems = [f"`{field}`: there is no such field" for field in dict.fromkeys(_STRICT.findall(words))]
    advice = (
        "`componentrun submit --dry-run` prints the manifest; `kubectl explain componentrun.spec` lists its fields."
    )
    refusal = "; ".join(problems) if problems else words or "it gave no reason"
    if request.verb == "list":
        return BadRequestError(
            f"the cluster refused to list {request.thing}: {refusal}",
            "Check `--selector`. For example: `team=sales,tier!=test`.",
        )
    return BadRequestError(f"the cluster refused {request.thing}: {refusal}", advice)


def _sentence(cause: Mapping[str, Any]) -> str:
    """The message of a cause, without the dump of the object that some rules prepend."""
    return _DUMP.sub("", str(cause.get("message") or "").strip())
