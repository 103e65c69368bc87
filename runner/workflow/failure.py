"""What is raised of workflows: by whoever waits for one, or asks for one that is not there."""

from ..errors import JobFailed, RunnerError


class UnknownWorkflow(RunnerError):
    """There is no workflow of that id: it ended and is not kept any more, or never was."""


class WorkflowFailed(JobFailed):
    """A node of the workflow died.

    Attributes:
        node: its number; ``runner workflows show ID`` draws where it stands.
    """

    def __init__(self, node: str, type: str, message: str, traceback: str = "") -> None:  # noqa: A002 - as its attribute
        super().__init__(type, message, traceback)
        self.args = (node, type, message, traceback)
        self.node = node

    def __str__(self) -> str:
        return f"node {self.node}: {super().__str__()}"
