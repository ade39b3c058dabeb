"""The one error of this package."""


class ClusterError(Exception):
    """A problem that a person has to solve before the cluster can work.

    Args:
        problem: what is affected, what was found and what was expected.
        hint: what to do.
    """

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{problem}\nhint: {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint
