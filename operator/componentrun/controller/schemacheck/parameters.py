"""Checks the parameters of a run: those of its component, and those of each processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.core.request.imageparameters import check_not_repeated
from componentrun.core.schema.parameters import check_of, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.controller.schemacheck.checker import SchemaChecker
    from componentrun.core.request.parameters import StepParameters

__all__ = ["check_parameters"]


async def check_parameters(checker: SchemaChecker, namespace: str, steps: Sequence[StepParameters]) -> tuple[str, ...]:
    """Check parameters against the schemas of their Components, and against secrets of Components. Returns warnings.

    Args:
        checker: has documents checked.
        namespace: namespace of the run.
        steps: the component and the processors of the run.

    Raises:
        UserError: (InvalidConfiguration) they do not match; (InvalidSpec) they contain a secret of a Component.
        TransientError: they could not be checked now.
    """
    check_not_repeated(steps)
    checks = [check for step in steps if (check := check_of(step)) is not None]
    return outcome([(check, await checker.check(namespace, check.request)) for check in checks])
