"""Unschedulable pods: the wait is limited, and the message contains the scheduler's reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.controller.conftest import Place

SETTINGS = {"COMPONENTRUN_PENDING_SECONDS": "20"}
"""Long enough for the scheduler of a busy machine to process a pod."""


def test_a_run_that_is_too_large_for_every_node(place: Place) -> None:
    name = place.run("true", resources={"limits": {"cpu": "1000", "memory": "64Mi"}})
    place.failed(name, "Unschedulable", "Insufficient cpu", "Ask for less")


def test_a_node_that_does_not_exist(place: Place) -> None:
    name = place.run("true", podTemplate={"nodeSelector": {"example.com/kind": "gpu"}})
    place.failed(name, "Unschedulable", "node affinity/selector", "podTemplate")
