"""The three experiments of the paper, as printed and as they were really run on Summit.

Pascuzzi, Kilic, Turilli, Jha: *Asynchronous Execution of Heterogeneous Tasks in ML-driven HPC
Workflows*, arXiv 2208.11069 (2023).  The tasks have needs and durations and nothing to run: they
are to be planned, simulated and emulated.
"""

from __future__ import annotations

from importlib.resources import files

from stretto import Workflow, WorkflowError, parse_workflow

__all__ = ["WORKLOADS", "workload"]

WORKLOADS = ("deepdrivemd", "c-dg1", "c-dg2", "c-dg1-as-run", "c-dg2-as-run")
"""Names of the workloads."""


def workload(name: str) -> Workflow:
    """Return one of the paper's workloads.

    Raises
    ------
    WorkflowError
        If `name` is none of `WORKLOADS`.
    """
    if name not in WORKLOADS:
        known = ", ".join(WORKLOADS)
        raise WorkflowError(f"there is no workload {name!r}; expected one of {known}")
    text = files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return parse_workflow(text, source=f"{name}.yaml")
