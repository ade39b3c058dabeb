"""The one error of this package."""


class ClusterError(Exception):
    """Something a person has to know or do before the cluster can work.

    Args:
        problem: names the thing, what was found and what was expected.
        hint: what to do about it.
    """

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{problem}\nhint: {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint
