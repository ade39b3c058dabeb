"""Fetches the plan of an agent. The grant contains its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from componentrun.agent.transfer import Request
from componentrun.errors import PlatformError
from componentrun.wire.agents import from_json

if TYPE_CHECKING:
    from componentrun.agent.transfer import Client

__all__ = ["fetch_plan"]

Plan = TypeVar("Plan")


def fetch_plan(client: Client, url: str, kind: type[Plan], title: str) -> Plan:
    """Fetch and parse a plan.

    Raises:
        PlatformError: see `Client.send`; or the object is not a plan of this kind.
    """
    text = client.send(Request("GET", url, title), lambda response: response.read())
    try:
        return from_json(kind, text)
    except ValueError as error:
        raise PlatformError(f"{title} can't be read: {error}") from error
