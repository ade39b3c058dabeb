"""Refusals: each is a Status object with the code, reason, message and details that the API server sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakekube.kinds import Kind


class Refused(Exception):  # noqa: N818 - an answer of the server, not a failure of it
    """A request that is answered with a Status of failure."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        """`details` names the object, as far as the refusal is about one."""
        super().__init__(message)
        self.code = code
        self.status = failure(code, reason, message, details)


def failure(code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """The Status object of a refusal."""
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    status |= {"message": message} | ({"reason": reason} if reason else {})
    return status | ({"details": details} if details is not None else {}) | {"code": code}


def success(kind: Kind, name: str, uid: str) -> dict[str, Any]:
    """The Status object that answers a deletion."""
    details = details_of(kind, name) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def details_of(kind: Kind, name: str) -> dict[str, Any]:
    """Which object a Status is about."""
    return {"name": name} | ({"group": kind.group} if kind.group else {}) | {"kind": kind.plural}


def not_found(kind: Kind, name: str) -> Refused:
    """No object of this name."""
    return Refused(404, "NotFound", f'{kind.qualified} "{name}" not found', details_of(kind, name))


def already_exists(kind: Kind, name: str, *, is_being_deleted: bool) -> Refused:
    """The name is taken."""
    prefix = "object is being deleted: " if is_being_deleted else ""
    message = f'{prefix}{kind.qualified} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, details_of(kind, name))


def conflict(kind: Kind, name: str, why: str) -> Refused:
    """The object is not the one, or not in the version, that the request is about."""
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return Refused(409, "Conflict", message, details_of(kind, name))


def modified(kind: Kind, name: str) -> Refused:
    """The object has another version than the request says."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(kind, name, why)


def precondition_failed(kind: Kind, name: str, why: str) -> Refused:
    """A condition of a deletion does not hold."""
    message = f'Operation cannot be fulfilled on {kind.kind} "{name}": {why}'
    return Refused(409, "Conflict", message, {"name": name, "kind": kind.kind})


def forbidden(kind: Kind, name: str, why: str, causes: list[dict[str, str]] | None = None) -> Refused:
    """An admission rule refuses the object."""
    details: dict[str, Any] = details_of(kind, name)
    details |= {"causes": causes} if causes else {}
    return Refused(403, "Forbidden", f'{kind.qualified} "{name}" is forbidden: {why}', details)


def invalid(kind: Kind, name: str, field: str, reason: str, why: str) -> Refused:
    """A field has a wrong value; `reason` is a cause type such as `FieldValueRequired`."""
    cause = {"reason": reason, "message": why, "field": field}
    details: dict[str, Any] = ({"name": name} if name else {}) | ({"group": kind.group} if kind.group else {})
    details |= {"kind": kind.kind, "causes": [cause]}
    subject = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return Refused(422, "Invalid", f'{subject} "{name}" is invalid: {field}: {why}', details)


def unversioned(kind: Kind, name: str) -> Refused:
    """A custom resource can only be replaced in a version that the request names."""
    field, why = "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
    details: dict[str, Any] = details_of(kind, name)
    details |= {"causes": [{"reason": "FieldValueInvalid", "message": why, "field": field}]}
    return Refused(422, "Invalid", f'{kind.qualified} "{name}" is invalid: {field}: {why}', details)


def bad_request(message: str) -> Refused:
    """The request makes no sense."""
    return Refused(400, "BadRequest", message)


def expired(message: str) -> Refused:
    """A version that the server does not remember any more."""
    return Refused(410, "Expired", message)
