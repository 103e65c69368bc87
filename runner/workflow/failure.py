"""What is raised of workflows: by whoever waits for one, or asks for one that is not there."""

from ..errors import JobFailed, RunnerError


class UnknownWorkflow(RunnerError):
    """There is no workflow of that id: it ended and is not kept any more, or never was."""


class WorkflowFailed(JobFailed):
    """A node of the workflow died.

    Attributes:
        node: its number; ``runner workflows show ID`` draws where it stands.
        state: ``failed``; of a saga ``undone`` (by the node that failed, and all before it is undone) or
            ``needs_attention`` (the node is the undo that died, or the step that nobody knows of).
    """

    def __init__(
        self,
        node: str,
        type: str,  # noqa: A002 - as its attribute
        message: str,
        traceback: str = "",
        state: str = "failed",
    ) -> None:
        super().__init__(type, message, traceback)
        self.args = (node, type, message, traceback, state)
        self.node = node
        self.state = state

    def __str__(self) -> str:
        end = "" if self.state == "failed" else f"{self.state}, "
        return f"{end}node {self.node}: {super().__str__()}"
